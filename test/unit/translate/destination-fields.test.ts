// Fields of DestinationRule by what they do: from manifests to the balancer of weft's own proxy.

import assert from "node:assert/strict";
import { test } from "node:test";
import { xxHash64 } from "../../../src/base/hash.ts";
import { Listener } from "../../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileListener, LISTENER_TYPE } from "../../../src/proxy/compile/listener.ts";
import { Translator } from "../../../src/translate/translate.ts";
import { API_WORKLOADS, proxyOf, snapshotOf } from "./mesh.ts";
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

const STICKY = API_WORKLOADS.replace("clusterIP: 10.96.0.7,", "clusterIP: 10.96.0.7, sessionAffinity: ClientIP,");

test("sessionAffinity: ClientIP keeps a client to one endpoint, for HTTP and TCP; a rule that chooses otherwise wins", () => {
  const { cluster } = upstreamOf(STICKY, API);
  const hostOf = (ip: string) =>
    cluster.pick({ hash: xxHash64(ip), avoid: [], attemptsMax: 0 }, undefined)?.address ?? "none";
  const clients = Array.from({ length: 40 }, (_none, i) => `10.244.0.${i + 1}`);
  for (const ip of clients) assert.equal(hostOf(ip), hostOf(ip));
  assert.equal(new Set(clients.map(hostOf)).size, 2, "clients are spread");
  cluster.close();
  const translated = new Translator(snapshotOf(STICKY)).translate(proxyOf());
  const listener = translated.listeners.find(({ name }) => name === "10.96.0.7_8080");
  assert.ok(listener);
  const compiled = compileListener(Listener.decode(Listener.encode(listener).finish()), Field.root("l", LISTENER_TYPE));
  const tcp = [compiled.defaultChain, ...compiled.chains].find((chain) => chain?.terminal.kind === "tcp")?.terminal;
  assert.ok(tcp?.kind === "tcp" && tcp.hashesSource);
  const chosen = upstreamOf(`${STICKY}${rule("{loadBalancer: {simple: ROUND_ROBIN}}")}`, API);
  assert.equal(chosen.cluster.config.lb.kind, "round-robin");
  chosen.cluster.close();
});
