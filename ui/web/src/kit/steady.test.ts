import { expect, test } from "vitest";
import { steady } from "./steady";

const key = (row: { id: string }) => row.id;
const row = (id: string, value: number) => ({ id, value });

test("held rows keep their places and take new values; new ones wait, gone ones stay", () => {
  const held = [row("a", 1), row("b", 1), row("c", 1)];
  const fresh = [row("new", 9), row("c", 2), row("a", 2)];
  expect(steady(held, fresh, key)).toEqual({ rows: [row("a", 2), row("b", 1), row("c", 2)], waiting: 1, gone: new Set(["b"]) });
});
