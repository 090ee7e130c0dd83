// What a row of the audit says in detail, as one line: only what has changed where it tells before and after.

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);

function worth(value: unknown): string {
  if (value === null || value === undefined || value === "") return "–";
  if (Array.isArray(value)) return value.length === 0 ? "–" : value.map(worth).join(", ");
  if (isFields(value)) {
    const inner = Object.entries(value).map(([name, v]) => `${name}=${worth(v)}`);
    return inner.length === 0 ? "–" : inner.join(", ");
  }
  return String(value);
}

function changes(from: Fields, to: Fields): string {
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])];
  return names
    .filter((name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]))
    .map((name) => `${name}: ${worth(from[name])} → ${worth(to[name])}`)
    .join(" · ");
}

export function detailText(details: unknown): string {
  if (!isFields(details)) return details === null || details === undefined ? "" : worth(details);
  const { from, to } = details;
  if (isFields(from) && isFields(to)) return changes(from, to);
  return Object.entries(details).filter(([, value]) => worth(value) !== "–").map(([name, value]) => `${name}: ${worth(value)}`).join(" · ");
}
