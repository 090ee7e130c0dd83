import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useNow } from "../api/clock";
import type { Backend, Proxy, ProxyServer } from "../api/types";
import { figure } from "../charts/units";
import { DataTable, type Column } from "../kit/DataTable";
import { Empty, Section } from "../kit/Page";
import { hostPath } from "../kit/path";
import { ServerMark, StaleMark, UpDown } from "../kit/state";
import { ageSeconds, durationText, Lasting, staleAfter } from "../kit/time";

type Row = ProxyServer & { backend: Backend };

export function ProxyView({ proxy }: { proxy: Proxy }) {
  const { t } = useTranslation();
  const rows = useMemo(() => proxy.backends.flatMap((backend) => backend.servers.map((server): Row => ({ ...server, backend }))), [proxy]);
  const columns = useServerColumns();
  return (
    <Section
      title={<span className="kw-line"><span>{proxy.name}</span><Link to={hostPath(proxy.cluster, proxy.host)}>{proxy.host}</Link><UpDown up={proxy.up} /></span>}
      side={<Summary proxy={proxy} />}
    >
      {proxy.frontends.length > 0 && (
        <p className="kw-frontends kw-small">
          {t("ha.frontends")}
          {proxy.frontends.map((frontend) => (
            <span key={frontend.name} className="kw-num">
              <strong>{frontend.name}</strong> {frontend.status} · {t("ha.sessions", { n: figure(frontend.sessions) })} · {t("ha.rate", { n: figure(frontend.request_rate) })}
            </span>
          ))}
        </p>
      )}
      <BackendsDown backends={proxy.backends} />
      <DataTable
        label={t("ha.servers", { host: proxy.host })}
        rows={rows}
        columns={columns}
        rowKey={(row) => `${row.backend.name}/${row.name}`}
        empty={<Empty>{t("ha.noServers")}</Empty>}
      />
    </Section>
  );
}

function Summary({ proxy }: { proxy: Proxy }) {
  const { t } = useTranslation();
  const now = useNow(5);
  const age = ageSeconds(proxy.time, now);
  if (age > staleAfter) return <StaleMark word={t("ha.old", { duration: durationText(age, t) })} />;
  const parts = [
    proxy.version,
    proxy.uptime_seconds === null ? "" : t("ha.uptime", { duration: durationText(proxy.uptime_seconds, t) }),
    proxy.sessions === null ? "" : t("ha.sessions", { n: figure(proxy.sessions) }),
    proxy.request_rate === null ? "" : t("ha.rate", { n: figure(proxy.request_rate) }),
  ];
  return <span className="kw-num">{parts.filter((part) => part !== "").join(" · ")}</span>;
}

function BackendsDown({ backends }: { backends: Backend[] }) {
  const { t } = useTranslation();
  const down = backends.filter((backend) => !backend.up);
  if (down.length === 0) return null;
  return (
    <p className="kw-backend-down">
      {down.map((backend) => <span key={backend.name}><UpDown up={false} strong /> {t("ha.backendDown", { name: backend.name })}</span>)}
    </p>
  );
}

function useServerColumns(): Column<Row>[] {
  const { t } = useTranslation();
  return useMemo(
    () => [
      { id: "status", header: t("column.state"), width: "92px", phone: "lead", sort: (s) => s.status, cell: (s) => <ServerMark status={s.status} /> },
      { id: "name", header: t("ha.server"), width: "minmax(110px, 1.4fr)", phone: "title", sort: (s) => `${s.backend.name}/${s.name}`, cell: (s) => <><span className="kw-dim">{s.backend.name}/</span>{s.name}</> },
      { id: "address", header: t("ha.address"), width: "minmax(100px, 1fr)", phone: "meta", sort: (s) => s.address, cell: (s) => <span className="kw-num">{s.address}</span> },
      { id: "since", header: t("column.for"), width: "88px", right: true, phone: "side", cell: (s) => <Lasting since={s.since} /> },
      { id: "sessions", header: t("ha.sessionsShort"), width: "64px", right: true, phone: "hide", sort: (s) => s.sessions, cell: (s) => figure(s.sessions) },
      { id: "response", header: t("ha.response"), width: "72px", right: true, phone: "meta", sort: (s) => s.response_seconds, cell: (s) => figure(s.response_seconds, "seconds") },
      { id: "check", header: t("ha.check"), width: "minmax(80px, 1fr)", phone: "meta", cell: (s) => <span className="kw-dim">{s.check}</span> },
    ],
    [t],
  );
}
