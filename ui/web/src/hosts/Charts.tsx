import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useThresholds } from "../api/queries";
import type { Host, HostMetric, Threshold } from "../api/types";
import type { Mark } from "../charts/draw";
import { lines, matchesHost, type Line } from "../charts/levels";
import { MetricChart } from "../charts/MetricChart";
import type { Range } from "../charts/range";
import { askPart, groups, present, type ChartPlan } from "./groups";

type Props = { host: Host; metrics: HostMetric[]; range: Range; marks: Mark[] };

// linesOf are the thresholds that watch what a chart draws on this host.
function linesOf(plan: ChartPlan, host: Host, rules: Threshold[]): Line[] {
  const watching = rules.filter(
    (rule) =>
      rule.enabled &&
      matchesHost(rule.hosts, host.cluster, host.name) &&
      plan.parts.some((part) => part.metric === rule.metric && part.transform === rule.transform),
  );
  return watching.flatMap((rule) => lines(rule.warning, rule.critical));
}

export function Charts({ host, metrics, range, marks }: Props) {
  const { t } = useTranslation();
  const shown = useMemo(() => present(groups, metrics), [metrics]);
  return (
    <>
      {shown.map((group) => (
        <section key={group.id} className="kw-group" id={group.id}>
          <h2>{t(`group.${group.id}`)}</h2>
          <div className="kw-grid">
            {group.charts.map((plan) => (
              <HostChart key={plan.id} title={t(`chart.${plan.id}`)} plan={plan} host={host} range={range} marks={marks} />
            ))}
          </div>
        </section>
      ))}
    </>
  );
}

type ChartProps = { title: string; plan: ChartPlan; host: Host; range: Range; marks: Mark[]; side?: React.ReactNode };

export function HostChart({ title, plan, host, range, marks, side }: ChartProps) {
  const { t } = useTranslation();
  const rules = useThresholds().data?.items;
  const thresholds = useMemo(() => linesOf(plan, host, rules ?? []), [plan, host, rules]);
  const target = { cluster: host.cluster, host: host.name };
  const asked = plan.parts.map((part) => askPart(part, target, part.label ? t(`series.${part.label}`) : undefined));
  return (
    <MetricChart title={title} side={side} asked={asked} unit={plan.unit} top={plan.top ?? null} range={range} marks={marks} thresholds={thresholds} />
  );
}
