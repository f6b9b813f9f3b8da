// The walk's statistical checks rest on this interval.

import assert from "node:assert/strict";
import test from "node:test";
import { binomialInterval } from "../../e2e/statistics.ts";

test("the interval holds 99.9 % of right splits and no more than it must", () => {
  // By the normal approximation 200 ± 3.29 × 13.42; the exact one is within two of it.
  const { low, high } = binomialInterval(2000, 0.1);
  assert.ok(Math.abs(low - 156) <= 2, `low ${low}`);
  assert.ok(Math.abs(high - 244) <= 3, `high ${high}`);
});

test("a weight of nothing and of all leaves no room", () => {
  assert.deepEqual(binomialInterval(50, 0), { low: 0, high: 0 });
  assert.deepEqual(binomialInterval(50, 1), { low: 50, high: 50 });
});
