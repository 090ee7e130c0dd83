import type { Labels } from "../api/types";

// labelText writes labels the way they are read: values first come to mind, names only where there are several.
export function labelText(labels: Labels): string {
  const entries = Object.entries(labels).filter(([name]) => name !== "source");
  if (entries.length === 1) return entries[0]?.[1] ?? "";
  return entries.map(([name, value]) => `${name}=${value}`).join(" ");
}
