// What is drawn over a chart beyond its series: thresholds, events, the state band, and the hatching of what is late.
import type uPlot from "uplot";
import type { State } from "../api/types";
import { figure } from "./units";
import type { Line } from "./levels";

export type Mark = { time: number; text: string }; // Unix seconds
export type Band = { from: number; to: number; state: State };

export type Overlay = {
  unit: string;
  lines: Line[];
  marks: Mark[];
  band: Band[];
  lateFrom: number | null; // from here to the end nothing has arrived although it should have
};

export type Inks = Record<"ink" | "dim" | "grid" | "surface" | "warning" | "critical" | "unknown" | "ok" | "stale", string>;

// inks reads the colours of the theme that is in force; canvas knows nothing of CSS variables.
export function inks(): Inks {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim();
  return {
    ink: of("--ink"), dim: of("--ink-3"), grid: of("--grid"), surface: of("--surface"), warning: of("--warning"),
    critical: of("--critical"), unknown: of("--unknown"), ok: of("--ok"), stale: of("--stale"),
  };
}

const font = (px: number) => `${px * devicePixelRatio}px ${getComputedStyle(document.body).fontFamily}`;

function hatch(u: uPlot, from: number, ink: string) {
  const { ctx, bbox } = u;
  const left = Math.max(bbox.left, u.valToPos(from, "x", true));
  const right = bbox.left + bbox.width;
  if (right - left < 2) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, right - left, bbox.height);
  ctx.clip();
  ctx.strokeStyle = ink;
  ctx.globalAlpha = 0.35;
  ctx.lineWidth = devicePixelRatio;
  const gap = 7 * devicePixelRatio;
  ctx.beginPath();
  for (let x = left - bbox.height; x < right; x += gap) {
    ctx.moveTo(x, bbox.top + bbox.height);
    ctx.lineTo(x + bbox.height, bbox.top);
  }
  ctx.stroke();
  ctx.restore();
}

function band(u: uPlot, segments: Band[], ink: Inks) {
  const { ctx, bbox } = u;
  const height = 4 * devicePixelRatio;
  const top = bbox.top + bbox.height - height;
  for (const segment of segments) {
    const left = Math.max(bbox.left, u.valToPos(segment.from, "x", true));
    const right = Math.min(bbox.left + bbox.width, u.valToPos(segment.to, "x", true));
    if (right <= left) continue;
    ctx.fillStyle = ink[segment.state];
    ctx.fillRect(left, top, right - left, height);
  }
}

function thresholds(u: uPlot, overlay: Overlay, ink: Inks) {
  const { ctx, bbox } = u;
  // Labels stand side by side, so that lines close to one another can both be read.
  const lines = [...overlay.lines].sort((a, b) => b.value - a.value);
  for (const [i, line] of lines.entries()) {
    const y = Math.round(u.valToPos(line.value, "y", true));
    if (y < bbox.top - 1 || y > bbox.top + bbox.height + 1) continue;
    ctx.strokeStyle = ink[line.tone];
    ctx.fillStyle = ink[line.tone];
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash(line.tone === "critical" ? [] : [5 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.font = font(11);
    ctx.textAlign = "right";
    const above = y - bbox.top > 16 * devicePixelRatio;
    ctx.textBaseline = above ? "bottom" : "top";
    const text = figure(line.value, overlay.unit);
    const x = bbox.left + bbox.width - (3 + 52 * i) * devicePixelRatio;
    const ty = y + (above ? -2 : 3) * devicePixelRatio;
    ctx.lineWidth = 3 * devicePixelRatio;
    ctx.strokeStyle = ink.surface;
    ctx.strokeText(text, x, ty);
    ctx.fillText(text, x, ty);
  }
}

function marks(u: uPlot, all: Mark[], ink: Inks) {
  const { ctx, bbox } = u;
  ctx.strokeStyle = ink.dim;
  ctx.fillStyle = ink.dim;
  ctx.lineWidth = devicePixelRatio;
  const size = 4 * devicePixelRatio;
  for (const mark of all) {
    const x = Math.round(u.valToPos(mark.time, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(x - size, bbox.top);
    ctx.lineTo(x + size, bbox.top);
    ctx.lineTo(x, bbox.top + 1.4 * size);
    ctx.fill();
  }
}

export function drawOverlay(u: uPlot, overlay: Overlay, ink: Inks) {
  u.ctx.save();
  if (overlay.lateFrom !== null) hatch(u, overlay.lateFrom, ink.stale);
  marks(u, overlay.marks, ink);
  thresholds(u, overlay, ink);
  band(u, overlay.band, ink);
  u.ctx.restore();
}

// nearestMark is the mark within a few pixels of the pointer.
export function nearestMark(u: uPlot, all: Mark[], left: number): Mark | null {
  let best: Mark | null = null;
  let distance = 8;
  for (const mark of all) {
    const d = Math.abs(u.valToPos(mark.time, "x") - left);
    if (d < distance) {
      distance = d;
      best = mark;
    }
  }
  return best;
}
