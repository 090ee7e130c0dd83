// Failover: who holds which address, what each virtual router and proxy is, and what changed before.
import "./ha.css";
import { useTranslation } from "react-i18next";
import { useHA } from "../api/queries";
import type { HA } from "../api/types";
import { useParam } from "../kit/address";
import { Empty, Loaded, Page, Section } from "../kit/Page";
import type { Tone } from "../kit/state";
import { BfdTable } from "./BfdTable";
import { GroupTable } from "./GroupTable";
import { HeardTable } from "./HeardTable";
import { InstanceTable } from "./InstanceTable";
import { ProxyList } from "./ProxyList";
import { Snippet } from "./Snippet";
import { Transitions } from "./Transitions";
import { VipTable } from "./VipTable";

export function HAPage() {
  const { t } = useTranslation();
  const [instance, choose] = useParam("instance");
  const ha = useHA(instance);
  return (
    <Page title={t("nav.ha")} name={t("nav.ha")} side={ha.data && <Sums ha={ha.data} />}>
      <Loaded query={ha} rows={10}>{(data) => <Picture ha={data} instance={instance} choose={choose} />}</Loaded>
    </Page>
  );
}

function Picture({ ha, instance, choose }: { ha: HA; instance: string; choose: (instance: string) => void }) {
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
      {(ha.groups.length > 0 || ha.bfd.length > 0) && (
        <div className="kw-ha-pair">
          {ha.groups.length > 0 && (
            <Section title={t("ha.groups")} id="groups">
              <GroupTable groups={ha.groups} instances={ha.instances} />
            </Section>
          )}
          {ha.bfd.length > 0 && (
            <Section title={t("ha.bfd")} side={t("ha.bfdSide")} id="bfd">
              <BfdTable sessions={ha.bfd} />
            </Section>
          )}
        </div>
      )}
      <Section title={t("ha.proxies")} id="proxies">
        <ProxyList proxies={ha.proxies} />
      </Section>
      <Transitions ha={ha} instance={instance} choose={choose} />
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
