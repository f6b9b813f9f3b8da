// Outlier detection in virtual time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { at, type Json, type Made, make, pick } from "./made.ts";

function upstream(outlierDetection: Json, count: number, minRequestVolume = 0): Made {
  const metadata = { filterMetadata: { "weft.dev": { minRequestVolume } } };
  const lbEndpoints = Array.from({ length: count }, (_, index) => at(index + 1));
  return make({ outlierDetection, metadata }, [{ lbEndpoints }]);
}

test("five errors eject a host for its time, half of the hosts at most, and minRequestVolume holds it back", () => {
  const rule = { consecutive5xx: 5, interval: "10s", baseEjectionTime: "30s", maxEjectionPercent: 50 };
  const { clock, cluster } = upstream(rule, 2, 10);
  const [first, second] = cluster.hosts;
  assert.ok(first !== undefined && second !== undefined);
  for (let turn = 0; turn < 4; turn += 1) first.onResponse(200);
  for (let turn = 0; turn < 5; turn += 1) first.onResponse(500);
  assert.equal(first.healthy, true);
  first.onResponse(500);
  assert.equal(first.healthy, false);
  for (let turn = 0; turn < 20; turn += 1) second.onResponse(500);
  assert.equal(second.healthy, true);
  const picked = new Set<string>();
  for (let turn = 0; turn < 50; turn += 1) picked.add(pick(cluster)?.address ?? "none");
  assert.deepEqual([...picked], ["10.0.0.2:80"]);
  clock.advance(29_000);
  assert.equal(first.healthy, false);
  clock.advance(11_000);
  assert.equal(first.healthy, true);
  cluster.close();
});

test("one host of one is never ejected at 50 %, and failed connects count", () => {
  const single = upstream({ consecutive5xx: 5, maxEjectionPercent: 50 }, 1);
  for (let turn = 0; turn < 20; turn += 1) single.cluster.hosts[0]?.onResponse(500);
  assert.equal(single.cluster.hosts[0]?.healthy, true);
  single.cluster.close();
  const pair = upstream({ consecutive5xx: 5, maxEjectionPercent: 50 }, 2);
  for (let turn = 0; turn < 5; turn += 1) pair.cluster.hosts[1]?.onLocalOrigin("connect-failure");
  assert.equal(pair.cluster.hosts[1]?.healthy, false);
  pair.cluster.close();
});
