// Outlier detection in virtual time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { stat } from "../proxy/harness.ts";
import { at, type Json, type Made, make, pick, refusals, update } from "./made.ts";

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

const hostsOf = (made: Made) => made.cluster.hosts;
const out = (made: Made): string =>
  hostsOf(made)
    .map((host) => (host.monitor.ejected ? "x" : "."))
    .join("");
const count = (made: Made, name: string) => stat(made.registry, `cluster.c.outlier_detection.${name}`);

/** So many answers of each host, `bad` of them 500. */
function answers(made: Made, each: number, bad: readonly number[]): void {
  for (const [index, host] of hostsOf(made).entries())
    for (let turn = 0; turn < each; turn += 1) host.onResponse(turn < (bad[index] ?? 0) ? 500 : 200);
}

test("ejections grow with their number up to the longest, and shrink while the host is well", () => {
  const made = upstream(
    { consecutive5xx: 1, interval: "10s", baseEjectionTime: "30s", maxEjectionTime: "60s", maxEjectionPercent: 100 },
    2,
  );
  const [host] = hostsOf(made);
  const lengths: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    host?.onResponse(500);
    let seconds = 0;
    for (; host?.monitor.ejected === true; seconds += 1) made.clock.advance(1000);
    lengths.push(seconds);
  }
  // To the next look, every ten seconds.
  assert.deepEqual(lengths, [30, 60, 60, 60]);
  made.clock.advance(20_000);
  host?.onResponse(500);
  let seconds = 0;
  for (; host?.monitor.ejected === true; seconds += 1) made.clock.advance(1000);
  assert.equal(seconds, 60, "three, less two, and one more");
  made.clock.advance(100_000);
  host?.onResponse(500);
  made.clock.advance(30_000);
  assert.equal(host?.monitor.ejected, false);
  made.cluster.close();
});

test("jitter lengthens an ejection; one host may always go; too many are counted as overflow", () => {
  const made = upstream(
    { consecutive5xx: 1, interval: "1s", baseEjectionTime: "10s", maxEjectionTimeJitter: "20s" },
    4,
  );
  const [first, second] = hostsOf(made);
  first?.onResponse(500);
  assert.equal(out(made), "....", "one of four is above 10 %");
  assert.equal(count(made, "ejections_overflow"), 1);
  const always = upstream(
    {
      consecutive5xx: 1,
      interval: "1s",
      baseEjectionTime: "10s",
      maxEjectionTimeJitter: "20s",
      alwaysEjectOneHost: true,
    },
    4,
  );
  for (const host of hostsOf(always)) host.onResponse(500);
  assert.equal(out(always), "x...");
  const lasts = hostsOf(always)[0]?.monitor.ejectionMs ?? 0;
  assert.ok(lasts > 10_000 && lasts < 30_000, `${lasts}`);
  assert.equal(count(always, "ejections_active"), 1);
  update(always.cluster, [{ lbEndpoints: [at(2)] }]);
  assert.equal(count(always, "ejections_active"), 0, "it left while it was out");
  assert.equal(second?.healthy, true);
  made.cluster.close();
  always.cluster.close();
});

test("gateway failures are counted beside 5xx, and enforced only as far as they are told to be", () => {
  const rule = { consecutive5xx: 100, consecutiveGatewayFailure: 2, maxEjectionPercent: 100 };
  const made = upstream({ ...rule, enforcingConsecutiveGatewayFailure: 100 }, 2);
  const [host] = hostsOf(made);
  host?.onResponse(503);
  host?.onResponse(500);
  host?.onResponse(503);
  assert.equal(out(made), "..", "the 500 between is no gateway failure");
  host?.onResponse(502);
  assert.equal(out(made), "x.");
  assert.equal(count(made, "ejections_enforced_consecutive_gateway_failure"), 1);
  const lax = upstream(rule, 2);
  for (let turn = 0; turn < 4; turn += 1) hostsOf(lax)[0]?.onResponse(503);
  assert.equal(out(lax), "..");
  assert.equal(count(lax, "ejections_detected_consecutive_gateway_failure"), 2);
  assert.equal(count(lax, "ejections_enforced_consecutive_gateway_failure"), 0);
  made.cluster.close();
  lax.cluster.close();
});

test("local origin: with the split it has its own count; without it a TCP connection that stands ends a row of failures", () => {
  const split = upstream(
    {
      splitExternalLocalOriginErrors: true,
      consecutiveLocalOriginFailure: 2,
      consecutive5xx: 2,
      maxEjectionPercent: 100,
    },
    2,
  );
  const [host] = hostsOf(split);
  host?.onLocalOrigin("reset");
  host?.onResponse(500);
  assert.equal(out(split), "..");
  host?.onLocalOrigin("connect-failure");
  assert.equal(out(split), "x.");
  assert.equal(count(split, "ejections_enforced_consecutive_local_origin_failure"), 1);
  const plain = upstream({ consecutive5xx: 2, maxEjectionPercent: 100 }, 2);
  const [tcp] = hostsOf(plain);
  tcp?.onLocalOrigin("connect-failure");
  tcp?.onLocalOrigin("success-final");
  tcp?.onLocalOrigin("timeout");
  assert.equal(out(plain), "..");
  tcp?.onLocalOrigin("connect-failure");
  assert.equal(out(plain), "x.");
  split.cluster.close();
  plain.cluster.close();
});

test("success rate: below the mean by so many standard deviations, among hosts with enough requests, enough of them", () => {
  const rule = {
    consecutive5xx: 1000,
    interval: "10s",
    successRateMinimumHosts: 5,
    successRateRequestVolume: 10,
    maxEjectionPercent: 100,
  };
  const made = upstream(rule, 5);
  answers(made, 10, [0, 0, 0, 0, 5]);
  made.clock.advance(10_000);
  // 100, 100, 100, 100 and 50: the mean is 90, the deviation 20, the threshold 90 - 1.9 * 20.
  assert.equal(made.cluster.outlier?.successRateAverage, 90);
  assert.ok(Math.abs((made.cluster.outlier?.successRateThreshold ?? 0) - 52) < 1e-9);
  assert.equal(out(made), "....x");
  assert.equal(hostsOf(made)[0]?.monitor.successRate, 100);
  // The one that is out counts no more, and four are too few.
  answers(made, 10, [0, 0, 0, 9, 0]);
  made.clock.advance(10_000);
  assert.equal(out(made), "....x");
  assert.equal(made.cluster.outlier?.successRateAverage, -1);
  const few = upstream(rule, 5);
  answers(few, 9, [0, 0, 0, 0, 9]);
  few.clock.advance(10_000);
  assert.equal(out(few), ".....", "nine requests are too few");
  made.cluster.close();
  few.cluster.close();
});

test("failure percentage: from the threshold on, where it is enforced", () => {
  const rule = {
    consecutive5xx: 1000,
    enforcingSuccessRate: 0,
    failurePercentageThreshold: 40,
    failurePercentageMinimumHosts: 2,
    failurePercentageRequestVolume: 10,
    maxEjectionPercent: 100,
  };
  const made = upstream({ ...rule, enforcingFailurePercentage: 100 }, 3);
  answers(made, 10, [3, 4, 10]);
  made.clock.advance(10_000);
  assert.equal(out(made), ".xx");
  const lax = upstream(rule, 3);
  answers(lax, 10, [3, 4, 10]);
  lax.clock.advance(10_000);
  assert.equal(out(lax), "...");
  assert.equal(count(lax, "ejections_detected_failure_percentage"), 2);
  made.cluster.close();
  lax.cluster.close();
});

test("monitors are refused by name", () => {
  const monitors = [{ name: "x", typedConfig: { "@type": "type.googleapis.com/google.protobuf.Struct" } }];
  assert.deepEqual(refusals({ outlierDetection: { monitors } }), ["outlier_detection.monitors"]);
});
