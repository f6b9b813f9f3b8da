// Fields of DestinationRule by what they do: from manifests to the balancer of weft's own proxy.

import assert from "node:assert/strict";
import { test } from "node:test";
import { API_WORKLOADS } from "./mesh.ts";
import { upstreamOf } from "./upstream.ts";

const API = "outbound|8080||api.production.svc.cluster.local";

function rule(policy: string): string {
  return `
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: production}
spec: {host: api, trafficPolicy: ${policy}}
`;
}

test("outlierDetectionHttpErrorCodes: these statuses eject, and other 5xx do not", () => {
  const detection = "consecutive5xxErrors: 3, maxEjectionPercent: 100, outlierDetectionHttpErrorCodes: [429, 503]";
  const { cluster } = upstreamOf(`${API_WORKLOADS}${rule(`{outlierDetection: {${detection}}}`)}`, API);
  const [first, second] = cluster.hosts;
  assert.ok(first !== undefined && second !== undefined);
  for (let i = 0; i < 10; i += 1) first.onResponse(500);
  assert.equal(first.healthy, true);
  first.onResponse(429);
  first.onResponse(503);
  first.onResponse(429);
  assert.equal(first.healthy, false);
  second.onResponse(429);
  second.onResponse(429);
  second.onResponse(404);
  second.onResponse(429);
  assert.equal(second.healthy, true, "another status ends the row");
  cluster.close();
});

test("warmup: an endpoint that comes later begins with its least share and ends with its full one", () => {
  const rules = rule("{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 100s, minimumPercent: 10}}}");
  const later = API_WORKLOADS.replaceAll(
    "- {addresses: [10.244.0.12]",
    "- {addresses: [10.244.0.13], conditions: {ready: true}}\n- {addresses: [10.244.0.12]",
  );
  const { cluster, clock, picks, update } = upstreamOf(`${API_WORKLOADS}${rules}`, API);
  picks(1);
  update(`${later}${rules}`);
  const share = () => (picks(2_100)["10.244.0.13:8080"] ?? 0) / 2_100;
  const first = share();
  assert.ok(Math.abs(first - 0.1 / 2.1) < 0.02, `at first ${first}`);
  clock.advance(100_000);
  const last = share();
  assert.ok(Math.abs(last - 1 / 3) < 0.02, `at last ${last}`);
  cluster.close();
});

test("retryBudget: retries are a share of what is under way, and never fewer than the minimum", () => {
  const { cluster } = upstreamOf(
    `${API_WORKLOADS}${rule("{retryBudget: {percent: 10, minRetryConcurrency: 1}}")}`,
    API,
  );
  const breaker = cluster.breaker("default");
  breaker.retries.take();
  assert.equal(breaker.retryAvailable, false);
  for (let i = 0; i < 20; i += 1) breaker.requests.take();
  assert.equal(breaker.retryAvailable, true);
  breaker.retries.take();
  assert.equal(breaker.retryAvailable, false);
  cluster.close();
});
