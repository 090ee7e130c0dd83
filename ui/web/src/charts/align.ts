// From the answer of a range query to the columns of a chart. What is missing stays missing: null, never a bridge.
import type { Series } from "../api/prometheus";
import type { Window } from "./range";

export type Values = (number | null)[];

// grid is the time column that all series of a window share.
export function grid({ start, end, step }: Window): number[] {
  const xs: number[] = [];
  for (let t = start; t <= end; t += step) xs.push(t);
  return xs;
}

export function column(values: [number, number][], window: Window): Values {
  const length = Math.floor((window.end - window.start) / window.step) + 1;
  const out: Values = new Array<number | null>(Math.max(0, length)).fill(null);
  for (const [t, v] of values) {
    const i = Math.round((t - window.start) / window.step);
    if (i >= 0 && i < out.length && Number.isFinite(v)) out[i] = v;
  }
  return out;
}

// names calls each series by what sets it apart from the others; one alone is called by the fallback.
export function names(all: Series[], fallback: string): string[] {
  const keys = new Set(all.flatMap((s) => Object.keys(s.labels)));
  const varying = [...keys].sort().filter((key) => new Set(all.map((s) => s.labels[key] ?? "")).size > 1);
  // Where a filesystem is mounted says more than its device and type, and says it alone.
  const telling = varying.includes("mountpoint") ? varying.filter((key) => key !== "device" && key !== "fstype") : varying;
  return all.map((s) => {
    const parts = telling.map((key) => s.labels[key] ?? "").filter((part) => part !== "");
    return parts.length === 0 ? fallback : parts.join(" · ");
  });
}

// isolated are the points without a neighbour: a line cannot show them, so they are drawn as dots.
export function isolated(values: ArrayLike<number | null | undefined>): number[] {
  const out: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) out.push(i);
  }
  return out;
}

// lastIndex is where the newest value of any of the columns is; -1: nowhere.
export function lastIndex(columns: Values[]): number {
  let last = -1;
  for (const values of columns) {
    for (let i = values.length - 1; i > last; i--) {
      if (values[i] != null) {
        last = i;
        break;
      }
    }
  }
  return last;
}
