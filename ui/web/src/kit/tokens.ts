// The filter language of the lists: typed tokens such as `cluster:web state:down cpu>90`, and free words. All must
// hold; commas inside a value mean "any of"; * stands for anything.

export type Field<R> =
  | { name: string; kind: "text"; of: (row: R) => string | string[] }
  | { name: string; kind: "number"; of: (row: R) => number | null };

export type Filter<R> = { test: (row: R) => boolean; errors: { token: string; why: "field" | "number" }[] };

const token = /^([a-z0-9_]+)(:|>=|<=|>|<|=)(.*)$/i;

export const split = (text: string) => text.match(/(?:[^\s"]+|"[^"]*")+/g) ?? [];

function matcher(pattern: string): (text: string) => boolean {
  const parts = pattern.toLowerCase().split(",").filter((part) => part !== "");
  if (parts.length === 0) return () => true;
  const tests = parts.map((part) => {
    if (!part.includes("*")) return (text: string) => text.includes(part);
    const source = part.split("*").map((s) => s.replace(/[\\^$.|?+()[\]{}]/g, "\\$&")).join(".*");
    const regex = new RegExp(`^${source}$`);
    return (text: string) => regex.test(text);
  });
  return (text) => tests.some((test) => test(text.toLowerCase()));
}

function compare(operator: string, limit: number): (value: number) => boolean {
  switch (operator) {
    case ">":
      return (v) => v > limit;
    case ">=":
      return (v) => v >= limit;
    case "<":
      return (v) => v < limit;
    case "<=":
      return (v) => v <= limit;
    default:
      return (v) => v === limit;
  }
}

export function parseFilter<R>(text: string, fields: Field<R>[], words: (row: R) => string): Filter<R> {
  const tests: ((row: R) => boolean)[] = [];
  const errors: Filter<R>["errors"] = [];
  for (const raw of split(text)) {
    const [, name, operator, quoted] = token.exec(raw) ?? [];
    if (name === undefined || operator === undefined) {
      // A word may stand anywhere: its globs do as well.
      const word = raw.replaceAll('"', "");
      const match = matcher(word.includes("*") ? `*${word}*` : word);
      tests.push((row) => match(words(row)));
      continue;
    }
    const value = (quoted ?? "").replaceAll('"', "");
    const field = fields.find((f) => f.name === name.toLowerCase());
    if (!field) {
      errors.push({ token: raw, why: "field" });
    } else if (field.kind === "number") {
      const limit = Number(value.replace(/%$/, ""));
      if (value === "" || Number.isNaN(limit)) errors.push({ token: raw, why: "number" });
      else {
        const holds = compare(operator, limit);
        tests.push((row) => {
          const v = field.of(row);
          return v !== null && holds(v);
        });
      }
    } else {
      const match = matcher(value);
      tests.push((row) => {
        const v = field.of(row);
        return Array.isArray(v) ? v.some(match) : match(v);
      });
    }
  }
  return { test: (row) => tests.every((test) => test(row)), errors };
}
