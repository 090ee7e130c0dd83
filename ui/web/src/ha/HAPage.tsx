// Failover: who holds which address, what each virtual router and proxy is, and what changed before.
import "./ha.css";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useHA } from "../api/queries";
import type { HA } from "../api/types";
import { EventTable } from "../events/EventTable";
import { Empty, Loaded, Page, Section } from "../kit/Page";
import type { Tone } from "../kit/state";
import { HeardTable } from "./HeardTable";
import { InstanceTable } from "./InstanceTable";
import { ProxyList } from "./ProxyList";
import { Snippet } from "./Snippet";
import { VipTable } from "./VipTable";

export function HAPage() {
  const { t } = useTranslation();
  const ha = useHA();
  return (
    <Page title={t("nav.ha")} name={t("nav.ha")} side={ha.data && <Sums ha={ha.data} />}>
      <Loaded query={ha} rows={10}>{(data) => <Picture ha={data} />}</Loaded>
    </Page>
  );
}

function Picture({ ha }: { ha: HA }) {
  const { t } = useTranslation();
  // A host without instances has no addresses either: the table of instances says then what to do.
  const bare = ha.vips.length === 0 && ha.instances.length === 0;
  return (
    <>
      {!bare && (
        <Section title={t("overview.vips")} id="vips">
          <VipTable vips={ha.vips} empty={<Empty action={<Snippet of="status" />}>{t("ha.noVips")}</Empty>} />
        </Section>
      )}
      <Section title={t("ha.instances")} side={t("ha.instancesSide")} id="instances">
        <InstanceTable instances={ha.instances} />
      </Section>
      <Section title={t("ha.proxies")} id="proxies">
        <ProxyList proxies={ha.proxies} />
      </Section>
      <Section title={t("ha.transitions")} side={<Link to="/events?q=kind:vrrp_*,vip_*,server_*,proxy_*">{t("overview.toEvents")}</Link>} id="transitions">
        <EventTable events={ha.transitions} label={t("ha.transitions")} empty={<Empty>{t("ha.noTransitions")}</Empty>} />
      </Section>
      <Section title={t("ha.heard")} side={t("ha.heardSide")} id="heard">
        <HeardTable heard={ha.heard} />
      </Section>
    </>
  );
}

type Sum = { word: string; good: number; all: number; bad: Tone };

// Sums says in one line how much of each is as it should be.
function Sums({ ha }: { ha: HA }) {
  const { t } = useTranslation();
  // Servers that somebody has taken out on purpose, or that nothing checks, are not missing.
  const servers = ha.proxies.flatMap((p) => p.backends.flatMap((b) => b.servers)).filter((s) => !["maint", "drain", "no check"].includes(s.status));
  const agents = new Map(ha.instances.map((i) => [`${i.cluster}/${i.host}`, i.agent_up]));
  const all: Sum[] = [
    { word: t("ha.sumVips"), good: ha.vips.filter((v) => v.state === "held").length, all: ha.vips.length, bad: "critical" },
    { word: t("ha.sumAgents"), good: [...agents.values()].filter((up) => up).length, all: agents.size, bad: "critical" },
    { word: t("ha.sumProxies"), good: ha.proxies.filter((p) => p.up).length, all: ha.proxies.length, bad: "critical" },
    { word: t("ha.sumServers"), good: servers.filter((s) => s.status === "up").length, all: servers.length, bad: "warning" },
  ];
  return (
    <span className="kw-ha-sums">
      {all.filter((sum) => sum.all > 0).map((sum) => (
        <span key={sum.word} className="kw-num">{sum.word} <strong data-tone={sum.good < sum.all ? sum.bad : undefined}>{sum.good} / {sum.all}</strong></span>
      ))}
    </span>
  );
}
