// Configuration that changes under load.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import type { ResourceHandler, ResourceSource } from "../../../src/proxy/subscribe/source.ts";
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
