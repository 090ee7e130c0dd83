import { expect, test } from "vitest";
import { lasts, windowOf } from "./range";

test("every range has a sensible number of points, all on multiples of the step", () => {
  for (const seconds of Object.values(lasts)) {
    const { start, end, step } = windowOf(1_800_000_007 - seconds, 1_800_000_007);
    const points = (end - start) / step;
    expect(points).toBeGreaterThan(150);
    expect(points).toBeLessThanOrEqual(301);
    expect([start % step, end % step]).toEqual([0, 0]);
  }
});
