// What the filter of the hosts knows.
import type { Host } from "../api/types";
import type { Field } from "../kit/tokens";

const percent = (ratio: number | null) => (ratio === null ? null : ratio * 100);

export const fields: Field<Host>[] = [
  { name: "cluster", kind: "text", of: (h) => h.cluster },
  { name: "name", kind: "text", of: (h) => h.name },
  { name: "state", kind: "text", of: statesOf },
  { name: "source", kind: "text", of: (h) => h.sources },
  { name: "cpu", kind: "number", of: (h) => percent(h.cpu_busy) },
  { name: "mem", kind: "number", of: (h) => percent(h.memory_used) },
  { name: "disk", kind: "number", of: (h) => percent(h.disk_used) },
  { name: "load", kind: "number", of: (h) => h.load1 },
  { name: "cpus", kind: "number", of: (h) => h.cpus },
];

export function statesOf(host: Host): string[] {
  const { critical, warning, unknown } = host.problems;
  const states = [host.up ? "up" : "down"];
  if (critical > 0) states.push("critical");
  if (unknown > 0) states.push("unknown");
  if (warning > 0) states.push("warning");
  if (host.up && states.length === 1) states.push("ok");
  return states;
}

// hostRank orders hosts: down first, then by what is wrong with them.
export function hostRank(host: Host): number {
  const { critical, warning, unknown } = host.problems;
  return -(Number(!host.up) * 1e9 + critical * 1e6 + unknown * 1e3 + warning);
}

export const words = (h: Host) => `${h.cluster}/${h.name}`;
