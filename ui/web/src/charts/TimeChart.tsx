// One chart over time. React gives it data; the cursor's values are written straight into the page, because a
// rendering for every movement of the pointer over twenty charts would stutter.
import "uplot/dist/uPlot.min.css";
import "./charts.css";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef } from "react";
import { useTranslation } from "react-i18next";
import uPlot from "uplot";
import { shortTime } from "../kit/time";
import { grid, lastIndex, type Values } from "./align";
import { drawOverlay, inks, nearestMark, type Band, type Mark, type Overlay } from "./draw";
import type { Line as Threshold } from "./levels";
import { strokes } from "./palette";
import { options, type Line } from "./plot";
import type { Window } from "./range";
import { figure } from "./units";

export type Drawn = { label: string; values: Values };

type Props = {
  title: string; // what is drawn, for those who cannot see it
  window: Window;
  live: boolean; // the range ends now: data that is late is hatched
  series: Drawn[];
  unit: string;
  height?: number;
  top?: number | null;
  thresholds?: Threshold[];
  fitThresholds?: boolean;
  marks?: Mark[];
  band?: Band[];
  sync?: string;
  onZoom: (start: number, end: number) => void;
  onBack: () => void;
};

const none: never[] = [];
const lateAfter = 75; // seconds: four intervals of 15 s, and the time a sample travels

export function TimeChart(props: Props) {
  const { window: shown, series, unit, height = 150, top = null, sync = "page", title } = props;
  const { t, i18n } = useTranslation();
  const scheme = useComputedColorScheme("light");
  const holder = useRef<HTMLDivElement>(null);
  const legend = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);

  const columns = useMemo(() => series.map((s) => s.values), [series]);
  const last = lastIndex(columns);
  const lastTime = last < 0 ? shown.start : shown.start + last * shown.step;
  const late = props.live && shown.end - lastTime > Math.max(lateAfter, 2 * shown.step);

  const labels = series.map((s) => s.label).join("\n");
  const lines = useMemo((): Line[] => {
    const all = labels === "" ? [] : labels.split("\n");
    const colors = strokes(all);
    return all.map((label) => {
      const stroke = colors.get(label)!;
      return { label, color: stroke[scheme], dash: stroke.dash };
    });
  }, [labels, scheme]);

  // What the plot's callbacks read; they outlive a rendering.
  const overlay: Overlay = {
    unit,
    lines: props.thresholds ?? none,
    marks: props.marks ?? none,
    band: props.band ?? none,
    lateFrom: late ? lastTime : null,
  };
  const latest = useRef({ props, overlay, shown, columns, last });
  latest.current = { props, overlay, shown, columns, last };

  useEffect(() => {
    const element = holder.current;
    if (!element) return;
    const ink = inks();
    const language = i18n.language;
    const tell = (u: uPlot) => {
      const now = latest.current;
      const at = u.cursor.idx ?? null;
      const over = u.cursor.left !== undefined && u.cursor.left >= 0 && at !== null;
      writeLegend(legend.current, now.columns, over ? at : now.last, unit, over ? u.data[0][at!] : undefined, language);
      // All charts share the cursor, but only the one under the pointer tells of the event there.
      const here = over && u.over.matches(":hover");
      writeTip(tip.current, u, here ? nearestMark(u, now.overlay.marks, u.cursor.left!) : null, language);
    };
    const made = new uPlot(
      options(
        {
          lines, unit, height, top, sync, language, ink,
          window: () => latest.current.shown,
          overlay: () => latest.current.overlay,
          fitLines: props.fitThresholds ?? false,
          onZoom: (start, end) => latest.current.props.onZoom(start, end),
          onBack: () => latest.current.props.onBack(),
          onCursor: tell,
          onDraw: (u) => drawOverlay(u, latest.current.overlay, ink),
        },
        Math.max(80, element.clientWidth),
      ),
      [grid(latest.current.shown), ...latest.current.columns] as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const resize = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== made.width) made.setSize({ width, height });
    });
    resize.observe(element);
    return () => {
      resize.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [lines, unit, height, top, sync, i18n.language, props.fitThresholds]);

  useEffect(() => {
    plot.current?.setData([grid(shown), ...columns] as uPlot.AlignedData);
  }, [shown, columns, lines]);

  const overlayKey = JSON.stringify(overlay);
  useEffect(() => {
    // Thresholds move the axis as well, so the scales are computed anew.
    if (plot.current) plot.current.setData(plot.current.data);
  }, [overlayKey]);

  useEffect(() => {
    writeLegend(legend.current, columns, last, unit, undefined, i18n.language);
  }, [columns, last, unit, lines, i18n.language]);

  const summary = series.slice(0, 4).map((s, i) => `${s.label} ${figure(columns[i]?.[last] ?? null, unit)}`).join(", ");
  return (
    <div className="kw-chart">
      <div className="kw-plot" ref={holder} role="img" aria-label={`${title}: ${summary || t("chart.empty")}`}>
        <div className="kw-tip" ref={tip} hidden />
        {last < 0 && <div className="kw-nodata">{t("chart.empty")}</div>}
      </div>
      <div className="kw-legend" ref={legend} aria-hidden="true">
        <span className="kw-legend-time" />
        {lines.map((line) => (
          <span key={line.label} className="kw-legend-item">
            <svg width="16" height="8"><line x1="0" x2="16" y1="4" y2="4" stroke={line.color} strokeWidth="2" strokeDasharray={line.dash?.join(" ")} /></svg>
            <span className="kw-legend-label" title={line.label}>{line.label}</span>
            <span className="kw-legend-value" />
          </span>
        ))}
      </div>
    </div>
  );
}

function writeLegend(legend: HTMLElement | null, columns: Values[], at: number, unit: string, time: number | undefined, language: string) {
  if (!legend) return;
  const clock = legend.querySelector(".kw-legend-time");
  if (clock) clock.textContent = time === undefined ? "" : shortTime(time * 1000, Date.now(), language);
  legend.querySelectorAll(".kw-legend-value").forEach((element, i) => {
    element.textContent = figure(columns[i]?.[at] ?? null, unit);
  });
}

function writeTip(tip: HTMLElement | null, u: uPlot, mark: Mark | null, language: string) {
  if (!tip) return;
  tip.hidden = mark === null;
  if (!mark) return;
  tip.textContent = `${shortTime(mark.time * 1000, Date.now(), language)}  ${mark.text}`;
  const x = u.valToPos(mark.time, "x") + u.over.offsetLeft;
  const width = tip.offsetWidth;
  tip.style.left = `${Math.max(0, Math.min(u.width - width, x - width / 2))}px`;
}
