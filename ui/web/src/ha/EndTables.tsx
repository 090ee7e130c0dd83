// The two ends of a proxy: where clients come in, and the sets of servers that answer them.
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { Backend, Proxy } from "../api/types";
import { figure } from "../charts/units";
import { DataTable, type Column } from "../kit/DataTable";
import { OffIcon, UnknownIcon, UpIcon, WarningIcon } from "../kit/icons";
import { Empty } from "../kit/Page";
import { Mark, UpDown } from "../kit/state";

type Frontend = Proxy["frontends"][number];

const looks = {
  open: { icon: UpIcon, tone: "ok" },
  full: { icon: WarningIcon, tone: "warning" },
  paused: { icon: OffIcon, tone: "quiet" },
  stop: { icon: OffIcon, tone: "warning" },
  unknown: { icon: UnknownIcon, tone: "unknown" },
} as const;

function FrontendMark({ status }: { status: string }) {
  const { t } = useTranslation();
  const name = status in looks ? (status as keyof typeof looks) : "unknown";
  return <Mark look={looks[name]} word={t(`frontend.${name}`)} />;
}

export function FrontendTable({ proxy }: { proxy: Proxy }) {
  const { t } = useTranslation();
  const columns = useMemo(
    (): Column<Frontend>[] => [
      { id: "state", header: t("column.state"), width: "92px", phone: "lead", sort: (f) => f.status, cell: (f) => <FrontendMark status={f.status} /> },
      { id: "name", header: t("ha.frontend"), width: "minmax(90px, 1fr)", phone: "title", sort: (f) => f.name, cell: (f) => <><span className="kw-word kw-dim">{t("ha.frontend")} </span><strong>{f.name}</strong></> },
      { id: "sessions", header: t("ha.sessionsShort"), width: "72px", right: true, phone: "hide", sort: (f) => f.sessions, cell: (f) => figure(f.sessions) },
      { id: "rate", header: t("ha.requests"), width: "84px", right: true, phone: "side", sort: (f) => f.request_rate, cell: (f) => figure(f.request_rate, "/s") },
    ],
    [t],
  );
  return (
    <DataTable
      label={t("ha.frontendsOf", { proxy: proxy.name, host: proxy.host })}
      rows={proxy.frontends}
      columns={columns}
      order="name"
      stale={() => !proxy.up}
      rowKey={(f) => f.name}
      empty={<Empty>{t("ha.noFrontends")}</Empty>}
    />
  );
}

export function BackendTable({ proxy }: { proxy: Proxy }) {
  const { t } = useTranslation();
  const columns = useMemo(
    (): Column<Backend>[] => [
      { id: "state", header: t("column.state"), width: "92px", phone: "lead", sort: (b) => (b.up ? 1 : 0), cell: (b) => <BackendMark proxy={proxy} backend={b} /> },
      { id: "name", header: t("ha.backend"), width: "minmax(120px, 1fr)", phone: "title", sort: (b) => b.name, cell: (b) => <><span className="kw-word kw-dim">{t("ha.backend")} </span><strong>{b.name}</strong></> },
      {
        id: "active", header: t("ha.active"), width: "104px", right: true, phone: "side", sort: (b) => b.active_servers,
        cell: (b) => <span className="kw-num" title={t("ha.activeTitle")}>{proxy.up ? b.active_servers : "–"} / {b.servers.length}</span>,
      },
    ],
    [t, proxy],
  );
  return (
    <DataTable
      label={t("ha.backendsOf", { proxy: proxy.name, host: proxy.host })}
      rows={proxy.backends}
      columns={columns}
      order="state"
      stale={() => !proxy.up}
      rowKey={(b) => b.name}
      empty={<Empty>{t("ha.noBackends")}</Empty>}
    />
  );
}

// BackendMark knows nothing of the backends of a proxy that does not answer.
function BackendMark({ proxy, backend }: { proxy: Proxy; backend: Backend }) {
  return proxy.up ? <UpDown up={backend.up} /> : <FrontendMark status="unknown" />;
}
