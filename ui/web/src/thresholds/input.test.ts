import { expect, test } from "vitest";
import { fresh, mistakes, parsed, parseLabels, parseSpan, spanText, typedOf } from "./input";

test.each([
  ["", 0], ["90", 90], ["90s", 90], ["5m", 300], ["1h30m", 5400], ["1 h", 3600], ["2d", 172_800], ["5x", null], ["-1", null], ["1.5h", null],
])("span %s", (text, seconds) => expect(parseSpan(text)).toBe(seconds));

test("a span survives being written and read", () => {
  for (const seconds of [0, 1, 60, 90, 3600, 5400, 90_061]) expect(parseSpan(spanText(seconds))).toBe(seconds);
});

test("labels", () => {
  expect(parseLabels("device=eth*, mode=busy")).toEqual({ device: "eth*", mode: "busy" });
  expect(parseLabels("")).toEqual({});
  expect(parseLabels("device")).toBeNull();
  expect(parseLabels("1x=a")).toBeNull();
});

test("an empty form says what it needs; a full one round-trips", () => {
  expect(mistakes(typedOf(fresh("")))).toEqual({ name: "form.needed", metric: "form.needed", critical: "thresholds.noLevel" });
  const input = { ...fresh("node_load1"), name: "Load", warning: "10", labels: { a: "b" } };
  expect(mistakes(typedOf(input))).toEqual({});
  expect(parsed(typedOf(input))).toEqual(input);
});
