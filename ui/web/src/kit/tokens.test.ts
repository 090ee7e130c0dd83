import { expect, test } from "vitest";
import { parseFilter, type Field } from "./tokens";

type Row = { name: string; cluster: string; cpu: number | null; states: string[] };
const fields: Field<Row>[] = [
  { name: "cluster", kind: "text", of: (r) => r.cluster },
  { name: "state", kind: "text", of: (r) => r.states },
  { name: "cpu", kind: "number", of: (r) => r.cpu },
];
const rows: Row[] = [
  { name: "web-01", cluster: "web", cpu: 95, states: ["up", "critical"] },
  { name: "web-02", cluster: "web", cpu: 10, states: ["up", "ok"] },
  { name: "db-01", cluster: "db", cpu: null, states: ["down"] },
];
const found = (text: string) => rows.filter(parseFilter(text, fields, (r) => `${r.cluster}/${r.name}`).test).map((r) => r.name);

test.each([
  ["", ["web-01", "web-02", "db-01"]],
  ["01", ["web-01", "db-01"]],
  ["WEB*02", ["web-02"]],
  ["cluster:we", ["web-01", "web-02"]],
  ["cluster:*e", []], // a glob of a field means its whole text
  ["cluster:web", ["web-01", "web-02"]],
  ["cluster:db,edge", ["db-01"]],
  ["cluster:w*b cpu>90", ["web-01"]],
  ["cpu>90%", ["web-01"]],
  ["cpu<=10", ["web-02"]],
  ["state:down", ["db-01"]],
  ['state:"critical"', ["web-01"]],
  ["cluster:", ["web-01", "web-02", "db-01"]], // being typed: no restriction yet
  ["cpu:(", ["web-01", "web-02", "db-01"]], // a mistake restricts nothing; it is told
])("%s", (text, names) => expect(found(text)).toEqual(names));

test("mistakes are named", () => {
  const { errors } = parseFilter("clutser:web cpu>high", fields, () => "");
  expect(errors).toEqual([
    { token: "clutser:web", why: "field" },
    { token: "cpu>high", why: "number" },
  ]);
});
