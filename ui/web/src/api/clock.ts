// The server's clock as this browser knows it. Ages are told by the server's time: a phone whose clock is wrong must
// not make fresh data look old, nor old data look fresh.
import { useSyncExternalStore } from "react";

let offset = 0; // milliseconds that the server is ahead

export function setServerTime(now: string) {
  const server = Date.parse(now);
  if (Number.isFinite(server)) offset = server - Date.now();
}

export const serverNow = () => Date.now() + offset;

// One ticker serves every age on the page.
const listeners = new Set<() => void>();
let ticker: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void) {
  listeners.add(listener);
  ticker ??= setInterval(() => listeners.forEach((tell) => tell()), 1000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(ticker);
      ticker = undefined;
    }
  };
}

// useNow is the server's time in milliseconds, rounded down to the step in seconds: the component renders again only
// when that changes.
export function useNow(step = 1): number {
  return useSyncExternalStore(subscribe, () => Math.floor(serverNow() / (step * 1000)) * step * 1000);
}
