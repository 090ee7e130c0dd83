// The first page: is something broken, since when, who has it — without a click.
import "./overview.css";
import { Button } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link } from "react-router";
import { useOverview } from "../api/queries";
import type { Overview } from "../api/types";
import { useMay } from "../app/session";
import { AlertTable } from "../alerts/AlertTable";
import { EventTable } from "../events/EventTable";
import { VipTable } from "../ha/VipTable";
import { HostsIcon } from "../kit/icons";
import { Empty, Loaded, Page, Section } from "../kit/Page";
import { UpDown } from "../kit/state";
import { Ago } from "../kit/time";
import { Counters } from "./Counters";
import { Freshness } from "./Freshness";
import { Verdict } from "./Verdict";
import { hostPath } from "../kit/path";

const shownEvents = 12;

export function OverviewPage() {
  const { t } = useTranslation();
  const overview = useOverview();
  return (
    <Page title={t("nav.overview")} name={t("nav.overview")} side={overview.data && <Freshness overview={overview.data} />}>
      <Loaded query={overview} rows={10}>
        {(data) => (data.hosts.total === 0 ? <NothingYet /> : <Picture overview={data} />)}
      </Loaded>
    </Page>
  );
}

function NothingYet() {
  const { t } = useTranslation();
  return (
    <Empty icon={<HostsIcon />} action={<code>keepwatch up</code>}>{t("hosts.none")}</Empty>
  );
}

function Picture({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const operator = useMay("operator");
  const { problems, vips, recent_events, hosts } = overview;
  const all = overview.problems_total;
  const total = all.critical + all.warning + all.unknown;
  return (
    <>
      <Verdict overview={overview} />
      <Counters overview={overview} />
      {total > 0 && (
        <Section title={t("overview.problems")} side={total > problems.length ? <Link to="/alerts">{t("overview.allProblems", { count: total })}</Link> : null}>
          <AlertTable label={t("overview.problems")} alerts={problems} main empty={null} />
        </Section>
      )}
      <div className="kw-columns">
        <div>
          {hosts.down_list.length > 0 && <DownHosts overview={overview} />}
          <Section title={t("overview.vips")} side={<Link to="/ha">{t("overview.toHA")}</Link>}>
            <VipTable vips={vips} empty={<Empty>{t("ha.noVips")}</Empty>} />
          </Section>
        </div>
        <Section title={t("overview.events")} side={<Link to="/events">{t("overview.toEvents")}</Link>}>
          <EventTable withKind={false} events={recent_events.slice(0, shownEvents)} label={t("overview.events")} empty={<Empty>{t("events.none")}</Empty>} />
        </Section>
      </div>
      {total === 0 && operator && <FirstThreshold />}
    </>
  );
}

function DownHosts({ overview }: { overview: Overview }) {
  const { t } = useTranslation();
  const { down, down_list } = overview.hosts;
  return (
    <Section title={t("overview.down")} side={down > down_list.length ? <Link to="/hosts?q=state:down">{t("overview.allDown", { count: down })}</Link> : null}>
      <ul className="kw-down">
        {down_list.map((host) => (
          <li key={`${host.cluster}/${host.name}`}>
            <UpDown up={false} />
            <Link to={hostPath(host.cluster, host.name)}>{host.name}</Link>
            <span className="kw-dim">{host.cluster}</span>
            <span className="kw-down-age kw-dim">{t("hosts.lastSeen")} <Ago at={host.last_seen} /></span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

// FirstThreshold is for an installation on which nothing can be wrong yet, because nobody has said what wrong is.
function FirstThreshold() {
  const { t } = useTranslation();
  return (
    <p className="kw-hint kw-dim">
      {t("overview.moreThresholds")} <Button component={Link} to="/thresholds/new" size="compact-sm" variant="default">{t("thresholds.add")}</Button>
    </p>
  );
}
