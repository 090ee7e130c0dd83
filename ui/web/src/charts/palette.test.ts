import { expect, test } from "vitest";
import { strokes } from "./palette";

const look = (s: { light: string; dash?: number[] } | undefined) => `${s?.light} ${s?.dash?.join() ?? ""}`;

test("a name keeps its colour, and no two of a chart look the same", () => {
  const many = Array.from({ length: 32 }, (_, i) => `eth${i}`);
  const all = strokes(many);
  expect(new Set([...all.values()].map(look)).size).toBe(32);
  expect(look(strokes(["eth0"]).get("eth0"))).toBe(look(strokes(["eth0"]).get("eth0")));
});
