// A chart that asks for its own data: only while it can be seen, and again when the range moves.
import { keepPreviousData, useQueries } from "@tanstack/react-query";
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
  const answers = useQueries({
    queries: asked.map((one) => {
      const expr = one.expr(shown.step);
      return {
        queryKey: ["series", expr, shown.start, shown.end],
        queryFn: ({ signal }: { signal: AbortSignal }) => queryRange(expr, shown, signal),
        enabled: seen,
        placeholderData: keepPreviousData,
        staleTime: 60_000,
        gcTime: 60_000,
        refetchOnWindowFocus: false,
      };
    }),
  });
  const datas = answers.map((a) => a.data);
  const error = answers.find((a) => a.error)?.error;
  const { series, left } = useMemo(
    () => draw(asked, datas, shown, title, most),
    // The answers are what changes; asked is rebuilt by callers with every rendering.
    [...datas, shown, title, most],
  );
  const waiting = datas.some((d) => d === undefined) && !error;
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

function draw(asked: Asked[], answers: (Series[] | undefined)[], shown: Range["window"], title: string, most: number) {
  const all: Drawn[] = [];
  answers.forEach((series, i) => {
    if (!series) return;
    const label = asked[i]?.label;
    const called = names(series, label ?? title);
    series.forEach((one, n) => {
      const name = called[n] ?? title;
      all.push({ label: label && name !== label ? `${label} ${name}` : name, values: column(one.values, shown) });
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
