// One metric over all hosts: who stands out.
import { Button } from "@mantine/core";
import { useTranslation } from "react-i18next";
import { Link, useParams } from "react-router";
import { plotted } from "../api/prometheus";
import { useMetrics } from "../api/queries";
import { useMay } from "../app/session";
import { MetricChart } from "../charts/MetricChart";
import { useRange } from "../charts/range";
import { RangePicker } from "../charts/RangePicker";
import { unitOf } from "../charts/units";
import { Empty, Loaded, Page } from "../kit/Page";

const most = 50; // series

export function MetricPage() {
  const { name = "" } = useParams();
  const { t } = useTranslation();
  const operator = useMay("operator");
  const metrics = useMetrics();
  const range = useRange();
  return (
    <Page
      title={<span className="kw-metric-name">{name}</span>}
      name={name}
      side={
        <>
          {operator && <Button component={Link} to={`/thresholds/new?metric=${encodeURIComponent(name)}`} variant="default">{t("thresholds.addFor")}</Button>}
          <RangePicker range={range} />
        </>
      }
    >
      <Loaded query={metrics}>
        {({ items }) => {
          const metric = items.find((m) => m.name === name);
          if (!metric) return <Empty action={<Link to="/hosts">{t("nav.hosts")}</Link>}>{t("metric.none", { name })}</Empty>;
          const transform = metric.kind === "counter" ? "rate" : "value";
          const asked = [{ expr: (step: number) => `topk(${most}, ${plotted(metric.name, metric.kind, transform, step)})` }];
          return (
            <>
              {(metric.title || metric.description) && (
                <p>{metric.title && <strong>{metric.title}</strong>}{metric.title && metric.description && ": "}{metric.description}</p>
              )}
              <p className="kw-dim kw-small">{t("metric.about", { kind: t(`kind.${metric.kind}`), count: metric.hosts })}</p>
              <MetricChart title={transform === "rate" ? t("metric.rate") : t("metric.value")} asked={asked} unit={unitOf(metric.unit, transform)} range={range} height={360} most={most} />
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}
