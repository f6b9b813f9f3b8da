// The collector's memory: what counters grew by, by whom it was counted, and what is forgotten.

import assert from "node:assert/strict";
import test from "node:test";
import { FINE_ROUNDS_MAX } from "../../../src/traffic/limits.ts";
import { TrafficView } from "../../../src/traffic/query.ts";
import { TrafficStore } from "../../../src/traffic/store.ts";
import { type Call, page } from "./page.ts";

const START_MS = 1_000_000;

const toV1: Call = { source: "web", destination: "api-v1", version: "v1" };
const toV2: Call = { source: "web", destination: "api-v2", version: "v2" };

class Mesh {
  readonly store = new TrafficStore();
  readonly view = new TrafficView(this.store);
  nowMs = START_MS;

  /** One round: each proxy's page as it is now. */
  round(pages: Readonly<Record<string, string>>, afterMs = 5_000): void {
    this.nowMs += afterMs;
    this.store.keep(new Set(Object.keys(pages)));
    for (const [proxy, text] of Object.entries(pages)) {
      const reader = this.store.reader(proxy);
      reader.feed(text);
      reader.end();
    }
    this.store.endRound(this.nowMs);
  }
}

test("what was counted before the first visit is no traffic of now; growth is", () => {
  const mesh = new Mesh();
  mesh.round({ web: page([{ ...toV1, requests: 1_000, durationMs: 20 }]) });
  assert.deepEqual(mesh.view.edges(60), []);
  mesh.round({ web: page([{ ...toV1, requests: 1_050, durationMs: 20 }]) });
  const [edge, ...others] = mesh.view.edges(60);
  assert.deepEqual(others, []);
  assert.equal(edge?.requests, 50);
  assert.equal(edge.requestsPerSecond, 10);
  assert.equal(edge.source.workload, "web");
  assert.equal(edge.destination.workload, "api-v1");
  assert.equal(edge.destination.version, "v1");
  assert.equal(edge.service, "api.shop.svc.cluster.local");
  assert.deepEqual(edge.protocols, ["http"]);
  assert.deepEqual(edge.codes, [{ code: "200", count: 50 }]);
});

test("a counter that begins anew counts from zero, and a pod that is gone keeps what it had counted", () => {
  const mesh = new Mesh();
  mesh.round({ a: page([{ ...toV1, requests: 10 }]), b: page([{ ...toV1, requests: 5 }]) });
  mesh.round({ a: page([{ ...toV1, requests: 20 }]), b: page([{ ...toV1, requests: 8 }]) });
  // a restarted and has served 4 since; b is gone.
  mesh.round({ a: page([{ ...toV1, requests: 4 }]) });
  assert.equal(mesh.view.edges(60)[0]?.requests, 10 + 3 + 4);
  // b's name comes back: what it says at first is not counted.
  mesh.round({ a: page([{ ...toV1, requests: 4 }]), b: page([{ ...toV1, requests: 700 }]) });
  assert.equal(mesh.view.edges(60)[0]?.requests, 17);
});

test("versions, failures, codes and quantiles of one service", () => {
  const mesh = new Mesh();
  mesh.round({ web: page([]) });
  mesh.round({
    web: page([
      { ...toV1, requests: 90, durationMs: 20 },
      { ...toV2, requests: 7, durationMs: 200 },
      { ...toV2, requests: 3, durationMs: 200, code: "503", flags: "UF" },
    ]),
  });
  const service = mesh.view.service("shop/api", 60);
  assert.equal(service?.requests, 100);
  assert.equal(service.failureShare, 0.03);
  assert.deepEqual(
    service.versions.map(({ version, requests, failureShare }) => ({ version, requests, failureShare })),
    [
      { version: "v1", requests: 90, failureShare: 0 },
      { version: "v2", requests: 10, failureShare: 0.3 },
    ],
  );
  assert.deepEqual(service.versions[1]?.codes, [
    { code: "200", count: 7 },
    { code: "503 UF", count: 3 },
  ]);
  // 20 ms lie in (10, 25], 200 ms in (100, 250].
  const [v1, v2] = service.versions;
  assert.equal(v1?.p50Ms, 17.5);
  assert.equal(v1?.meanMs, 20);
  assert.equal(v2?.p99Ms, 248.5);
  assert.equal(mesh.view.service("api.shop.svc.cluster.local", 60)?.requests, 100);
  assert.equal(mesh.view.service("shop/nobody", 60), undefined);
});

test("a call that both sides counted is told once, by its caller, and a caller without a proxy by who was called", () => {
  const mesh = new Mesh();
  const mtls = { sourcePrincipal: "spiffe://cluster.local/ns/shop/sa/web", security: "mutual_tls" } as const;
  mesh.round({ web: page([]), api: page([]) });
  mesh.round({
    web: page([{ ...toV1, ...mtls, security: "unknown", requests: 10 }]),
    api: page([
      { ...toV1, ...mtls, source: "unknown", reporter: "destination", requests: 10 },
      { ...toV1, source: "unknown", reporter: "destination", security: "none", requests: 2 },
    ]),
  });
  const edges = mesh.view.edges(60);
  assert.deepEqual(
    edges.map(({ source, requests, security, reporter }) => [source.workload, requests, security, reporter]),
    [
      ["web", 10, "mutual_tls", "source"],
      ["unknown", 2, "none", "destination"],
    ],
  );
  assert.equal(mesh.view.service("shop/api", 60)?.requests, 12);
  assert.equal(mesh.view.measure({ reporter: "destination", workload: "api-v1" }, { lastSeconds: 60 }).requests, 12);
  assert.equal(mesh.view.measure({ reporter: "source", version: "v2" }, { lastSeconds: 60 }).requests, 0);
});

test("TCP: bytes and connections", () => {
  const mesh = new Mesh();
  const tcp = { source: "web", destination: "db", version: "v1", protocol: "tcp" };
  mesh.round({ web: page([]) });
  mesh.round({ web: page([{ ...tcp, sent: 5_000, received: 1_000, opened: 3, closed: 1 }]) });
  const [edge] = mesh.view.edges(60);
  assert.equal(edge?.sentBytesPerSecond, 1_000);
  assert.equal(edge.receivedBytesPerSecond, 200);
  assert.equal(edge.connectionsOpened, 3);
  assert.deepEqual(edge.protocols, ["tcp"]);
});

test("a window has the rounds that reach into it; since an instant only what began then", () => {
  const mesh = new Mesh();
  for (let round = 0; round <= 10; round += 1) mesh.round({ web: page([{ ...toV1, requests: round * 10 }]) });
  assert.equal(mesh.view.edges(10)[0]?.requests, 20);
  assert.equal(mesh.view.edges(10)[0]?.requestsPerSecond, 2);
  const filter = { reporter: "source" } as const;
  assert.equal(mesh.view.measure(filter, { sinceMs: mesh.nowMs - 12_000 }).requests, 20);
  assert.equal(mesh.view.measure(filter, { sinceMs: mesh.nowMs }).requests, 0);
});

test("a chart: lines by version, zero where it was quiet, nothing where nobody counted", () => {
  const mesh = new Mesh();
  mesh.round({ web: page([]) });
  const fromMs = mesh.nowMs;
  mesh.round({ web: page([{ ...toV1, requests: 10 }]) });
  mesh.round({
    web: page([
      { ...toV1, requests: 10 },
      { ...toV2, requests: 20 },
    ]),
  });
  mesh.round(
    {
      web: page([
        { ...toV1, requests: 10 },
        { ...toV2, requests: 20 },
      ]),
    },
    15_000,
  );
  const lines = mesh.view.series({ measure: "requestsPerSecond", by: "version" }, fromMs, 5);
  assert.deepEqual(
    lines.map(({ name, points }) => [name, points.map(({ value }) => value)]),
    [
      ["v1", [2, 0, undefined, 0]],
      ["v2", [0, 4, undefined, 0]],
    ],
  );
  assert.equal(lines[0]?.points[1]?.atMs, fromMs + 5_000);
  assert.deepEqual(mesh.view.series({ measure: "p50Ms" }, mesh.nowMs, 5), []);
});

test("old rounds are joined, and nothing that was counted is lost by it", () => {
  const mesh = new Mesh();
  const rounds = FINE_ROUNDS_MAX + 50;
  mesh.round({ web: page([{ ...toV1, requests: 0, durationMs: 20 }]) });
  for (let round = 1; round <= rounds; round += 1)
    mesh.round({ web: page([{ ...toV1, requests: round, durationMs: 20 }]) });
  assert.ok(mesh.store.size().rounds < FINE_ROUNDS_MAX + 10, `${mesh.store.size().rounds} rounds`);
  const all = mesh.view.edges(rounds * 5 + 5)[0];
  assert.equal(all?.requests, rounds);
  assert.equal(all.p50Ms, 17.5);
});

test("what does not fit is not counted, and said so", () => {
  const mesh = new Mesh();
  mesh.round({ web: page([]) });
  const many = Array.from({ length: 10_050 }, (_none, index) => ({ ...toV1, source: `web-${index}`, requests: 1 }));
  mesh.round({ web: page(many) });
  const { flows, refused } = mesh.store.size();
  assert.equal(flows, 10_000);
  assert.equal(refused, 50);
  // With its proxy gone and its rounds past, a flow's place is free again.
  for (let round = 0; round < 3; round += 1) mesh.round({ other: page([]) });
  assert.equal(mesh.store.size().series, 0);
});
