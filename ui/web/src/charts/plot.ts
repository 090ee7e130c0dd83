// How every chart of the app is set up in uPlot.
import uPlot from "uplot";
import { isolated } from "./align";
import { axisSteps, figure } from "./units";
import type { Inks, Overlay } from "./draw";
import type { Window } from "./range";

export type Line = { label: string; color: string; dash?: number[] };

export type Setup = {
  lines: Line[];
  unit: string;
  height: number;
  top: number | null; // the fixed upper end of the axis, such as 1 for a ratio of a whole
  sync: string;
  language: string;
  ink: Inks;
  window: () => Window;
  overlay: () => Overlay;
  fitLines: boolean; // thresholds always in sight
  onZoom: (start: number, end: number) => void;
  onBack: () => void;
  onCursor: (u: uPlot) => void;
  onDraw: (u: uPlot) => void;
};

// yRange keeps zero in sight, leaves air above, and takes thresholds in as far as they do not flatten the data.
export function yRange(min: number | null, max: number | null, top: number | null, lines: number[], fit: boolean): [number, number] {
  let low = Math.min(0, min ?? 0);
  let high = max ?? 0;
  for (const value of lines) {
    if (!fit && value > 4 * Math.max(high, 0) && max !== null) continue;
    high = Math.max(high, value);
    low = Math.min(low, value);
  }
  if (top !== null) return [low, Math.max(top, high)];
  if (high <= low) return [low, low + 1];
  return [low < 0 ? low * 1.08 : 0, high * 1.08];
}

const clock = (language: string, options: Intl.DateTimeFormatOptions) =>
  new Intl.DateTimeFormat(language, { hourCycle: "h23", ...options });

function timeTicks(language: string) {
  const time = clock(language, { hour: "2-digit", minute: "2-digit" });
  const exact = clock(language, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const day = clock(language, { month: "2-digit", day: "2-digit" });
  return (_: uPlot, splits: number[], __: number, ___: number, increment: number) => {
    let before = "";
    return splits.map((s) => {
      const date = new Date(s * 1000);
      const today = day.format(date);
      if (increment >= 86_400) return today;
      const text = increment < 60 ? exact.format(date) : time.format(date);
      const turned = before !== "" && before !== today;
      before = today;
      return turned ? `${text}\n${today}` : text;
    });
  };
}

function axes(setup: Setup): uPlot.Axis[] {
  const { ink, unit } = setup;
  const common = {
    stroke: ink.dim,
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
    grid: { stroke: ink.grid, width: 1 },
    ticks: { show: false },
  };
  const incrs = axisSteps(unit);
  return [
    { ...common, size: 36, gap: 4, space: 64, values: timeTicks(setup.language) },
    {
      ...common,
      size: 62,
      gap: 4,
      space: 26,
      ...(incrs.length > 0 ? { incrs } : {}),
      values: (_, splits) => splits.map((v) => figure(v, unit)),
    },
  ];
}

const pointing = (type: string) => type === "mousemove" || type === "mouseleave";

export function options(setup: Setup, width: number): uPlot.Options {
  return {
    width,
    height: setup.height,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: {
      // Charts share where the pointer is; a drag or a double click is meant for one of them and acts once.
      sync: { key: setup.sync, filters: { pub: pointing, sub: pointing } },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
      // Our own double click: back in the address, not to the whole of the data.
      bind: { dblclick: () => () => (setup.onBack(), null) },
    },
    scales: {
      x: {
        time: true,
        range: () => {
          const { start, end } = setup.window();
          return [start, end];
        },
      },
      y: {
        range: (_, min, max) =>
          yRange(min, max, setup.top, setup.overlay().lines.map((l) => l.value), setup.fitLines),
      },
    },
    axes: axes(setup),
    series: [
      {},
      ...setup.lines.map(
        (line): uPlot.Series => ({
          label: line.label,
          stroke: line.color,
          width: 1.5,
          dash: line.dash,
          spanGaps: false,
          points: { show: true, size: 4, fill: line.color, filter: (u, i) => isolated(u.data[i] ?? []) },
        }),
      ),
    ],
    hooks: {
      setSelect: [
        (u) => {
          if (u.select.width < 6) return;
          setup.onZoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        },
      ],
      setCursor: [setup.onCursor],
      draw: [setup.onDraw],
    },
  };
}
