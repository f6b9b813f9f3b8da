// Configuration replaced a hundred times and certificates swapped under load: no request fails.

import assert from "node:assert/strict";
import { it } from "node:test";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import type { ResourceHandler, ResourceSource } from "../../../src/proxy/subscribe/source.ts";
import { startLoad } from "../../faults/load.ts";
import { cluster, httpListener, httpOrigin, start, stat } from "../proxy/harness.ts";

class Scripted implements ResourceSource {
  readonly listeners = true;
  handler: ResourceHandler | undefined;
  start(handler: ResourceHandler): void {
    this.handler = handler;
  }
  setWanted(): void {
    // Everything is told whether it is wanted or not.
  }
  stop(): void {
    this.handler = undefined;
  }
}

const ROUNDS = 100;
const WORKERS = 8;

it("listener, routes, clusters and endpoints are replaced 100 times under load and no request fails", async () => {
  const origins = [
    await httpOrigin((_request, response) => setTimeout(() => response.end("fine"), 1)),
    await httpOrigin((request, response) => {
      request.resume().on("end", () => response.end("fine"));
    }),
  ];
  const source = new Scripted();
  const starting = start({ listeners: [], clusters: [] }, { source });
  await new Promise((resolve) => setImmediate(resolve));
  const { handler } = source;
  assert.ok(handler !== undefined);
  replaceAll(handler, 0, origins);
  const { proxy, registry } = await starting;
  const load = startLoad(proxy.port("main"), WORKERS, "fine");
  for (let round = 1; round <= ROUNDS; round += 1) {
    replaceAll(handler, round, origins);
    const before = load.served();
    // Each version serves something before the next one comes.
    while (load.served() < before + WORKERS && load.failures.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
  await load.stop();
  assert.deepEqual(load.failures, []);
  assert.ok(load.served() >= ROUNDS * WORKERS);
  assert.equal(stat(registry, "listener_manager.lds.update_rejected"), -1);
  assert.equal(stat(registry, "http.test.downstream_rq_5xx"), 0);
});

/** A version in which everything has changed: the listener's manager, the route's cluster, its timeouts, its endpoint. */
function replaceAll(handler: ResourceHandler, round: number, origins: readonly number[]): void {
  const version = String(round);
  const name = `cluster-${round % 3}`;
  const origin = origins[round % origins.length] ?? 0;
  const eds = { type: "EDS", edsClusterConfig: {}, loadAssignment: undefined };
  const resource = cluster(name, [], { ...eds, connectTimeout: `${1 + round / 1000}s` });
  const assignment = cluster(name, [origin]).loadAssignment;
  assert.ok(assignment !== undefined);
  const refused = [
    handler.onUpdate({ kind: "cluster", version, changed: [{ name, version, resource }], removed: [] }),
    handler.onUpdate({
      kind: "endpoint",
      version,
      changed: [{ name, version, resource: assignment }],
      removed: [],
    }),
    handler.onUpdate({
      kind: "listener",
      version,
      changed: [
        {
          name: "main",
          version,
          resource: httpListener({ virtualHosts: [], rds: "80", hcm: { serverName: `weft-${round}` } }),
        },
      ],
      removed: [],
    }),
    handler.onUpdate({
      kind: "route",
      version,
      changed: [{ name: "80", version, resource: routes(name) }],
      removed: [],
    }),
  ];
  assert.deepEqual(refused.flat(), []);
  // The version before last is referred to by nobody.
  const gone = `cluster-${(round + 1) % 3}`;
  if (round > 2) handler.onUpdate({ kind: "cluster", version, changed: [], removed: [gone] });
}

function routes(name: string): RouteConfiguration {
  return RouteConfiguration.fromJSON({
    name: "80",
    virtualHosts: [{ name: "w", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: name } }] }],
  });
}
