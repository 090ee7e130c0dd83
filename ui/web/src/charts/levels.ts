// Nagios ranges, as thresholds are written: "80" alerts outside 0..80, "10:" below 10, "~:5" above 5, "10:20" outside,
// "@1:2" inside. The server decides; this parses the same text so that lines move while one types.
import type { Level } from "../api/types";

const shape = /^(@)?(?:(~|-?\d+(?:\.\d*)?(?:e[+-]?\d+)?)?(:))?(-?\d+(?:\.\d*)?(?:e[+-]?\d+)?)?$/i;

export function parseLevel(text: string): Level | null {
  const match = shape.exec(text.trim());
  if (!match || text.trim() === "" || text.trim() === "@") return null;
  const [, inside, low, colon, high] = match;
  if (colon === undefined && high === undefined) return null;
  if (colon !== undefined && low === undefined && high === undefined) return null;
  const level: Level = {
    low: colon === undefined || low === undefined ? 0 : low === "~" ? null : Number(low),
    high: high === undefined ? null : Number(high),
    inside: inside === "@",
  };
  if (level.low !== null && level.high !== null && level.low > level.high) return null;
  return level;
}

// edges are the values at which a level begins to hold, for drawing. A lower edge of 0 that nobody wrote is left out:
// "80" means above 80 to everyone who writes it.
export function edges(text: string): number[] {
  const level = parseLevel(text);
  if (!level) return [];
  const wroteLow = text.includes(":");
  const out: number[] = [];
  if (level.low !== null && wroteLow) out.push(level.low);
  if (level.high !== null) out.push(level.high);
  return out;
}

export type Line = { value: number; tone: "warning" | "critical" };

export function lines(warning: string, critical: string): Line[] {
  return [
    ...edges(warning).map((value): Line => ({ value, tone: "warning" })),
    ...edges(critical).map((value): Line => ({ value, tone: "critical" })),
  ];
}

// matchesHost tells whether a rule's globs ("web/*,lb1") name a host; without any it names every host.
export function matchesHost(globs: string, cluster: string, host: string): boolean {
  if (globs.trim() === "") return true;
  return globs.split(",").some((glob) => {
    const pattern = glob.trim();
    return pattern !== "" && globMatch(pattern, pattern.includes("/") ? `${cluster}/${host}` : host);
  });
}

export function globMatch(pattern: string, text: string): boolean {
  const source = pattern.replace(/[\\^$.|+()[\]{}]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${source}$`).test(text);
}
