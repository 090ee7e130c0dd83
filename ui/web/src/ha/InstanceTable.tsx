import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import type { Instance, InstanceState } from "../api/types";
import { DataTable, type Column } from "../kit/DataTable";
import { DownIcon } from "../kit/icons";
import { Empty } from "../kit/Page";
import { InstanceMark, Mark } from "../kit/state";
import { Lasting } from "../kit/time";
import { HostLink } from "./HostLink";
import { isOld, OldMark } from "./OldMark";
import { Snippet } from "./Snippet";

// What wants a look first.
const rank: Record<InstanceState, number> = { fault: 0, unknown: 1, init: 2, master: 3, backup: 4 };

const familyWord = (family: string) => family.replace("ip", "IP");

// InstanceTable says of each virtual router what it is on each host, since when, and why.
export function InstanceTable({ instances }: { instances: Instance[] }) {
  const { t } = useTranslation();
  const now = useNow(5);
  const columns = useMemo(
    (): Column<Instance>[] => [
      { id: "state", header: t("column.state"), width: "minmax(100px, 0.9fr)", phone: "lead", sort: (i) => rank[i.state], cell: (i) => <How instance={i} /> },
      { id: "host", header: t("column.host"), width: "minmax(80px, 0.8fr)", phone: "title", sort: (i) => i.host, cell: (i) => <HostLink cluster={i.cluster} host={i.host} /> },
      { id: "instance", header: t("ha.instance"), width: "minmax(70px, 0.7fr)", phone: "title", sort: (i) => `${i.cluster} ${i.instance} ${rank[i.state]}`, cell: (i) => i.instance },
      { id: "since", header: t("column.for"), width: "84px", right: true, phone: "side", sort: (i) => (i.since === null ? null : -Date.parse(i.since)), cell: (i) => <Lasting since={i.since} /> },
      { id: "priority", header: t("ha.priority"), width: "96px", right: true, phone: "meta", sort: (i) => i.priority, cell: (i) => <Priority instance={i} /> },
      {
        id: "where", header: t("ha.where"), width: "minmax(130px, 1fr)", phone: "meta", sort: (i) => `${i.interface} ${i.vrid}`,
        cell: (i) => <span className="kw-dim kw-num">{i.interface} · VRID {i.vrid} · {familyWord(i.family)}</span>,
      },
      { id: "vips", header: t("ha.vips"), width: "minmax(110px, 1fr)", phone: "hide", wrap: true, cell: (i) => <span className="kw-num">{i.vips.join(", ")}</span> },
      { id: "reason", header: t("ha.reason"), width: "minmax(140px, 2.2fr)", wrap: true, phone: "meta", cell: (i) => i.last_reason },
    ],
    [t],
  );
  return (
    <DataTable
      label={t("ha.instances")}
      rows={instances}
      columns={columns}
      order="instance"
      rowKey={(i) => `${i.cluster}/${i.host}/${i.instance}`}
      stale={(i) => isOld(i.time, now)}
      empty={<Empty action={<Snippet of="agent" />}>{t("ha.noInstances")}</Empty>}
    />
  );
}

// How is the state; of an agent that is down, or whose word is old, that comes before what it said last.
function How({ instance }: { instance: Instance }) {
  const { t } = useTranslation();
  if (!instance.agent_up) return <Mark look={{ icon: DownIcon, tone: "critical" }} word={t("ha.agentDown")} strong />;
  return <span className="kw-line"><InstanceMark state={instance.state} /><OldMark time={instance.time} /></span>;
}

// Priority is the effective one, and the configured one where tracks have moved it.
function Priority({ instance }: { instance: Instance }) {
  const { t } = useTranslation();
  const { priority, priority_configured: configured } = instance;
  if (priority === null) return <span className="kw-dim">–</span>;
  if (configured === null || configured === priority) return <span className="kw-num" title={t("ha.priorityTitle")}>{priority}</span>;
  return (
    <span className="kw-num" title={t("ha.moved", { configured })}>
      <strong data-tone={priority < configured ? "warning" : undefined}>{priority}</strong> <span className="kw-dim">/ {configured}</span>
    </span>
  );
}
