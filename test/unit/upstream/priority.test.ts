// Priorities, panic and degraded hosts: Envoy's documented tables, worked out by hand, and properties of the arithmetic.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type LevelCounts, priorityLoads } from "../../../src/proxy/upstream/priority.ts";
import { stat } from "../proxy/harness.ts";
import { at, type Json, make, pick, tally, update } from "./made.ts";

const level = (total: number, healthy: number, degraded = 0): LevelCounts => {
  return { total, healthy, degraded, measure: { total, healthy, degraded } };
};
const loads = (levels: readonly LevelCounts[], panicPercent = 50) =>
  priorityLoads(levels, { panicPercent, overprovisioningPercent: 140 });

test("healthy hosts of each level by per cent, and the load of each: Envoy's table of two levels", () => {
  // With panic off: the table speaks of loads alone.
  const table: readonly [number, number, readonly number[]][] = [
    [100, 100, [100, 0]],
    [72, 72, [100, 0]],
    [71, 71, [99, 1]],
    [50, 50, [70, 30]],
    [50, 0, [100, 0]],
    [25, 100, [35, 65]],
    [25, 25, [50, 50]],
    [0, 25, [0, 100]],
    [20, 5, [80, 20]],
  ];
  for (const [first, second, wanted] of table)
    assert.deepEqual(loads([level(100, first), level(100, second)], 0).healthy, wanted, `${first} ${second}`);
});

test("three levels, and degraded hosts after healthy ones", () => {
  const healthy = (...parts: readonly number[]) =>
    loads(
      parts.map((part) => level(100, part)),
      0,
    ).healthy;
  assert.deepEqual(healthy(100, 0, 0), [100, 0, 0]);
  assert.deepEqual(healthy(72, 72, 100), [100, 0, 0]);
  assert.deepEqual(healthy(25, 25, 100), [35, 35, 30]);
  assert.deepEqual(healthy(25, 25, 25), [35, 35, 30]);
  // Together 98: each part is of 98, rounded down, and the rest goes to the first.
  assert.deepEqual(healthy(25, 25, 20), [37, 35, 28]);
  const mixed = loads([level(100, 50, 50), level(100, 50)], 0);
  assert.deepEqual(
    [mixed.healthy, mixed.degraded],
    [
      [70, 30],
      [0, 0],
    ],
  );
  const worse = loads([level(100, 5, 0), level(100, 0, 45)], 0);
  assert.deepEqual(
    [worse.healthy, worse.degraded],
    [
      [10, 0],
      [0, 90],
    ],
  );
  const degradedOnly = loads([level(10, 0, 3)], 0);
  assert.deepEqual([degradedOnly.healthy, degradedOnly.degraded], [[0], [100]]);
});

test("panic: a level below the threshold, only while the levels together are not enough", () => {
  // 25 % and 25 %: 35 + 35 is below 100, and each is below 50 %.
  assert.deepEqual(loads([level(4, 1), level(4, 1)]).panic, [true, true]);
  assert.deepEqual(loads([level(4, 1), level(4, 4)]).panic, [false, false]);
  assert.deepEqual(loads([level(100, 10), level(100, 60)]).panic, [true, false]);
  assert.deepEqual(loads([level(4, 1), level(4, 1)], 0).panic, [false, false]);
  // Degraded hosts count against panic.
  assert.deepEqual(loads([level(10, 1, 5)]).panic, [false]);
  // All in panic: by numbers of hosts, the rest to the first.
  assert.deepEqual(loads([level(2, 0), level(1, 0)]).healthy, [67, 33]);
  assert.deepEqual(loads([level(0, 0), level(0, 0)]).healthy, [100, 0]);
  assert.deepEqual(loads([level(0, 0), level(5, 0)], 0).healthy, [100, 0]);
});

test("loads are whole, never negative, and always a hundred", () => {
  const one = fc
    .tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 50 }))
    .map(([healthy, degraded, sick]) => level(healthy + degraded + sick, healthy, degraded));
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 5 }), fc.integer({ min: 0, max: 100 }), (levels, percent) => {
      const made = loads(levels, percent);
      const all = [...made.healthy, ...made.degraded];
      assert.ok(
        all.every((load) => Number.isInteger(load) && load >= 0),
        all.join(),
      );
      assert.equal(
        all.reduce((sum, load) => sum + load, 0),
        100,
      );
    }),
  );
});

const sick = { healthStatus: "UNHEALTHY" };
const worse = { healthStatus: "DEGRADED" };
const draining = { healthStatus: "DRAINING" };

test("a cluster spills to the next priority, uses degraded hosts for what healthy ones can't take, and panics", () => {
  const first = (endpoints: readonly Json[]): Json => ({ priority: 0, lbEndpoints: endpoints });
  const second = (endpoints: readonly Json[]): Json => ({ priority: 1, lbEndpoints: endpoints });
  const { cluster, registry } = make({}, [first([at(1), at(2)]), second([at(3)])]);
  const share = (number: number) => (tally(cluster, 20_000).get(number) ?? 0) / 20_000;
  assert.equal(share(3), 0);
  update(cluster, [first([at(1), at(2, sick)]), second([at(3)])]);
  assert.ok(Math.abs(share(3) - 0.3) < 0.02, "one of two healthy: 70 stay, 30 spill");
  update(cluster, [first([at(1), at(2, worse)])]);
  assert.ok(Math.abs(share(2) - 0.3) < 0.02, "one healthy and one degraded: 70 and 30");
  assert.equal(stat(registry, "cluster.c.lb_healthy_panic"), 0);
  update(cluster, [first([at(1, sick), at(2, sick), at(3)])]);
  assert.ok(Math.abs(share(1) - 1 / 3) < 0.02, "one of three healthy is panic: all are taken");
  assert.equal(stat(registry, "cluster.c.lb_healthy_panic"), 20_000);
  assert.equal(stat(registry, "cluster.c.membership_healthy"), 1);
  assert.equal(stat(registry, "cluster.c.membership_total"), 3);
  cluster.close();
});

test("the assignment's factor, weighted health, a threshold of nought, and failing rather than panicking", () => {
  const { cluster } = make({ commonLbConfig: { healthyPanicThreshold: { value: 0 } } }, [
    { lbEndpoints: [at(1, sick)] },
  ]);
  assert.equal(pick(cluster), undefined);
  update(cluster, [{ lbEndpoints: [at(1, draining)] }]);
  assert.equal(pick(cluster), undefined, "a draining host is not healthy");
  const two = (weight: number) => [
    { priority: 0, lbEndpoints: [at(1), at(2, { ...sick, loadBalancingWeight: weight })] },
    { priority: 1, lbEndpoints: [at(3)] },
  ];
  const spilt = () => (tally(cluster, 20_000).get(3) ?? 0) / 20_000;
  update(cluster, two(1), { overprovisioningFactor: 100 });
  assert.ok(Math.abs(spilt() - 0.5) < 0.02);
  update(cluster, two(1), { overprovisioningFactor: 200 });
  assert.equal(spilt(), 0);
  update(cluster, two(9), { weightedPriorityHealth: true });
  assert.ok(Math.abs(spilt() - 0.86) < 0.02, "a tenth of the weight is healthy: 14 stay");
  cluster.close();
  const failing = make(
    { commonLbConfig: { zoneAwareLbConfig: { routingEnabled: { value: 0 }, failTrafficOnPanic: true } } },
    [{ lbEndpoints: [at(1), at(2, sick), at(3, sick)] }],
  );
  assert.equal(pick(failing.cluster), undefined);
  failing.cluster.close();
});
