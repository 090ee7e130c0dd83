// The time range of a page: in the address, moving while it ends now, fixed while it lies between two times.
import { useCallback, useMemo } from "react";
import { useLocation, useNavigate, useSearchParams } from "react-router";
import { useNow } from "../api/clock";

export const lasts = { "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400, "7d": 604_800 } as const;
export type Last = keyof typeof lasts;

// Window is what a chart shows, in Unix seconds: points from start to end, one each step, all multiples of the step.
export type Window = { start: number; end: number; step: number };

const steps = [5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 86_400];
const points = 300; // about as many as a chart can show apart

export function stepOf(seconds: number): number {
  return steps.find((step) => seconds / step <= points) ?? 86_400;
}

export function windowOf(start: number, end: number): Window {
  const step = stepOf(end - start);
  return { start: Math.floor(start / step) * step, end: Math.floor(end / step) * step, step };
}

export type Range = {
  last: Last | null; // null: a fixed range
  window: Window;
  setLast: (last: Last) => void;
  zoom: (start: number, end: number) => void;
  back: () => void;
};

const stamp = (seconds: number) => new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z");

export function useRange(standard: Last = "1h"): Range {
  const [search, setSearch] = useSearchParams();
  const navigate = useNavigate();
  const location = useLocation();
  const from = Date.parse(search.get("from") ?? "") / 1000;
  const to = Date.parse(search.get("to") ?? "") / 1000;
  const fixed = Number.isFinite(from) && Number.isFinite(to) && to > from;
  const asked = search.get("range") ?? standard;
  const last: Last = asked in lasts ? (asked as Last) : standard;
  const now = useNow(stepOf(lasts[last])) / 1000;
  const window = useMemo(
    () => (fixed ? windowOf(from, to) : windowOf(now - lasts[last], now)),
    [fixed, from, to, now, last],
  );

  const change = useCallback(
    (set: Record<string, string>, state: unknown) =>
      setSearch(
        (before) => {
          const next = new URLSearchParams(before);
          for (const name of ["range", "from", "to"]) next.delete(name);
          for (const [name, value] of Object.entries(set)) next.set(name, value);
          return next;
        },
        { preventScrollReset: true, state },
      ),
    [setSearch],
  );
  const setLast = useCallback(
    (name: Last) => change(name === standard ? {} : { range: name }, null),
    [change, standard],
  );
  const zoom = useCallback(
    (start: number, end: number) => change({ from: stamp(start), to: stamp(Math.max(end, start + 60)) }, { zoomed: true }),
    [change],
  );
  // Back leaves one zoom; an address that was opened zoomed has nothing behind it and goes to the usual range.
  const zoomed = (location.state as { zoomed?: boolean } | null)?.zoomed === true;
  const back = useCallback(() => {
    if (zoomed) void navigate(-1);
    else if (fixed) setLast(standard);
  }, [zoomed, fixed, navigate, setLast, standard]);
  return { last: fixed ? null : last, window, setLast, zoom, back };
}
