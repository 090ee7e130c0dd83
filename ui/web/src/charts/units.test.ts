import { expect, test } from "vitest";
import { figure } from "./units";

test.each([
  [0.974, "ratio", "97.4 %"],
  [0.0512, "ratio", "5.12 %"],
  [1, "ratio", "100 %"],
  [42, "percent", "42 %"],
  [0, "bytes", "0 B"],
  [1023, "bytes", "1023 B"],
  [1024, "bytes", "1 KiB"],
  [8_589_934_592, "bytes", "8 GiB"],
  [1536, "bytes/s", "1.5 KiB/s"],
  [125_000_000 * 8, "bits/s", "1 Gbit/s"],
  [0.0012, "seconds", "1.2 ms"],
  [0.00005, "seconds", "50 µs"],
  [90, "seconds", "90 s"],
  [3 * 86_400, "seconds", "3 d"],
  [0.25, "seconds/s", "25 %"],
  [1250, "", "1.25 k"],
  [999.96, "", "999.96"],
  [-1500, "", "−1.5 k"],
  [14.2, "/s", "14.2 /s"],
  [15_000, "/s", "15 k/s"],
  [0.0042, "", "0.0042"],
  [null, "bytes", "–"],
  [Number.NaN, "", "–"],
])("%s %s is %s", (value, unit, text) => expect(figure(value, unit)).toBe(text));
