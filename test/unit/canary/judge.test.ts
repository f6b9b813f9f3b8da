import assert from "node:assert/strict";
import test from "node:test";
import { judge } from "../../../src/canary/judge.ts";
import { planOf } from "../../../src/canary/plan.ts";
import type { Numbers } from "../../../src/traffic/query.ts";

const { analysis } = planOf({ stable: "v1", canary: "v2" });

function numbers(requests: number, failures = 0, latencyMs = 20): Numbers {
  return {
    requests,
    failures,
    requestsPerSecond: requests / 60,
    failureShare: requests === 0 ? 0 : failures / requests,
    meanMs: latencyMs,
    p50Ms: latencyMs,
    p90Ms: requests === 0 ? undefined : latencyMs,
    p99Ms: latencyMs,
    codes: [],
    connectionsOpened: 0,
    connectionsClosed: 0,
    sentBytesPerSecond: 0,
    receivedBytesPerSecond: 0,
  };
}

const stable = numbers(900);
const kind = (canary: Numbers, other = stable) => judge([{ stable: other, canary }], analysis, undefined).kind;

test("as good as the stable version passes; too few requests tell nothing", () => {
  assert.equal(kind(numbers(100)), "pass");
  assert.equal(kind(numbers(49)), "hold");
  assert.match(
    judge([{ stable, canary: numbers(7) }], analysis, undefined).message,
    /7 requests have reached the canary; 50/,
  );
  assert.equal(judge([], analysis, undefined).kind, "hold");
});

test("failures: what is clear aborts, also before there are requests enough; what may be chance is waited for", () => {
  assert.equal(kind(numbers(100, 30)), "fail");
  assert.equal(kind(numbers(12, 6)), "fail");
  assert.equal(kind(numbers(3, 3)), "hold");
  assert.equal(kind(numbers(60, 2)), "hold");
  assert.equal(kind(numbers(1_000, 9)), "pass");
  assert.equal(kind(numbers(10_000, 150)), "fail");
  // As bad as the stable version is good enough.
  assert.equal(kind(numbers(1_000, 50), numbers(9_000, 450)), "pass");
});

test("latency against the stable version's, with a tolerance for small numbers", () => {
  assert.equal(kind(numbers(100, 0, 50)), "pass");
  assert.equal(kind(numbers(100, 0, 300)), "fail");
  assert.match(
    judge([{ stable, canary: numbers(100, 0, 300) }], analysis, undefined).message,
    /p90 is 300 ms, the stable version's 20 ms: 55 ms/,
  );
  assert.equal(kind(numbers(20, 0, 300)), "hold");
});

test("where the stable version has no requests any more, how it last did counts", () => {
  const baseline = { requests: 900, failurePercent: 0, latencyMs: 20 };
  assert.equal(judge([{ stable: numbers(0), canary: numbers(500, 0, 300) }], analysis, baseline).kind, "fail");
  assert.equal(judge([{ stable: numbers(0), canary: numbers(500, 0, 30) }], analysis, baseline).kind, "pass");
});

test("the worse of both sides counts: retries hide failures from the callers, and what reached nobody from the called", () => {
  const good = { stable, canary: numbers(100) };
  const bad = { stable, canary: numbers(130, 30) };
  assert.equal(judge([good, bad], analysis, undefined).kind, "fail");
  assert.equal(judge([bad, good], analysis, undefined).kind, "fail");
  assert.equal(judge([good, { stable: numbers(0), canary: numbers(0) }], analysis, undefined).kind, "pass");
});
