// The live stream: server-sent events that say what changed. It knows when the connection is lost, heals it, and calls
// for the queries that a change touches to be asked again.
import type { QueryClient } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { base } from "./client";
import { setServerTime } from "./clock";

export type LiveState = { connected: boolean; newestSampleAt: string | null };

// The server pings every 2 s. Silence for this long counts as a lost connection; it leaves room to be shown within 5 s.
const silence = 4000;
const reconnectAfter = 1500;
const gatherFor = 250;

// What a reader looks at that each kind of change touches, by the first word of the query's key.
const touched: Record<string, string[]> = {
  alert: ["overview", "alerts", "alert", "host", "hosts", "thresholds"],
  event: ["overview", "events", "ha", "host", "alert", "marks"],
  notification: ["overview", "notifications", "notification", "alert"],
  rule: ["thresholds", "threshold", "overview", "alerts"],
  contact: ["contacts", "thresholds"],
};

export class Live {
  private state: LiveState = { connected: true, newestSampleAt: null };
  private source: EventSource | null = null;
  private heard = 0;
  private timer: ReturnType<typeof setInterval> | undefined;
  private reopen: ReturnType<typeof setTimeout> | undefined;
  private gather: ReturnType<typeof setTimeout> | undefined;
  private pending = new Set<string>();

  constructor(private readonly queries: QueryClient) {}

  start() {
    this.heard = Date.now();
    this.open();
    this.timer = setInterval(() => this.watch(), 500);
  }

  stop() {
    clearInterval(this.timer);
    clearTimeout(this.reopen);
    clearTimeout(this.gather);
    this.reopen = undefined;
    this.source?.close();
    this.source = null;
  }

  snapshot = () => this.state;

  private set(change: Partial<LiveState>) {
    this.state = { ...this.state, ...change };
    for (const listener of listeners) listener();
  }

  private open() {
    const source = new EventSource(`${base}/stream`);
    this.source = source;
    const on = (kind: string, then: (data: Record<string, string>) => void) =>
      source.addEventListener(kind, (event) => {
        this.heard = Date.now();
        then(parse((event as MessageEvent<string>).data));
      });
    on("hello", (data) => this.greeted(data));
    on("ping", (data) => setServerTime(data.now ?? ""));
    on("samples", (data) => this.set({ newestSampleAt: data.newest_sample_at ?? null }));
    on("resync", () => void this.queries.invalidateQueries());
    for (const kind of Object.keys(touched)) on(kind, () => this.changed(kind));
    source.onerror = () => this.retry();
  }

  private greeted(data: Record<string, string>) {
    setServerTime(data.now ?? "");
    // Whatever happened while nobody listened is not in the stream: ask for everything again.
    if (!this.state.connected) void this.queries.invalidateQueries();
    this.set({ connected: true });
  }

  // retry reopens the stream by itself: EventSource gives up for good on an answer like 502 from a proxy in between.
  private retry() {
    if (this.reopen !== undefined) return;
    this.source?.close();
    this.source = null;
    this.reopen = setTimeout(() => {
      this.reopen = undefined;
      this.open();
    }, reconnectAfter);
  }

  private watch() {
    if (Date.now() - this.heard < silence) return;
    if (this.state.connected) {
      this.set({ connected: false });
      // Tells a session that has ended from a server that is away.
      void this.queries.invalidateQueries({ queryKey: ["me"] });
    }
    if (this.source !== null && Date.now() - this.heard > 2 * silence) {
      this.heard = Date.now() - silence; // a half-open connection: give the next one its time
      this.retry();
    }
  }

  // changed gathers what a burst of changes touches: a storm of alerts is one refetch.
  private changed(kind: string) {
    for (const key of touched[kind] ?? []) this.pending.add(key);
    this.gather ??= setTimeout(() => this.ask(), gatherFor);
  }

  // ask asks anew for what was touched. What is just being asked for waits for that answer: to start over each time
  // would in a storm mean never to see one.
  private ask() {
    this.gather = undefined;
    for (const key of [...this.pending]) {
      if (this.queries.isFetching({ queryKey: [key] }) > 0) continue;
      this.pending.delete(key);
      void this.queries.invalidateQueries({ queryKey: [key] });
    }
    if (this.pending.size > 0) this.gather = setTimeout(() => this.ask(), gatherFor);
  }
}

function parse(text: string): Record<string, string> {
  try {
    return JSON.parse(text) as Record<string, string>;
  } catch {
    return {};
  }
}

// Components may listen before the stream is started, and go on listening when another one takes its place.
const listeners = new Set<() => void>();
let current: Live | null = null;

export function startLive(queries: QueryClient): () => void {
  const live = new Live(queries);
  current = live;
  live.start();
  return () => {
    live.stop();
    if (current === live) current = null;
  };
}

const idle: LiveState = { connected: true, newestSampleAt: null };

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// useLive is the state of the connection.
export const useLive = (): LiveState => useSyncExternalStore(subscribe, () => current?.snapshot() ?? idle);
