import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../../src/base/clock.ts";
import { type Deadline, Deadlines } from "../../../src/base/deadlines.ts";

test("every deadline that is not cancelled is told once, not before its time and within a millisecond of it", () => {
  const step = fc.record({
    waitMs: fc.integer({ min: 0, max: 40 }),
    afterMs: fc.constantFrom(1, 10, 25, 100),
    cancelAfterMs: fc.option(fc.integer({ min: 0, max: 120 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = new VirtualClock();
      const deadlines = new Deadlines(clock);
      const told: { dueMs: number; atMs: number }[] = [];
      let expected = 0;
      for (const { waitMs, afterMs, cancelAfterMs } of steps) {
        clock.advance(waitMs);
        const dueMs = clock.monotonicMs() + afterMs;
        const owner = { onDeadline: () => told.push({ dueMs, atMs: clock.monotonicMs() }) };
        const deadline = deadlines.set(afterMs, owner);
        const inTime = cancelAfterMs !== undefined && cancelAfterMs < afterMs - 1;
        if (inTime) clock.after(cancelAfterMs, () => deadline.cancel());
        else expected += 1;
      }
      clock.advance(1000);
      assert.equal(told.length, expected);
      for (const { dueMs, atMs } of told) assert.ok(Math.abs(atMs - dueMs) <= 1, `${atMs} for ${dueMs}`);
    }),
  );
});

test("an owner may cancel others and set anew while it is told", () => {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock);
  const told: string[] = [];
  let second: Deadline | undefined;
  deadlines.set(10, {
    onDeadline: () => {
      told.push("first");
      second?.cancel();
      deadlines.set(10, { onDeadline: () => told.push("third") });
    },
  });
  second = deadlines.set(10, { onDeadline: () => told.push("second") });
  clock.advance(10);
  assert.deepEqual(told, ["first"]);
  clock.advance(10);
  assert.deepEqual(told, ["first", "third"]);
});

test("lengths beyond the bound work too", () => {
  const clock = new VirtualClock();
  const deadlines = new Deadlines(clock);
  const told: number[] = [];
  for (let ms = 1; ms <= 600; ms += 1) deadlines.set(ms, { onDeadline: () => told.push(ms) });
  clock.advance(600);
  assert.equal(told.length, 600);
});
