import { useLayoutEffect, useState, type RefObject } from "react";

const gap = 16; // between columns, as base.css has it
const padding = 26; // of a row, with the table's border

// neededWidth is what the columns take at least, from their grid tracks ("96px", "minmax(90px, 1fr)").
export function neededWidth(tracks: string[]): number {
  const least = tracks.map((track) => Number(/(\d+)px/.exec(track)?.[1] ?? 0));
  return least.reduce((sum, width) => sum + width, padding + gap * (tracks.length - 1));
}

// useNarrow tells whether an element has less than this width.
export function useNarrow(element: RefObject<HTMLElement | null>, width: number): boolean {
  const [narrow, setNarrow] = useState(false);
  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return;
    const measure = () => setNarrow(target.clientWidth < width);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(target);
    return () => observer.disconnect();
  }, [element, width]);
  return narrow;
}
