// The colours of series: fixed by name, so that a device keeps its colour from chart to chart; apart for colour-blind
// eyes; and none of them one of the state colours, which mean something. Past ten, dashes tell series apart.

const light = ["#1f6fb4", "#0f8b8d", "#9a4f96", "#5b5fc7", "#7a6a1f", "#3a9bd9", "#a8577e", "#51707f", "#2c4a9e", "#8a6d5b"];
const dark = ["#5aa9e6", "#4fc4c0", "#cf8fd0", "#9a9dff", "#cdbb68", "#9ad4ff", "#e39bbd", "#9fb9c6", "#7f9cf5", "#c9ab96"];
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
