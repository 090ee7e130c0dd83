// What the threshold form holds, and what is wrong with it before the server is asked.
import type { Labels, Threshold, ThresholdInput } from "../api/types";
import { parseLevel } from "../charts/levels";

export const fresh = (metric: string): ThresholdInput => ({
  name: "", metric, hosts: "*", labels: {}, transform: "value", warning: "", critical: "", for_seconds: 60,
  clear_seconds: 60, no_data: true, description: "", enabled: true, contacts: [],
});

export function inputOf(rule: Threshold): ThresholdInput {
  const { name, metric, hosts, labels, transform, warning, critical, for_seconds, clear_seconds, no_data, description, enabled, contacts } = rule;
  return { name, metric, hosts, labels, transform, warning, critical, for_seconds, clear_seconds, no_data, description, enabled, contacts };
}

// Typed is the form: labels and times as text, as they are typed.
export type Typed = Omit<ThresholdInput, "labels" | "for_seconds" | "clear_seconds"> & {
  labels: string;
  for_seconds: string;
  clear_seconds: string;
};

export const typedOf = (input: ThresholdInput): Typed => ({
  ...input,
  labels: Object.entries(input.labels).map(([name, glob]) => `${name}=${glob}`).join(", "),
  for_seconds: spanText(input.for_seconds),
  clear_seconds: spanText(input.clear_seconds),
});

const unit: Record<string, number> = { "": 1, s: 1, m: 60, min: 60, h: 3600, d: 86_400 };

// parseSpan reads "90", "90s", "5m", "1h30m"; null when it is no span.
export function parseSpan(text: string): number | null {
  const compact = text.replaceAll(" ", "");
  if (!/^(\d+(s|min|m|h|d)?)+$/.test(compact)) return compact === "" ? 0 : null;
  let sum = 0;
  for (const [, n, u] of compact.matchAll(/(\d+)(s|min|m|h|d)?/g)) sum += Number(n) * (unit[u ?? ""] ?? 1);
  return sum;
}

export function spanText(seconds: number): string {
  if (seconds === 0) return "0s";
  let rest = seconds;
  let text = "";
  for (const name of ["d", "h", "m", "s"] as const) {
    const n = Math.floor(rest / unit[name]!);
    rest -= n * unit[name]!;
    if (n > 0) text += `${n}${name}`;
  }
  return text;
}

// parseLabels reads "device=eth*, mode=busy"; null when it is not that.
export function parseLabels(text: string): Labels | null {
  const labels: Labels = {};
  for (const part of text.split(",").map((p) => p.trim()).filter((p) => p !== "")) {
    const at = part.indexOf("=");
    const name = part.slice(0, at).trim();
    if (at < 1 || !/^[a-zA-Z_]\w*$/.test(name)) return null;
    labels[name] = part.slice(at + 1).trim().replace(/^"(.*)"$/, "$1");
  }
  return labels;
}

// Mistake is the key of what is wrong with a field.
export type Mistakes = Partial<Record<keyof Typed, string>>;

export function mistakes(typed: Typed): Mistakes {
  const wrong: Mistakes = {};
  if (typed.name.trim() === "") wrong.name = "form.needed";
  if (typed.metric.trim() === "") wrong.metric = "form.needed";
  if (parseLabels(typed.labels) === null) wrong.labels = "thresholds.badLabels";
  for (const level of ["warning", "critical"] as const) {
    if (typed[level].trim() !== "" && parseLevel(typed[level]) === null) wrong[level] = "thresholds.badLevel";
  }
  if (typed.warning.trim() === "" && typed.critical.trim() === "") wrong.critical = "thresholds.noLevel";
  for (const span of ["for_seconds", "clear_seconds"] as const) {
    if (parseSpan(typed[span]) === null) wrong[span] = "thresholds.badSpan";
  }
  return wrong;
}

// parsed is the input of a form without mistakes.
export const parsed = (typed: Typed): ThresholdInput => ({
  ...typed,
  name: typed.name.trim(),
  metric: typed.metric.trim(),
  hosts: typed.hosts.trim(),
  warning: typed.warning.trim(),
  critical: typed.critical.trim(),
  labels: parseLabels(typed.labels) ?? {},
  for_seconds: parseSpan(typed.for_seconds) ?? 0,
  clear_seconds: parseSpan(typed.clear_seconds) ?? 0,
});
