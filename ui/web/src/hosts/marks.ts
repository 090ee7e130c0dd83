import { useMemo } from "react";
import { useEvents } from "../api/queries";
import type { Host } from "../api/types";
import type { Mark } from "../charts/draw";
import type { Range } from "../charts/range";

const grain = 300; // seconds; asks anew for events each five minutes of a moving range, and at once when told of one

// useMarks is what happened on a host within a range, for its charts.
export function useMarks(host: Host, range: Range): Mark[] {
  const since = Math.floor(range.window.start / grain) * grain;
  const until = range.last === null ? range.window.end : undefined;
  const events = useEvents({
    cluster: host.cluster,
    host: host.name,
    since: new Date(since * 1000).toISOString(),
    until: until === undefined ? undefined : new Date(until * 1000).toISOString(),
    limit: 200,
  }).data?.items;
  return useMemo(() => (events ?? []).map((event) => ({ time: Date.parse(event.time) / 1000, text: event.text })), [events]);
}
