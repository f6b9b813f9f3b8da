// The timing of probes, on a clock turned by hand.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Probe } from "../../../src/api/kubernetes/container.ts";
import { VirtualClock } from "../../../src/base/clock.ts";
import { type ProbeKind, ProbeLoop } from "../../../src/node/probe-loop.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function loopOf(kind: ProbeKind, probe: Probe, healthyAt: (second: number) => boolean) {
  const clock = new VirtualClock(0);
  const log: string[] = [];
  const second = () => Math.floor(clock.monotonicMs() / 1000);
  const loop = new ProbeLoop({
    kind,
    probe,
    clock,
    check: async () => (healthyAt(second()) ? { kind: "success" } : { kind: "failure", message: "no" }),
    onVerdict: (healthy) => log.push(`${second()} ${healthy ? "healthy" : "unhealthy"}`),
    onFailure: () => log.push(`${second()} failure`),
  });
  const run = async (seconds: number) => {
    for (let step = 0; step < seconds * 20; step += 1) {
      clock.advance(50);
      await turn();
    }
  };
  return { loop, log, run };
}

test("readiness is found within a fraction of the period, and early failures count for nothing", async () => {
  const { loop, log, run } = loopOf("readiness", { periodSeconds: 15 }, (second) => second >= 1);
  await run(4);
  assert.deepEqual(log, ["1 healthy"]);
  loop.stop();
});

test("a startup probe gives up only after its failures at its period", async () => {
  const { loop, log, run } = loopOf("startup", { periodSeconds: 2, failureThreshold: 3 }, () => false);
  await run(5);
  assert.ok(!log.includes("5 unhealthy"));
  await run(5);
  assert.equal(log.filter((entry) => entry.endsWith("unhealthy")).length, 1);
  assert.equal(log.filter((entry) => entry.endsWith("failure")).length >= 3, true);
  loop.stop();
});

test("liveness waits for its initial delay and needs its failures in a row", async () => {
  const sick = (second: number) => second !== 7 && second < 9;
  const { loop, log, run } = loopOf(
    "liveness",
    { initialDelaySeconds: 5, periodSeconds: 1, failureThreshold: 2 },
    sick,
  );
  await run(15);
  assert.equal(log[0], "5 healthy");
  assert.deepEqual(
    log.filter((entry) => entry.endsWith("unhealthy")).map((entry) => Number(entry.split(" ")[0])),
    [10],
  );
  loop.stop();
});
