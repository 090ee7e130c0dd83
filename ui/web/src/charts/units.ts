// Figures for people: one number, at most four digits, the unit written once.

const trimmed = (value: number, digits: number) => {
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
};

function scaled(value: number, base: number, prefixes: string[]): [string, string] {
  let rest = Math.abs(value);
  let i = 0;
  while (rest >= base * 0.9995 && i < prefixes.length - 1) {
    rest /= base;
    i++;
  }
  const digits = rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  return [(value < 0 ? "−" : "") + trimmed(rest, digits), prefixes[i] ?? ""];
}

const binary = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const decimal = ["", "k", "M", "G", "T", "P"];

function small(value: number): string {
  const size = Math.abs(value);
  if (size === 0 || size >= 0.01) return trimmed(value, size >= 1 ? 2 : 3);
  return value.toPrecision(2);
}

function seconds(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 1e-6) return `${trimmed(value * 1e9, 0)} ns`;
  if (size < 1e-3) return `${trimmed(value * 1e6, size < 1e-5 ? 1 : 0)} µs`;
  if (size < 1) return `${trimmed(value * 1e3, size < 0.1 ? 1 : 0)} ms`;
  if (size < 120) return `${trimmed(value, size < 10 ? 2 : 1)} s`;
  if (size < 7200) return `${trimmed(value / 60, 1)} min`;
  if (size < 172_800) return `${trimmed(value / 3600, 1)} h`;
  return `${trimmed(value / 86_400, 1)} d`;
}

// figure writes a value in its base unit ("ratio", "bytes", …, with "/s" behind for a rate of it) for people.
export function figure(value: number | null | undefined, unit = ""): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  switch (unit) {
    case "ratio":
      return `${trimmed(value * 100, Math.abs(value) < 0.1 ? 2 : 1)} %`;
    case "percent":
      return `${trimmed(value, 1)} %`;
    case "seconds":
      return seconds(value);
    case "seconds/s":
      return `${trimmed(value * 100, 1)} %`;
    case "celsius":
      return `${trimmed(value, 1)} °C`;
  }
  const rate = unit.endsWith("/s") || unit.endsWith("per_second") ? "/s" : "";
  const what = unit.replace(/(\/s|_?per_second)$/, "");
  if (what === "bytes") {
    const [n, prefix] = scaled(value, 1024, binary);
    return `${n} ${prefix}B${rate}`;
  }
  if (what === "bits") {
    const [n, prefix] = scaled(value, 1000, decimal);
    return `${n} ${prefix}bit${rate}`;
  }
  if (Math.abs(value) < 1000) return small(value) + (rate === "" ? "" : ` ${rate}`);
  const [n, prefix] = scaled(value, 1000, decimal);
  return `${n} ${prefix}${rate}`;
}

// unitOf is the unit of what a chart draws: a counter is drawn as its rate.
export function unitOf(unit: string, transform: string): string {
  return transform === "rate" ? `${unit}/s` : unit;
}

// axisSteps gives axis distances that look round in the unit: powers of two for bytes, tens elsewhere.
export function axisSteps(unit: string): number[] {
  if (!unit.startsWith("bytes")) return [];
  const steps: number[] = [];
  for (let power = 1; power <= 2 ** 60; power *= 1024) {
    for (const part of [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]) steps.push(power * part);
  }
  return steps;
}
