import { useTranslation } from "react-i18next";
import { useNow } from "../api/clock";
import type { Proxy } from "../api/types";
import { figure } from "../charts/units";
import { Empty } from "../kit/Page";
import { UpDown } from "../kit/state";
import { durationText } from "../kit/time";
import { BackendTable, FrontendTable } from "./EndTables";
import { HostLink } from "./HostLink";
import { isOld, OldMark } from "./OldMark";
import { ServerTable } from "./ServerTable";
import { Snippet } from "./Snippet";

// byNeed puts proxies first that are down, then those with a server or backend that is.
function byNeed(a: Proxy, b: Proxy): number {
  const need = (p: Proxy) => (!p.up ? 0 : p.backends.some((x) => !x.up) ? 1 : p.backends.some((x) => x.servers.some((s) => s.status === "down")) ? 2 : 3);
  return need(a) - need(b) || a.cluster.localeCompare(b.cluster) || a.host.localeCompare(b.host) || a.name.localeCompare(b.name);
}

export function ProxyList({ proxies }: { proxies: Proxy[] }) {
  const { t } = useTranslation();
  if (proxies.length === 0) return <div className="kw-table"><Empty action={<Snippet of="proxy" />}>{t("ha.noProxies")}</Empty></div>;
  return proxies.toSorted(byNeed).map((proxy) => <OneProxy key={`${proxy.cluster}/${proxy.host}/${proxy.name}`} proxy={proxy} />);
}

function OneProxy({ proxy }: { proxy: Proxy }) {
  const { t } = useTranslation();
  const now = useNow(5);
  return (
    <article className="kw-proxy" data-stale={isOld(proxy.time, now) || undefined}>
      <header>
        <UpDown up={proxy.up} strong={!proxy.up} />
        <h3>{proxy.name}</h3>
        <span><HostLink cluster={proxy.cluster} host={proxy.host} /> <span className="kw-dim">{proxy.cluster}</span></span>
        <OldMark time={proxy.time} />
        {proxy.up ? <Figures proxy={proxy} /> : <span className="kw-dim">{t("ha.proxyDown")}</span>}
      </header>
      <ServerTable proxy={proxy} />
      <div className="kw-proxy-ends">
        <FrontendTable proxy={proxy} />
        <BackendTable proxy={proxy} />
      </div>
    </article>
  );
}

function Figures({ proxy }: { proxy: Proxy }) {
  const { t } = useTranslation();
  const { version, uptime_seconds: uptime, sessions, request_rate: rate } = proxy;
  return (
    <span className="kw-line kw-dim">
      {version !== "" && <span>HAProxy {version}</span>}
      {uptime !== null && <span className="kw-num">{t("ha.uptime", { duration: durationText(uptime, t) })}</span>}
      {sessions !== null && <span className="kw-num">{t("ha.sessions", { n: figure(sessions) })}</span>}
      {rate !== null && <span className="kw-num">{t("ha.rate", { n: figure(rate) })}</span>}
    </span>
  );
}
