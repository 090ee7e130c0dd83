import { expect, test } from "vitest";
import { edges, matchesHost, parseLevel } from "./levels";

test.each([
  ["80", { low: 0, high: 80, inside: false }],
  ["10:", { low: 10, high: null, inside: false }],
  ["~:5", { low: null, high: 5, inside: false }],
  [":5", { low: 0, high: 5, inside: false }],
  ["5:20", { low: 5, high: 20, inside: false }],
  ["@1:2", { low: 1, high: 2, inside: true }],
  ["-3.5:1e3", { low: -3.5, high: 1000, inside: false }],
  ["", null],
  ["@", null],
  [":", null],
  ["20:5", null],
  ["80%", null],
  ["ten", null],
])("%s", (text, level) => expect(parseLevel(text)).toEqual(level));

test("a low end that nobody wrote is no line", () => {
  expect(edges("80")).toEqual([80]);
  expect(edges("0:80")).toEqual([0, 80]);
  expect(edges("10:")).toEqual([10]);
  expect(edges("8o")).toEqual([]);
});

test.each([
  ["", true],
  ["*", true],
  ["web*", true],
  ["site1/*", true],
  ["site2/*", false],
  ["db*, web-1", true],
  ["web-?", true],
  ["web", false],
  ["web.1", false], // a dot is a dot
])("hosts %s", (globs, is) => expect(matchesHost(globs, "site1", "web-1")).toBe(is));
