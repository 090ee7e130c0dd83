// What is found for a few typed letters, best first.
export type Found = {
  kind: "place" | "host" | "threshold" | "metric" | "contact";
  name: string;
  more: string;
  to: string;
};

// score: the name itself, its beginning, the beginning of a word in it, anywhere in it, anywhere beside it; -1: not.
function score(one: Found, text: string): number {
  const name = one.name.toLowerCase();
  const at = name.indexOf(text);
  if (name === text) return 0;
  if (at === 0) return 1;
  if (at > 0) return /[\s._/:-]/.test(name[at - 1] ?? "") ? 2 : 3;
  return one.more.toLowerCase().includes(text) ? 4 : -1;
}

export function rank(all: Found[], text: string, most: number): Found[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return all.filter((one) => one.kind === "place").slice(0, most);
  const scored: [number, Found][] = [];
  for (const one of all) {
    const scores = words.map((word) => score(one, word));
    if (scores.every((s) => s >= 0)) scored.push([scores.reduce((a, b) => a + b, 0), one]);
  }
  scored.sort((a, b) => a[0] - b[0] || a[1].name.length - b[1].name.length || a[1].name.localeCompare(b[1].name));
  return scored.slice(0, most).map(([, one]) => one);
}
