import { expect, test } from "vitest";
import { rank, type Found } from "./rank";

const one = (kind: Found["kind"], name: string, more = ""): Found => ({ kind, name, more, to: name });
const all = [one("place", "Hosts"), one("host", "web-01", "site1"), one("host", "web-010", "site1"), one("host", "db-web", "site2"), one("metric", "node_load1")];
const found = (text: string) => rank(all, text, 10).map((f) => f.name);

test("best first, all words needed", () => {
  expect(found("")).toEqual(["Hosts"]);
  expect(found("web-01")).toEqual(["web-01", "web-010"]);
  expect(found("web")).toEqual(["web-01", "web-010", "db-web"]);
  expect(found("web site2")).toEqual(["db-web"]);
  expect(found("load")).toEqual(["node_load1"]);
  expect(found("nothing")).toEqual([]);
});
