// The states of an alert over time, as a band under its chart.
import type { Alert, AlertEvent } from "../api/types";
import type { Band } from "../charts/draw";

// bandOf joins what happened into spans without holes; before the first known change stands the state it came from.
export function bandOf(events: AlertEvent[], alert: Pick<Alert, "state" | "since">, now: number): Band[] {
  const changes = events
    .filter((event) => event.from !== event.to)
    .map((event) => ({ at: Date.parse(event.time) / 1000, from: event.from, to: event.to }))
    .sort((a, b) => a.at - b.at);
  const first = changes[0];
  if (!first) return [{ from: Date.parse(alert.since) / 1000, to: now, state: alert.state }];
  const band: Band[] = [{ from: 0, to: first.at, state: first.from }];
  changes.forEach((change, i) => band.push({ from: change.at, to: changes[i + 1]?.at ?? now, state: change.to }));
  return band;
}
