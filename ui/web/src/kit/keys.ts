// Keyboard shortcuts: single keys and sequences such as "g o". They are silent while something is typed, while a
// dialog is open, and together with Ctrl, Alt or Meta, which belong to the browser.
import { useEffect, useRef } from "react";

export type Keys = Record<string, (event: KeyboardEvent) => void>;

const registered: { current: Keys }[] = [];
const sequenceWithin = 1200;
let first = "";
let firstAt = 0;

function busy(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true;
  const target = event.target as HTMLElement | null;
  if (target?.closest("input, textarea, select, [contenteditable=true], [role=listbox], [role=menu]")) return true;
  return document.querySelector('[role="dialog"]') !== null;
}

function find(key: string): ((event: KeyboardEvent) => void) | undefined {
  for (let i = registered.length - 1; i >= 0; i--) {
    const action = registered[i]?.current[key];
    if (action) return action;
  }
  return undefined;
}

function pressed(event: KeyboardEvent) {
  if (busy(event)) return;
  // Enter and space on a focused link or button do what they always do.
  const target = event.target as HTMLElement | null;
  if ((event.key === "Enter" || event.key === " ") && target?.closest("a, button")) return;
  const now = Date.now();
  const sequence = first !== "" && now - firstAt < sequenceWithin ? `${first} ${event.key}` : "";
  const action = (sequence !== "" ? find(sequence) : undefined) ?? (event.key === "g" ? undefined : find(event.key));
  first = event.key === "g" && sequence === "" ? "g" : "";
  firstAt = now;
  if (action) {
    event.preventDefault();
    action(event);
  }
}

// useKeys registers keys as long as the component is there; the newest registration of a key wins.
export function useKeys(keys: Keys) {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    if (registered.length === 0) document.addEventListener("keydown", pressed);
    registered.push(latest);
    return () => {
      registered.splice(registered.indexOf(latest), 1);
      if (registered.length === 0) document.removeEventListener("keydown", pressed);
    };
  }, []);
}
