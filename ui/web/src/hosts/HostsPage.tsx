import "./hosts.css";
import { useDeferredValue, useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useNow } from "../api/clock";
import { useHosts } from "../api/queries";
import type { Host } from "../api/types";
import { figure } from "../charts/units";
import { useParam } from "../kit/address";
import { DataTable, type Column } from "../kit/DataTable";
import { FilterBox } from "../kit/FilterBox";
import { HostsIcon } from "../kit/icons";
import { Meter } from "../kit/Meter";
import { Empty, Loaded, Page } from "../kit/Page";
import { hostPath } from "../kit/path";
import { UpDown } from "../kit/state";
import { ageSeconds, Ago, staleAfter } from "../kit/time";
import { parseFilter } from "../kit/tokens";
import { fields, hostRank, words } from "./fields";
import { Problems } from "./Problems";
import { Views } from "./Views";

const keyOf = (host: Host) => `${host.cluster}/${host.name}`;

export function HostsPage() {
  const { t } = useTranslation();
  const hosts = useHosts();
  const [text, setText] = useParam("q");
  const wanted = useDeferredValue(text);
  const filter = useMemo(() => parseFilter(wanted, fields, words), [wanted]);
  const all = hosts.data?.items;
  const rows = useMemo(() => all?.filter(filter.test) ?? [], [all, filter]);
  const columns = useHostColumns();
  const now = useNow(5);
  return (
    <Page
      title={t("nav.hosts")}
      name={t("nav.hosts")}
      side={all && <span className="kw-dim kw-num">{t("hosts.count", { shown: rows.length, all: all.length })}</span>}
    >
      <div className="kw-filter-row">
        <FilterBox
          value={text}
          onChange={setText}
          filter={filter}
          label={t("hosts.filter")}
          known={fields.map((f) => f.name)}
          examples={["state:down", "state:critical", "cpu>90", "mem>90", "disk>85", "cluster:", "source:gmond"]}
        />
        <Views text={text} onChoose={setText} />
      </div>
      <Loaded query={hosts} rows={12}>
        {({ items }) => (
          <DataTable
            label={t("nav.hosts")}
            rows={rows}
            columns={columns}
            rowKey={keyOf}
            to={(host) => hostPath(host.cluster, host.name)}
            stale={(host) => ageSeconds(host.last_seen, now) > staleAfter}
            main
            order="name"
            epoch={wanted}
            empty={
              <Empty icon={<HostsIcon />} action={items.length === 0 ? <code>keepwatch up</code> : undefined}>
                {items.length > 0 ? t("filter.nothing") : t("hosts.none")}
              </Empty>
            }
          />
        )}
      </Loaded>
    </Page>
  );
}

function useHostColumns(): Column<Host>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      { id: "state", header: t("column.state"), width: "76px", phone: "lead", sort: hostRank, cell: (h) => <UpDown up={h.up} /> },
      {
        id: "name", header: t("column.host"), width: "minmax(110px, 1.6fr)", phone: "title", sort: (h) => h.name,
        cell: (h) => <Link to={hostPath(h.cluster, h.name)}>{h.name}</Link>,
      },
      { id: "cluster", header: t("column.cluster"), width: "minmax(70px, 0.8fr)", phone: "title", sort: (h) => h.cluster, cell: (h) => h.cluster },
      { id: "problems", header: t("column.problems"), width: "minmax(110px, 1.4fr)", phone: "meta", sort: hostRank, cell: (h) => <Problems host={h} /> },
      { id: "cpu", header: t("column.cpu"), width: "88px", right: true, phone: "hide", sort: (h) => h.cpu_busy, cell: (h) => <Meter ratio={h.cpu_busy} /> },
      { id: "mem", header: t("column.memory"), width: "88px", right: true, phone: "hide", sort: (h) => h.memory_used, cell: (h) => <Meter ratio={h.memory_used} /> },
      { id: "disk", header: t("column.disk"), width: "88px", right: true, phone: "hide", sort: (h) => h.disk_used, cell: (h) => <Meter ratio={h.disk_used} /> },
      { id: "load", header: t("column.load"), width: "84px", right: true, phone: "hide", sort: (h) => h.load1, cell: (h) => <Load host={h} /> },
      { id: "figures", header: "", width: "", phone: "meta", phoneOnly: true, cell: (h) => <Figures host={h} /> },
      { id: "sources", header: t("column.sources"), width: "minmax(70px, 0.8fr)", phone: "hide", sort: (h) => h.sources.join(), cell: (h) => <span className="kw-dim">{h.sources.join(", ")}</span> },
      { id: "seen", header: t("column.seen"), width: "104px", right: true, phone: "side", sort: (h) => Date.parse(h.last_seen), cell: (h) => <Ago at={h.last_seen} /> },
    ],
    [t],
  );
}

function Load({ host }: { host: Host }) {
  return <span className="kw-num">{figure(host.load1)}{host.cpus !== null && <span className="kw-dim"> / {host.cpus}</span>}</span>;
}

// Figures is the second line of a phone's row, where there is no room for columns.
function Figures({ host }: { host: Host }) {
  const { t } = useTranslation();
  return (
    <span className="kw-num">
      {t("column.cpu")} {figure(host.cpu_busy, "ratio")} · {t("column.memory")} {figure(host.memory_used, "ratio")} · {t("column.disk")} {figure(host.disk_used, "ratio")}
    </span>
  );
}
