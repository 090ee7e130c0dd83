// The colours of series: fixed by name, so that a device keeps its colour from chart to chart; apart for colour-blind
// eyes; and none of them one of the state colours, which mean something. Past eight, dashes tell series apart.

const light = ["#1f6fb4", "#0b8a8a", "#a8437f", "#7d6b14", "#6653b8", "#38a5dd", "#97603c", "#55697b"];
const dark = ["#5aa9e6", "#45c9c0", "#e38abf", "#d3bd5a", "#a99bff", "#a6dcff", "#d6a27f", "#a3b6c6"];
const dashes: (number[] | undefined)[] = [undefined, [6, 3], [2, 2], [8, 3, 2, 3]];

export type Stroke = { light: string; dark: string; dash?: number[] };

function hash(text: string): number {
  let h = 2166136261;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 16777619);
  return (h ^ (h >>> 15)) >>> 0;
}

// strokes gives each name its own colour; where two names of one chart want the same, the later in the alphabet takes
// the next free one.
export function strokes(names: string[]): Map<string, Stroke> {
  const taken = new Set<number>();
  const all = light.length * dashes.length;
  const result = new Map<string, Stroke>();
  for (const name of [...new Set(names)].sort()) {
    const wanted = hash(name) % light.length;
    let slot = wanted;
    // All colours of one dash before the next dash.
    for (let n = 0; taken.has(slot) && n < all; n++) {
      slot = Math.floor(n / light.length) * light.length + ((wanted + n) % light.length);
    }
    taken.add(slot);
    const color = slot % light.length;
    result.set(name, { light: light[color]!, dark: dark[color]!, dash: dashes[Math.floor(slot / light.length)] });
  }
  return result;
}
