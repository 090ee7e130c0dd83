// A chart that asks for its own data: only while it can be seen, and again when the range moves.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { queryRange, type Series } from "../api/prometheus";
import { errorText } from "../kit/Page";
import { column, names } from "./align";
import type { Band, Mark } from "./draw";
import type { Line } from "./levels";
import type { Range } from "./range";
import { TimeChart, type Drawn } from "./TimeChart";

// Asked is one expression of a chart; where it is a function it depends on the distance of the points.
export type Asked = { expr: (step: number) => string; label?: string };

type Props = {
  title: string;
  side?: ReactNode;
  asked: Asked[];
  unit: string;
  range: Range;
  height?: number;
  top?: number | null;
  thresholds?: Line[];
  fitThresholds?: boolean;
  marks?: Mark[];
  band?: Band[];
  most?: number; // series drawn at most
};

const drawnAtMost = 24;

export function MetricChart({ title, side, asked, unit, range, most = drawnAtMost, ...rest }: Props) {
  const { t } = useTranslation();
  const [frame, seen] = useSeen();
  const shown = range.window;
  const exprs = asked.map((one) => one.expr(shown.step));
  // One query for all expressions: what was drawn stays until all that replaces it has come.
  const { data, error } = useQuery({
    queryKey: ["series", exprs, shown.start, shown.end],
    queryFn: ({ signal }) => Promise.all(exprs.map((expr) => queryRange(expr, shown, signal))),
    enabled: seen,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
    refetchOnWindowFocus: false,
  });
  const labels = asked.map((one) => one.label ?? "").join("\n");
  const { series, left } = useMemo(() => draw(labels.split("\n"), data ?? [], shown, title, most), [labels, data, shown, title, most]);
  const waiting = data === undefined && !error;
  return (
    <figure className="kw-figure" ref={frame} data-waiting={waiting || undefined}>
      <figcaption>
        <span>{title}</span>
        {left > 0 && <span className="kw-dim">{t("chart.left", { shown: most, all: most + left })}</span>}
        {error ? <span className="kw-figure-error" role="alert">{errorText(error, t)}</span> : null}
        {side}
      </figcaption>
      <TimeChart
        title={title}
        window={shown}
        live={range.last !== null && !waiting}
        series={series}
        unit={unit}
        onZoom={range.zoom}
        onBack={range.back}
        {...rest}
      />
    </figure>
  );
}

function draw(labels: string[], answers: Series[][], shown: Range["window"], title: string, most: number) {
  const all: Drawn[] = [];
  answers.forEach((series, i) => {
    const label = labels[i] ?? "";
    const called = names(series, label || title);
    series.forEach((one, n) => {
      const name = called[n] ?? title;
      all.push({ label: label !== "" && name !== label ? `${label} ${name}` : name, values: column(one.values, shown) });
    });
  });
  all.sort((a, b) => a.label.localeCompare(b.label, undefined, { numeric: true }));
  return { series: all.slice(0, most), left: Math.max(0, all.length - most) };
}

// useSeen tells whether an element is on the screen or nearly so.
function useSeen(): [React.RefObject<HTMLElement | null>, boolean] {
  const element = useRef<HTMLElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const target = element.current;
    if (!target) return;
    const observer = new IntersectionObserver(([entry]) => setSeen(entry?.isIntersecting ?? false), { rootMargin: "200px" });
    observer.observe(target);
    return () => observer.disconnect();
  }, []);
  return [element, seen];
}
