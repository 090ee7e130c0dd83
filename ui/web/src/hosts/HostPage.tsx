// One host: what state it is in, what it is, what its metrics do, what is wrong with it and what happened to it.
import "./hosts.css";
import { useTranslation } from "react-i18next";
import { useParams } from "react-router";
import { useNow } from "../api/clock";
import { useHost } from "../api/queries";
import type { Host, HostDetail } from "../api/types";
import { AlertTable } from "../alerts/AlertTable";
import { useRange } from "../charts/range";
import { RangePicker } from "../charts/RangePicker";
import { EventTable } from "../events/EventTable";
import { OkIcon } from "../kit/icons";
import { Empty, Loaded, Page, Section } from "../kit/Page";
import { StaleMark, UpDown } from "../kit/state";
import { ageSeconds, Ago, durationText, staleAfter } from "../kit/time";
import { Charts } from "./Charts";
import { Checks } from "./Checks";
import { Explorer } from "./Explorer";
import { Facts } from "./Facts";
import { useMarks } from "./marks";

export function HostPage() {
  const { cluster = "", name = "" } = useParams();
  const host = useHost(cluster, name);
  return (
    <Page title={<Title name={name} cluster={cluster} host={host.data?.host} />} name={name} side={host.data && <Seen host={host.data.host} />}>
      <Loaded query={host} rows={10}>{(detail) => <Detail detail={detail} />}</Loaded>
    </Page>
  );
}

function Title({ name, cluster, host }: { name: string; cluster: string; host: Host | undefined }) {
  return (
    <span className="kw-line">
      {host && <UpDown up={host.up} strong />}
      <span>{name}</span>
      <span className="kw-dim kw-title-cluster">{cluster}</span>
    </span>
  );
}

function Seen({ host }: { host: Host }) {
  const { t } = useTranslation();
  const now = useNow();
  const age = ageSeconds(host.last_seen, now);
  if (age > staleAfter) {
    return <span className="kw-fresh kw-hatched"><StaleMark word={t("hosts.silent", { duration: durationText(age, t) })} /></span>;
  }
  return <span className="kw-dim kw-small">{t("hosts.lastSeen")} <Ago at={host.last_seen} /></span>;
}

function Detail({ detail }: { detail: HostDetail }) {
  const { t } = useTranslation();
  const { host, alerts, events, metrics, checks } = detail;
  const range = useRange();
  const marks = useMarks(host, range);
  const open = alerts.filter((alert) => alert.state !== "ok");
  return (
    <>
      {open.length > 0 ? (
        <AlertTable label={t("nav.alerts")} alerts={open} withHost={false} order="state" empty={null} main />
      ) : (
        <p className="kw-well"><OkIcon /> {t("hosts.noAlerts")}</p>
      )}
      <Facts detail={detail} />
      {checks.length > 0 && <Section title={t("hosts.checks")}><Checks cluster={host.cluster} checks={checks} /></Section>}
      <div className="kw-charts-bar">
        <h2>{t("hosts.charts")}</h2>
        <RangePicker range={range} />
      </div>
      <Charts host={host} metrics={metrics} range={range} marks={marks} />
      <Explorer host={host} metrics={metrics} range={range} marks={marks} />
      <Section title={t("nav.events")}>
        <EventTable events={events} label={t("nav.events")} withHost={false} empty={<Empty>{t("hosts.noEvents")}</Empty>} />
      </Section>
    </>
  );
}
