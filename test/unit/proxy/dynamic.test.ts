// Configuration that changes under load, and outlier detection in virtual time.

import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import { compileCluster } from "../../../src/proxy/compile/cluster.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import type { ResourceHandler, ResourceSource } from "../../../src/proxy/subscribe/source.ts";
import { Cluster } from "../../../src/proxy/upstream/cluster.ts";
import { buildMaglev, buildRing, hashText } from "../../../src/proxy/upstream/hash.ts";
import { cluster, httpListener, httpOrigin, raw, start } from "./harness.ts";

class Scripted implements ResourceSource {
  readonly listeners = true;
  handler: ResourceHandler | undefined;
  readonly wanted = new Map<string, readonly string[]>();
  start(handler: ResourceHandler): void {
    this.handler = handler;
  }
  setWanted(kind: "endpoint" | "route" | "secret", names: ReadonlySet<string>): void {
    this.wanted.set(kind, [...names]);
  }
  stop(): void {
    this.handler = undefined;
  }
}

function split(first: number, version: string) {
  const weightedClusters = {
    clusters: [
      { name: "v1", weight: first },
      { name: "v2", weight: 100 - first },
    ],
  };
  const resource = RouteConfiguration.fromJSON({
    name: "80",
    virtualHosts: [{ name: "w", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { weightedClusters } }] }],
  });
  return { kind: "route", version, changed: [{ name: "80", version, resource }], removed: [] } as const;
}

test("routes, endpoints, clusters and the listener change under load and no request fails", async () => {
  const origin = await httpOrigin((_request, response) => setTimeout(() => response.end("fine"), 1));
  const source = new Scripted();
  const main = httpListener({ virtualHosts: [], rds: "80" });
  const starting = start({ listeners: [], clusters: [] }, { source });
  await new Promise((resolve) => setImmediate(resolve));
  const { handler } = source;
  assert.ok(handler !== undefined);
  const eds = { type: "EDS", edsClusterConfig: {}, loadAssignment: undefined };
  const clusters = (timeoutMs: number) =>
    ["v1", "v2"].map((name) => ({
      name,
      version: "1",
      resource: cluster(name, [], { ...eds, connectTimeout: `${timeoutMs / 1000}s` }),
    }));
  const endpoints = ["v1", "v2"].flatMap((name) => {
    const resource = cluster(name, [origin]).loadAssignment;
    return resource === undefined ? [] : [{ name, version: "1", resource }];
  });
  assert.deepEqual(handler.onUpdate({ kind: "cluster", version: "1", changed: clusters(1000), removed: [] }), []);
  assert.deepEqual(source.wanted.get("endpoint"), ["v1", "v2"]);
  handler.onUpdate({ kind: "endpoint", version: "1", changed: endpoints, removed: [] });
  handler.onUpdate({
    kind: "listener",
    version: "1",
    changed: [{ name: "main", version: "1", resource: main }],
    removed: [],
  });
  assert.deepEqual(source.wanted.get("route"), ["80"]);
  handler.onUpdate(split(100, "1"));
  const { proxy } = await starting;
  const port = proxy.port("main");
  let stop = false;
  let failed = 0;
  let served = 0;
  const worker = async () => {
    while (!stop) {
      const answer = await raw(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      if (answer.startsWith("HTTP/1.1 200") && answer.endsWith("fine")) served += 1;
      else failed += 1;
    }
  };
  const workers = [1, 2, 3, 4].map(worker);
  for (let round = 2; round < 40; round += 1) {
    handler.onUpdate(split(round, String(round)));
    handler.onUpdate({ kind: "endpoint", version: String(round), changed: endpoints, removed: [] });
    if (round % 5 === 0)
      handler.onUpdate({ kind: "cluster", version: String(round), changed: clusters(1000 + round), removed: [] });
    if (round % 10 === 0) {
      const changed = httpListener({ virtualHosts: [], rds: "80", hcm: { serverName: `s${round}` } });
      assert.deepEqual(
        handler.onUpdate({
          kind: "listener",
          version: String(round),
          changed: [{ name: "main", version: String(round), resource: changed }],
          removed: [],
        }),
        [],
      );
    }
    // Requests go on between any two changes, however slow the machine is.
    const before = served + failed;
    while (served + failed < before + 4) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  stop = true;
  await Promise.all(workers);
  assert.equal(failed, 0);
  assert.ok(served > 100, `${served}`);
  const bad = handler.onUpdate({
    kind: "cluster",
    version: "9",
    changed: [{ name: "v1", version: "9", resource: cluster("v1", [1], { lbPolicy: "CLUSTER_PROVIDED" }) }],
    removed: [],
  });
  assert.equal(bad[0]?.path, "lb_policy");
  assert.match(await raw(port, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), /^HTTP\/1\.1 200/);
});

function upstream(outlierDetection: Record<string, unknown>, ports: readonly number[], minRequestVolume = 0) {
  const clock = new VirtualClock();
  const registry = new Registry();
  const field = Field.root("o", "test");
  const metadata = { filterMetadata: { "weft.dev": { minRequestVolume } } };
  const config = compileCluster(cluster("o", ports, { outlierDetection, metadata }), field);
  assert.deepEqual(field.refusals, []);
  const made = new Cluster(
    config,
    { clock, random: seededRandom(1), registry, secrets: undefined, selfIp: undefined },
    () => undefined,
  );
  return { clock, made, registry };
}

test("five errors eject a host for its time, half of the hosts at most, and minRequestVolume holds it back", () => {
  const rule = { consecutive5xx: 5, interval: "10s", baseEjectionTime: "30s", maxEjectionPercent: 50 };
  const { clock, made } = upstream(rule, [1001, 1002], 10);
  const [first, second] = made.hosts;
  assert.ok(first !== undefined && second !== undefined);
  for (let at = 0; at < 4; at += 1) first.onResponse(200);
  for (let at = 0; at < 5; at += 1) first.onResponse(500);
  assert.equal(first.healthy, true);
  first.onResponse(500);
  assert.equal(first.healthy, false);
  for (let at = 0; at < 20; at += 1) second.onResponse(500);
  assert.equal(second.healthy, true);
  const picked = new Set<string>();
  for (let at = 0; at < 50; at += 1)
    picked.add(made.pick({ hash: undefined, avoid: [], attemptsMax: 0 }, undefined)?.address ?? "none");
  assert.deepEqual([...picked], ["127.0.0.1:1002"]);
  clock.advance(29_000);
  assert.equal(first.healthy, false);
  clock.advance(11_000);
  assert.equal(first.healthy, true);
  made.close();
});

test("one host of one is never ejected at 50 %, and failed connects count", () => {
  const single = upstream({ consecutive5xx: 5, maxEjectionPercent: 50 }, [1001]);
  for (let at = 0; at < 20; at += 1) single.made.hosts[0]?.onResponse(500);
  assert.equal(single.made.hosts[0]?.healthy, true);
  single.made.close();
  const pair = upstream({ consecutive5xx: 5, maxEjectionPercent: 50 }, [1001, 1002]);
  for (let at = 0; at < 5; at += 1) pair.made.hosts[1]?.onLocalOrigin("connect-failure");
  assert.equal(pair.made.hosts[1]?.healthy, false);
  pair.made.close();
});

test("hash tables spread evenly and move few keys when a host goes", () => {
  const hosts = Array.from({ length: 10 }, (_, index) => ({ key: `10.0.0.${index}:80`, weight: 1 }));
  for (const build of [
    (list: typeof hosts) => buildRing(list, 1024, 8192),
    (list: typeof hosts) => buildMaglev(list, 65_537),
  ]) {
    const all = build(hosts);
    const fewer = build(hosts.slice(0, 9));
    const counts = new Array<number>(10).fill(0);
    let moved = 0;
    for (let key = 0; key < 20_000; key += 1) {
      const hash = hashText(`user-${key}`);
      const index = all(hash, 0);
      counts[index] = (counts[index] ?? 0) + 1;
      if (index < 9 && fewer(hash, 0) !== index) moved += 1;
    }
    assert.ok(Math.min(...counts) > 1200 && Math.max(...counts) < 2900, counts.join());
    assert.ok(moved < 20_000 * 0.1, `${moved}`);
  }
});
