// The queue under every controller.

import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { DONE, type Outcome, WorkQueue } from "../../../src/controllers/work-queue.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function queueOf(reconcile: (key: string) => Promise<Outcome>) {
  const clock = new VirtualClock();
  const failures: string[] = [];
  const onFailure = ({ message }: { readonly message: string }) => failures.push(message);
  const queue = new WorkQueue({ name: "test", clock, random: seededRandom(1), reconcile, onFailure });
  return { queue, clock, failures };
}

test("a key added often while it waits is done once, and once more when added while it is worked on", async () => {
  const done: string[] = [];
  const { queue } = queueOf(async (key) => {
    done.push(key);
    if (done.length === 1) queue.add("a");
    await turn();
    return DONE;
  });
  for (const key of ["a", "a", "b", "a"]) queue.add(key);
  for (let index = 0; index < 6; index += 1) await turn();
  assert.deepEqual(done, ["a", "b", "a"]);
  await queue.close();
});

test("a failing key comes back with a growing delay until it succeeds; a mistake in the code counts as a failure", async () => {
  let tries = 0;
  const { queue, clock, failures } = queueOf(async () => {
    tries += 1;
    if (tries === 1) throw new Error("a mistake");
    return tries < 4 ? { kind: "failed", message: `try ${tries}` } : DONE;
  });
  queue.add("a");
  const seen: number[] = [];
  for (let step = 0; step < 60; step += 1) {
    await turn();
    await turn();
    seen.push(tries);
    clock.advance(10);
  }
  assert.equal(tries, 4);
  assert.match(failures[0] ?? "", /a mistake/);
  assert.deepEqual(failures.slice(1), ["try 2", "try 3"]);
  const waits = [1, 2, 3].map((count) => seen.filter((value) => value === count).length);
  assert.ok((waits[0] ?? 0) < (waits[1] ?? 0) && (waits[1] ?? 0) < (waits[2] ?? 0), String(waits));
  await queue.close();
});

test("time alone brings a key back when it asked for it, and closing lets nothing new begin", async () => {
  let runs = 0;
  const { queue, clock } = queueOf(async () => {
    runs += 1;
    return { kind: "again", afterMs: 1000 };
  });
  queue.add("a");
  await turn();
  clock.advance(999);
  await turn();
  assert.equal(runs, 1);
  clock.advance(1);
  await turn();
  assert.equal(runs, 2);
  await queue.close();
  clock.advance(10_000);
  queue.add("b");
  await turn();
  assert.equal(runs, 2);
});
