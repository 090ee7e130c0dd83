import { expect, test } from "vitest";
import { column, grid, isolated, lastIndex, names } from "./align";

const window = { start: 100, end: 140, step: 10 };

test("what is missing stays missing", () => {
  expect(grid(window)).toEqual([100, 110, 120, 130, 140]);
  expect(column([[100, 1], [130, 4], [140, Number.NaN], [150, 9]], window)).toEqual([1, null, null, 4, null]);
});

test("points without a neighbour are found", () => {
  expect(isolated([1, null, 2, 3, null, 4])).toEqual([0, 5]);
});

test("the newest value of any column", () => {
  expect(lastIndex([[1, null, null], [1, 2, null]])).toBe(1);
  expect(lastIndex([[null]])).toBe(-1);
});

test("series are called by what sets them apart", () => {
  const series = (labels: Record<string, string>) => ({ labels, values: [] });
  expect(names([series({ host: "a", device: "sda" })], "disk")).toEqual(["disk"]);
  expect(names([series({ host: "a", device: "sda" }), series({ host: "a", device: "sdb" })], "disk")).toEqual(["sda", "sdb"]);
  const mounts = [series({ device: "sda1", mountpoint: "/" }), series({ device: "sda2", mountpoint: "/var" })];
  expect(names(mounts, "used")).toEqual(["/", "/var"]);
});
