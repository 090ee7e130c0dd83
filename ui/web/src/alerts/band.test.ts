import { expect, test } from "vitest";
import type { AlertEvent } from "../api/types";
import { bandOf } from "./band";

const at = (seconds: number) => new Date(seconds * 1000).toISOString();
const change = (seconds: number, from: AlertEvent["from"], to: AlertEvent["to"]): AlertEvent => ({
  id: seconds, time: at(seconds), from, to, value: null, text: "", actor: "",
});

test("states without holes, whatever the order of the events; acknowledging changes none", () => {
  const events = [change(300, "warning", "critical"), change(200, "ok", "warning"), change(350, "critical", "critical")];
  expect(bandOf(events, { state: "critical", since: at(300) }, 400)).toEqual([
    { from: 0, to: 200, state: "ok" },
    { from: 200, to: 300, state: "warning" },
    { from: 300, to: 400, state: "critical" },
  ]);
});

test("without history the state is known since it began", () => {
  expect(bandOf([], { state: "unknown", since: at(100) }, 400)).toEqual([{ from: 100, to: 400, state: "unknown" }]);
});
