import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { Proxy, ProxyServer, ServerStatus } from "../api/types";
import { figure } from "../charts/units";
import { DataTable, type Column } from "../kit/DataTable";
import { Empty } from "../kit/Page";
import { ServerMark } from "../kit/state";
import { Lasting } from "../kit/time";

type Row = ProxyServer & { backend: string };

const rank: Record<ServerStatus, number> = { down: 0, unknown: 1, nolb: 2, drain: 3, maint: 4, "no check": 5, up: 6 };

// ServerTable is all servers of a proxy, those that are down first.
export function ServerTable({ proxy }: { proxy: Proxy }) {
  const { t } = useTranslation();
  const rows = useMemo(
    () => proxy.backends.flatMap((b) => b.servers.map((server): Row => ({ ...server, backend: b.name }))),
    [proxy.backends],
  );
  const columns = useMemo(
    (): Column<Row>[] => [
      { id: "state", header: t("column.state"), width: "88px", phone: "lead", sort: (s) => rank[s.status], cell: (s) => <ServerMark status={s.status} /> },
      {
        id: "server", header: t("ha.server"), width: "minmax(104px, 1.4fr)", phone: "title", sort: (s) => `${s.backend}/${s.name}`,
        cell: (s) => <><span className="kw-dim">{s.backend}/</span><strong>{s.name}</strong></>,
      },
      { id: "address", header: t("ha.address"), width: "minmax(90px, 1fr)", phone: "meta", sort: (s) => s.address, cell: (s) => <span className="kw-num">{s.address}</span> },
      { id: "check", header: t("ha.check"), width: "minmax(90px, 1.6fr)", phone: "meta", cell: (s) => <span title={s.check}>{s.check}</span> },
      { id: "since", header: t("column.for"), width: "76px", right: true, phone: "side", sort: (s) => (s.since === null ? null : -Date.parse(s.since)), cell: (s) => <Lasting since={s.since} /> },
      { id: "sessions", header: t("ha.sessionsShort"), width: "64px", right: true, phone: "hide", sort: (s) => s.sessions, cell: (s) => figure(s.sessions) },
      { id: "response", header: t("ha.response"), width: "68px", right: true, phone: "meta", sort: (s) => s.response_seconds, cell: (s) => <span title={t("ha.responseTitle")}>{figure(s.response_seconds, "seconds")}</span> },
    ],
    [t],
  );
  return (
    <DataTable
      label={t("ha.serversOf", { proxy: proxy.name, host: proxy.host })}
      rows={rows}
      columns={columns}
      order="state"
      stale={() => !proxy.up}
      rowKey={(s) => `${s.backend}/${s.name}`}
      empty={<Empty>{t("ha.noServers")}</Empty>}
    />
  );
}
