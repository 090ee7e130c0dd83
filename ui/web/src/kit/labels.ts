import type { Labels } from "../api/types";

// What only repeats another label, or says how something was measured, is left out of short texts.
const hidden = (name: string, labels: Labels) =>
  name === "source" || name === "fstype" || (name === "device" && "mountpoint" in labels);

// labelText writes labels the way people name the thing: by their values.
export function labelText(labels: Labels): string {
  return Object.entries(labels)
    .filter(([name]) => !hidden(name, labels))
    .map(([, value]) => value)
    .join(" · ");
}
