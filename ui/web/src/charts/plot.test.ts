import { expect, test } from "vitest";
import { yRange } from "./plot";

test.each([
  ["zero stays in sight", 40, 50, null, [], false, [0, 54]],
  ["no data", null, null, null, [], false, [0, 1]],
  ["a fixed top", 0.1, 0.4, 1, [], false, [0, 1]],
  ["a threshold in reach", 5, 10, null, [20], false, [0, 21.6]],
  ["a threshold that would flatten the data", 5, 10, null, [1000], false, [0, 10.8]],
  ["unless the chart is about it", 5, 10, null, [1000], true, [0, 1080]],
] as const)("%s", (_, min, max, top, lines, fit, range) => {
  const [low, high] = yRange(min, max, top, [...lines], fit);
  expect([low, Number(high.toFixed(6))]).toEqual(range);
});
