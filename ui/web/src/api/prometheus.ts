// Range queries over the Prometheus-compatible API, and the PromQL that the charts ask for.
import { ApiError } from "./client";
import type { Labels, Transform } from "./types";

export type Series = { labels: Labels; values: [number, number][] };

type Answer = {
  status: string;
  error?: string;
  data?: { result: { metric: Labels; values: [number, string][] }[] };
};

// queryRange asks for one expression; times in Unix seconds.
export async function queryRange(
  expr: string,
  range: { start: number; end: number; step: number },
  signal?: AbortSignal,
): Promise<Series[]> {
  const search = new URLSearchParams({
    query: expr,
    start: String(range.start),
    end: String(range.end),
    step: String(range.step),
  });
  let answer: Response;
  try {
    answer = await fetch(`/prometheus/api/v1/query_range?${search}`, { signal });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError(0, "");
  }
  const body = (await answer.json().catch(() => ({ status: "error" }))) as Answer;
  if (!answer.ok || body.status !== "success") {
    throw new ApiError(answer.status, body.error ?? `HTTP ${answer.status}`);
  }
  return (body.data?.result ?? []).map((r) => ({
    labels: r.metric,
    values: r.values.map(([t, v]) => [t, Number(v)]),
  }));
}

const quote = (s: string) => JSON.stringify(s);

// selector writes metric{a="b",…}.
export function selector(metric: string, labels: Labels): string {
  const matchers = Object.entries(labels).map(([name, value]) => `${name}=${quote(value)}`);
  return `${metric}{${matchers.join(",")}}`;
}

// Windows over which a point of a chart looks back. PromQL by itself repeats a series' last value for minutes after it
// has ended, which would draw a line where nothing was measured; so no point may look back further than about three
// collecting intervals of 15 s.
const freshSeconds = 45;
const rateSeconds = 60;

// plotted is the expression that draws a metric without covering its gaps: averages where a point stands for more
// than one sample, the newest sample where it does not, the last state where averages would be nonsense.
export function plotted(selected: string, kind: string, transform: Transform, step: number): string {
  if (transform === "rate") return `rate(${selected}[${Math.max(step, rateSeconds)}s])`;
  if (kind === "state" || step < freshSeconds) return `last_over_time(${selected}[${Math.max(step, freshSeconds)}s])`;
  return `avg_over_time(${selected}[${step}s])`;
}
