// One alert: what is wrong, since when, who has it, what the metric did, who was told, and what else happened around.
import "./alerts.css";
import { Button } from "@mantine/core";
import { useMemo, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { serverNow } from "../api/clock";
import { plotted, selector } from "../api/prometheus";
import { useAcknowledge, useAlert, useAlerts, useThreshold } from "../api/queries";
import type { Alert, AlertDetail, Transform } from "../api/types";
import { useMay } from "../app/session";
import { lines } from "../charts/levels";
import { MetricChart } from "../charts/MetricChart";
import { lasts, useRange, type Last } from "../charts/range";
import { RangePicker } from "../charts/RangePicker";
import { figure, unitOf } from "../charts/units";
import { EventTable } from "../events/EventTable";
import { Empty, Loaded, Page, Section } from "../kit/Page";
import { AcknowledgedMark, StateMark } from "../kit/state";
import { Ago, At, Lasting } from "../kit/time";
import { labelText } from "../kit/labels";
import { MessageTable } from "../contacts/MessageTable";
import { useAcknowledging } from "./Acknowledge";
import { AlertTable } from "./AlertTable";
import { bandOf } from "./band";
import { HistoryTable } from "./HistoryTable";
import { hostPath, metricPath } from "../kit/path";

export function AlertPage() {
  const { id = "" } = useParams();
  const { t } = useTranslation();
  const alert = useAlert(id);
  const name = alert.data?.alert.rule_name ?? t("alert.title");
  return (
    <Page title={<Title alert={alert.data?.alert} />} name={name} side={alert.data && <Actions alert={alert.data.alert} />}>
      <Loaded query={alert}>{(detail) => <Detail detail={detail} />}</Loaded>
    </Page>
  );
}

function Title({ alert }: { alert: Alert | undefined }) {
  const { t } = useTranslation();
  if (!alert) return t("alert.title");
  return (
    <span className="kw-line">
      <StateMark state={alert.state} strong />
      <span>{alert.rule_name}</span>
    </span>
  );
}

function Actions({ alert }: { alert: Alert }) {
  const { t } = useTranslation();
  const operator = useMay("operator");
  const { open, dialog } = useAcknowledging();
  const undo = useAcknowledge();
  if (!operator || alert.state === "ok") return null;
  if (alert.acknowledged_by !== null) {
    return (
      <Button variant="default" loading={undo.isPending} onClick={() => undo.mutate({ id: alert.id, comment: null })}>
        {t("alert.release")}
      </Button>
    );
  }
  return <><Button onClick={() => open(alert)}>{t("action.acknowledge")}</Button>{dialog}</>;
}

function Detail({ detail }: { detail: AlertDetail }) {
  const { t } = useTranslation();
  const { alert } = detail;
  const rule = useThreshold(alert.rule_id).data;
  const others = useAlerts({ state: "open", host: alert.host }).data?.items.filter((a) => a.id !== alert.id && a.cluster === alert.cluster);
  return (
    <>
      <div className="kw-alert">
        <Facts alert={alert} />
        {alert.description && <p className="kw-description">{alert.description}</p>}
      </div>
      <AlertChart detail={detail} transform={rule?.transform ?? "value"} />
      <div className="kw-columns">
        <div>
          {others !== undefined && others.length > 0 && (
            <Section title={t("alert.others", { host: alert.host })}>
              <AlertTable label={t("alert.others", { host: alert.host })} alerts={others} withHost={false} empty={null} />
            </Section>
          )}
          <Section title={t("alert.history")}>
            <HistoryTable events={detail.events} unit={unitOf(alert.unit, rule?.transform ?? "value")} />
          </Section>
          <Section title={t("alert.messages")}>
            <MessageTable
              messages={detail.notifications}
              empty={<Empty action={<Link to={`/thresholds/${alert.rule_id}`}>{t("alert.chooseContacts")}</Link>}>{t("alert.noMessages")}</Empty>}
            />
          </Section>
        </div>
        <Section title={t("alert.around")} side={t("alert.aroundSide", { cluster: alert.cluster })}>
          <EventTable withKind={false} events={detail.around} label={t("alert.around")} empty={<Empty>{t("alert.nothingAround")}</Empty>} />
        </Section>
      </div>
    </>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return <><dt>{name}</dt><dd>{children}</dd></>;
}

function Facts({ alert }: { alert: Alert }) {
  const { t } = useTranslation();
  return (
    <dl className="kw-facts">
      <Fact name={t("column.host")}>
        <Link to={hostPath(alert.cluster, alert.host)}>{alert.host}</Link> <span className="kw-dim">{alert.cluster}</span>
      </Fact>
      <Fact name={t("column.since")}><At time={alert.since} /> <span className="kw-dim">(<Lasting since={alert.since} />)</span></Fact>
      <Fact name={t("column.value")}>
        <strong className="kw-num">{figure(alert.value, alert.unit)}</strong> <span className="kw-dim"><Ago at={alert.updated_at} /></span>
      </Fact>
      <Fact name={t("alert.metric")}>
        <Link to={metricPath(alert.metric)} className="kw-mono">{alert.metric}</Link> <span className="kw-dim">{labelText(alert.labels)}</span>
      </Fact>
      <Fact name={t("alert.threshold")}>
        <Link to={`/thresholds/${alert.rule_id}`}>{t("alert.levels", { warning: alert.warning || "–", critical: alert.critical || "–" })}</Link>
      </Fact>
      <Fact name={t("column.owner")}>
        {alert.acknowledged_by === null ? t("alert.nobody") : (
          <><AcknowledgedMark by={alert.acknowledged_by} /> <span className="kw-dim"><Ago at={alert.acknowledged_at} /></span> {alert.ack_comment}</>
        )}
      </Fact>
    </dl>
  );
}

// lastFor is the range that shows an alert of this age with what came before it.
function lastFor(age: number): Last {
  const names = Object.keys(lasts) as Last[];
  return names.find((name) => name !== "15m" && lasts[name] > age * 1.3) ?? "7d";
}

function AlertChart({ detail, transform }: { detail: AlertDetail; transform: Transform }) {
  const { t } = useTranslation();
  const { alert } = detail;
  const range = useRange(lastFor((serverNow() - Date.parse(alert.since)) / 1000));
  const selected = selector(alert.metric, { cluster: alert.cluster, host: alert.host, ...alert.labels });
  const asked = [{ expr: (step: number) => plotted(selected, "gauge", transform, step) }];
  const marks = useMemo(
    () => detail.around.map((event) => ({ time: Date.parse(event.time) / 1000, text: `${event.host} ${event.text}` })),
    [detail.around],
  );
  const band = useMemo(() => bandOf(detail.events, alert, serverNow() / 1000), [detail.events, alert]);
  return (
    <Section title={t("alert.chart")} side={<RangePicker range={range} />}>
      <MetricChart
        title={alert.metric}
        asked={asked}
        unit={unitOf(alert.unit, transform)}
        range={range}
        height={220}
        thresholds={lines(alert.warning, alert.critical)}
        fitThresholds
        marks={marks}
        band={band}
      />
    </Section>
  );
}
