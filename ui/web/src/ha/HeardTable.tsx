import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import type { Heard } from "../api/types";
import { DataTable, type Column } from "../kit/DataTable";
import { CriticalIcon, OffIcon, UpIcon } from "../kit/icons";
import { Empty } from "../kit/Page";
import { Mark } from "../kit/state";
import { Ago } from "../kit/time";
import { HostLink } from "./HostLink";
import { isOld } from "./OldMark";
import { Snippet } from "./Snippet";

// What one host hears as one virtual router: two sources of it that are not leaving are two masters.
const router = (h: Heard) => `${h.cluster}/${h.host}/${h.interface}/${h.vrid}/${h.family}`;

function contested(heard: Heard[]): Set<string> {
  const seen = new Map<string, number>();
  for (const h of heard) if (h.priority > 0) seen.set(router(h), (seen.get(router(h)) ?? 0) + 1);
  return new Set([...seen].filter(([, n]) => n > 1).map(([key]) => key));
}

// HeardTable is who advertises as master on the network, whoever runs it.
export function HeardTable({ heard }: { heard: Heard[] }) {
  const { t } = useTranslation();
  const now = useNow(5);
  const columns = useMemo((): Column<Heard>[] => {
    const double = contested(heard);
    return [
      {
        id: "state", header: t("column.state"), width: "minmax(124px, 0.7fr)", phone: "lead", sort: (h) => (double.has(router(h)) ? 0 : 1),
        cell: (h) => <Advertises heard={h} double={double.has(router(h))} />,
      },
      { id: "source", header: t("ha.source"), width: "minmax(110px, 1.2fr)", phone: "title", sort: (h) => h.source, cell: (h) => <strong className="kw-num">{h.source}</strong> },
      {
        id: "version", header: t("ha.version"), width: "minmax(96px, 0.8fr)", phone: "meta", sort: (h) => `${h.version} ${h.family}`,
        cell: (h) => <span className="kw-dim">VRRPv{h.version} · {h.family.replace("ip", "IP")}</span>,
      },
      { id: "vrid", header: "VRID", width: "36px", right: true, phone: "meta", sort: (h) => h.vrid, cell: (h) => <span className="kw-num"><span className="kw-word">VRID </span>{h.vrid}</span> },
      {
        id: "priority", header: t("ha.priority"), width: "56px", right: true, phone: "meta", sort: (h) => h.priority,
        cell: (h) => <span className="kw-num"><span className="kw-word">{t("ha.priority")} </span>{h.priority}</span>,
      },
      {
        id: "host", header: t("ha.heardBy"), width: "minmax(90px, 1fr)", phone: "meta", sort: (h) => h.host,
        cell: (h) => <><HostLink cluster={h.cluster} host={h.host} /> <span className="kw-dim">{h.interface}</span></>,
      },
      { id: "time", header: t("ha.age"), width: "84px", right: true, phone: "side", sort: (h) => -Date.parse(h.time), cell: (h) => <Ago at={h.time} /> },
    ];
  }, [t, heard]);
  return (
    <DataTable
      label={t("ha.heard")}
      rows={heard}
      columns={columns}
      order="state"
      rowKey={(h) => `${router(h)}/${h.source}/${h.version}`}
      stale={(h) => isOld(h.time, now)}
      empty={<Empty action={<Snippet of="listen" />}>{t("ha.noHeard")}</Empty>}
    />
  );
}

function Advertises({ heard, double }: { heard: Heard; double: boolean }) {
  const { t } = useTranslation();
  if (heard.priority === 0) return <Mark look={{ icon: OffIcon, tone: "quiet" }} word={t("ha.leaving")} />;
  if (double) return <Mark look={{ icon: CriticalIcon, tone: "critical" }} word={t("ha.twoMasters")} strong />;
  return <Mark look={{ icon: UpIcon, tone: "ok" }} word={t("ha.advertises")} />;
}
