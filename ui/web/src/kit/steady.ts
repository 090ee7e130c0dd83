// A row under the pointer does not jump away: while a list is held, its rows keep their places and only their values
// change; rows that came meanwhile wait, rows that went stay until the list is let go.
import { useRef } from "react";

// Steady: gone are the keys of rows that are shown although they are no more.
export type Steady<R> = { rows: R[]; waiting: number; gone: ReadonlySet<string> };

const none: ReadonlySet<string> = new Set();

export function steady<R>(held: R[], fresh: R[], key: (row: R) => string): Steady<R> {
  const byKey = new Map(fresh.map((row) => [key(row), row]));
  const known = new Set<string>();
  const rows = held.map((row) => {
    known.add(key(row));
    return byKey.get(key(row)) ?? row;
  });
  const gone = new Set([...known].filter((k) => !byKey.has(k)));
  return { rows, waiting: fresh.filter((row) => !known.has(key(row))).length, gone };
}

// useSteady lets go by itself when the reader asks for another list (epoch changes: a filter, an order).
export function useSteady<R>(fresh: R[], key: (row: R) => string, holding: boolean, epoch: string): Steady<R> {
  const shown = useRef({ rows: fresh, epoch });
  if (!holding || shown.current.epoch !== epoch) {
    shown.current = { rows: fresh, epoch };
    return { rows: fresh, waiting: 0, gone: none };
  }
  return steady(shown.current.rows, fresh, key);
}
