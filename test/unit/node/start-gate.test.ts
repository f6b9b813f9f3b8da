import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { START_HOLD_MS } from "../../../src/node/limits.ts";
import { StartGate } from "../../../src/node/start-gate.ts";

test("turns come in order, one is given back once, and who waits in vain gives it up", () => {
  const clock = new VirtualClock();
  const gate = new StartGate(clock, 2);
  const begun: number[] = [];
  const turns = [0, 1, 2, 3, 4].map((index) => gate.ask(() => begun.push(index)));
  assert.deepEqual(begun, [0, 1]);
  turns[2]?.release();
  turns[0]?.release();
  turns[0]?.release();
  assert.deepEqual(begun, [0, 1, 3]);
  assert.equal(turns[4]?.isHeld, false);
  clock.advance(START_HOLD_MS);
  assert.deepEqual(begun, [0, 1, 3, 4]);
});
