// A control plane in a process of its own, which may be killed: all of it but the API server, whose watches it is told of
// as events, and which may be unreachable or slow.

import * as grpc from "@grpc/grpc-js";
import { makeAuthority } from "../../../bench/control/authority.ts";
import { Feed } from "../../../bench/control/feed.ts";
import { podOf, routeOf, serviceOf, sliceOf } from "../../../bench/control/mesh.ts";
import type { ApiError } from "../../../src/api/client.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { isRecord } from "../../../src/base/json.ts";
import { err, type Result } from "../../../src/base/result.ts";
import { startControlPlane } from "../../../src/control/control.ts";

const SLOW_MS = 2_000;
const LOOPBACK = "127.0.0.1";
const PLACES = [0, 1, 2];

class FaultyFeed extends Feed {
  /** Of the statuses that are stored. */
  written = 0;
  refused = 0;
  slow = false;
  #away = false;
  readonly #missed: KubeObject[] = [];

  override put(object: KubeObject): void {
    if (this.#away) this.#missed.push(object);
    else super.put(object);
  }

  setAway(away: boolean): void {
    this.#away = away;
    if (!away) for (const object of this.#missed.splice(0)) super.put(object);
  }

  override async mergePatch<T extends KubeObject>(): Promise<Result<T, ApiError>> {
    if (this.slow) await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
    if (this.#away) {
      this.refused += 1;
      return err({ code: 503, reason: "ServiceUnavailable", message: "connect ECONNREFUSED" });
    }
    this.written += 1;
    return super.mergePatch();
  }
}

const feed = new FaultyFeed();
const log: string[] = [];
const [services = 0, port = 0, debugPort = 0, originPort = 0, generation = 0] = process.argv.slice(2).map(Number);

/** The service that is truly called, and that of every change. */
function apiSlice() {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "api", namespace: "shop", labels: { "kubernetes.io/service-name": "api" } },
    addressType: "IPv4",
    ports: [{ name: "http", port: originPort, protocol: "TCP" }],
    endpoints: [{ addresses: [LOOPBACK], conditions: { ready: true } }],
  };
}

feed.put({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "api", namespace: "shop" },
  ...{ spec: { clusterIP: "10.97.0.1", ports: [{ name: "http", port: 8080, targetPort: originPort }] } },
});
feed.put(apiSlice());
// The callers have no certificates: nobody hands any out here.
feed.put({
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "default", namespace: "istio-system" },
  ...{ spec: { mtls: { mode: "DISABLE" } } },
});
for (let i = 0; i < services; i++) {
  feed.put(serviceOf(i));
  for (const place of PLACES) feed.put(podOf(i, place));
  feed.put(sliceOf(i, PLACES));
}
feed.put(routeOf(0, 1));
change(generation);

/** Another endpoint of the first service with each number. */
function change(to: number): void {
  feed.put(sliceOf(0, [...PLACES, PLACES.length + (to % 8)]));
}

const control = await startControlPlane({
  client: feed,
  clock: systemClock,
  mesh: { enableAutoMtls: false },
  log: (_level, message) => log.push(message),
  ca: {
    register: () => undefined,
    credentials: grpc.ServerCredentials.createInsecure(),
    authority: await makeAuthority(),
  },
  listen: {
    secure: { address: LOOPBACK, port: 0 },
    plain: { address: LOOPBACK, port },
    debug: { address: LOOPBACK, port: debugPort },
  },
});
await control.whenReady;

process.on("message", (message) => {
  if (!isRecord(message)) return;
  if (typeof message["change"] === "number") change(message["change"]);
  if (typeof message["route"] === "number") feed.put(routeOf(0, message["route"]));
  if (typeof message["away"] === "boolean") feed.setAway(message["away"]);
  if (typeof message["slow"] === "boolean") feed.slow = message["slow"];
  if (message["ask"] === true) process.send?.({ report: "state", ...state() });
});
process.send?.({ report: "ready" });

function state() {
  const connections = control.connections();
  const settled = connections.filter(({ session }) => session.settledSequence === session.configuration?.sequence);
  return {
    connections: connections.length,
    settled: settled.length,
    refusing: connections.filter(({ session }) => session.refusals().length > 0).length,
    rssMb: process.memoryUsage.rss() / 1e6,
    written: feed.written,
    refused: feed.refused,
    log: log.slice(-20),
  };
}
