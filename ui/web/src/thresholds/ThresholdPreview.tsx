// What a threshold would do, shown while it is typed: the metric with its lines, how often it would have fired.
import { useDebouncedValue } from "@mantine/hooks";
import { useTranslation } from "react-i18next";
import { plotted } from "../api/prometheus";
import { useMetrics, usePreview, type PreviewInput } from "../api/queries";
import { lines } from "../charts/levels";
import { MetricChart } from "../charts/MetricChart";
import { useRange } from "../charts/range";
import { RangePicker } from "../charts/RangePicker";
import { unitOf } from "../charts/units";
import { errorText } from "../kit/Page";
import { mistakes, parsed, type Typed } from "./input";

// previewable is the part of the form that the server can judge already; levels that are not yet right are left out, so
// that the chart stands while they are typed.
function previewable(typed: Typed): PreviewInput | null {
  const wrong = mistakes({ ...typed, name: "-" });
  if (wrong.metric || wrong.labels || wrong.for_seconds) return null;
  const { metric, hosts, labels, transform, warning, critical, for_seconds } = parsed(typed);
  return { metric, hosts, labels, transform, warning: wrong.warning ? "" : warning, critical: wrong.critical ? "" : critical, for_seconds };
}

// drawn makes what the chart asks of the server's expression, which may join several selectors with "or".
function drawn(expr: string, transform: Typed["transform"], step: number): string {
  if (transform === "rate") return expr;
  return expr.split(" or ").map((term) => plotted(term, "gauge", "value", step)).join(" or ");
}

export function ThresholdPreview({ typed }: { typed: Typed }) {
  const { t } = useTranslation();
  const range = useRange("1h");
  const input = previewable(typed);
  const [asked] = useDebouncedValue(JSON.stringify(input), 350);
  const preview = usePreview(JSON.parse(asked) as PreviewInput | null);
  const unit = useMetrics().data?.items.find((m) => m.name === typed.metric)?.unit ?? "";
  if (input === null) return <aside className="kw-preview"><p className="kw-dim">{t("thresholds.previewLater")}</p></aside>;
  return (
    <aside className="kw-preview">
      <div className="kw-preview-bar"><RangePicker range={range} /></div>
      {preview.data && (
        <MetricChart
          key={typed.metric}
          title={typed.metric}
          asked={[{ expr: (step) => drawn(preview.data.expr, typed.transform, step) }]}
          unit={unitOf(unit, typed.transform)}
          range={range}
          height={260}
          thresholds={lines(typed.warning, typed.critical)}
          fitThresholds
        />
      )}
      {preview.error && <p className="kw-small" data-tone="critical" role="alert">{errorText(preview.error, t)}</p>}
      {preview.data && (
        <dl className="kw-foresight" aria-live="polite" data-stale={preview.isPlaceholderData || undefined}>
          <div><dt>{t("thresholds.matching")}</dt><dd>{preview.data.series}</dd></div>
          <div><dt>{t("thresholds.firingNow")}</dt><dd>{preview.data.firing_now}</dd></div>
          <div><dt>{t("thresholds.fired24h")}</dt><dd>{t("thresholds.times", { count: preview.data.fired_24h })}</dd></div>
        </dl>
      )}
      {preview.data?.series === 0 && <p className="kw-small">{t("thresholds.matchesNothing")}</p>}
    </aside>
  );
}
