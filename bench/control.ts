// The control plane under many services and many connected proxies: how long a change takes to the last of them.
//
//   npm run bench:control -- [--services 200] [--endpoints 5] [--clients 50] [--changes 20]
//
// Prints one JSON object. The clients live in a process of their own and speak delta ADS without TLS.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { systemClock } from "../src/base/clock.ts";
import { isRecord } from "../src/base/json.ts";
import { seededRandom } from "../src/base/random.ts";
import { ok } from "../src/base/result.ts";
import { MeshState } from "../src/control/mesh-state.ts";
import {
  type EndpointSliceResource,
  emptyResources,
  type PodResource,
  type ResourceSet,
  type ServiceResource,
} from "../src/ingest/resources.ts";
import { defaultMeshConfig } from "../src/model/mesh-config.ts";
import { Node } from "../src/proto/gen/envoy/config/core/v3/base.ts";
import { makeAdsSource } from "../src/proxy/subscribe/ads.ts";
import type { ResourceSource, ResourceUpdate } from "../src/proxy/subscribe/source.ts";
import { DiscoveryServer } from "../src/serve/server.ts";

const PORT = 8080;
const WATCHED = `outbound|${PORT}||svc-0.shop.svc.cluster.local`;

interface Size {
  readonly services: number;
  readonly endpoints: number;
  readonly clients: number;
  readonly changes: number;
}

function addressOf(service: number, endpoint: number): string {
  const n = service * 32 + endpoint;
  return `10.${20 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
}

const NAMESPACE = "shop";

function meshOf({ services, endpoints }: Size): ResourceSet {
  const pods = new Map<string, PodResource>();
  const all = new Map<string, ServiceResource>();
  const slices = new Map<string, EndpointSliceResource>();
  for (let i = 0; i < services; i++) {
    const name = `svc-${i}`;
    for (let j = 0; j < endpoints; j++) {
      const labels = { app: name, version: `v${1 + (j % 2)}`, "security.istio.io/tlsMode": "istio" };
      pods.set(`${NAMESPACE}/${name}-${j}`, {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: `${name}-${j}`, namespace: NAMESPACE, labels },
        spec: { serviceAccountName: name },
        status: { podIP: addressOf(i, j), phase: "Running" },
      });
    }
    all.set(`${NAMESPACE}/${name}`, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name, namespace: NAMESPACE },
      spec: {
        selector: { app: name },
        clusterIP: `10.96.${i >> 8}.${i & 255}`,
        ports: [{ name: "http", port: PORT, targetPort: PORT }],
      },
    });
    slices.set(`${NAMESPACE}/${name}`, sliceOf(i, endpoints));
  }
  return { ...emptyResources(), pods, services: all, endpointSlices: slices };
}

function sliceOf(service: number, endpoints: number): EndpointSliceResource {
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: {
      name: `svc-${service}`,
      namespace: NAMESPACE,
      labels: { "kubernetes.io/service-name": `svc-${service}` },
    },
    addressType: "IPv4",
    ports: [{ name: "http", port: PORT, protocol: "TCP" }],
    endpoints: Array.from({ length: endpoints }, (_, j) => ({
      addresses: [addressOf(service, j)],
      conditions: { ready: true },
    })),
  };
}

function withRoute(resources: ResourceSet, change: number): ResourceSet {
  const virtualServices = new Map(resources.virtualServices);
  virtualServices.set(`${NAMESPACE}/svc-0`, {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "svc-0", namespace: NAMESPACE, generation: change },
    spec: { hosts: ["svc-0"], http: [{ timeout: `${change}s`, route: [{ destination: { host: "svc-0" } }] }] },
  });
  return { ...resources, virtualServices };
}

function withEndpoints(resources: ResourceSet, endpoints: number): ResourceSet {
  const endpointSlices = new Map(resources.endpointSlices);
  endpointSlices.set(`${NAMESPACE}/svc-0`, sliceOf(0, endpoints));
  return { ...resources, endpointSlices };
}

async function measure(size: Size): Promise<Record<string, unknown>> {
  const state = new MeshState(defaultMeshConfig);
  const pushed = { bytes: 0 };
  const discovery = new DiscoveryServer({
    clock: systemClock,
    configure: (proxy) => state.configure(proxy),
    events: {
      onPush: (_type, bytes) => {
        pushed.bytes += bytes;
      },
    },
  });
  const server = new grpc.Server();
  discovery.register(server, () => Promise.resolve(ok(undefined)));
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  let resources = withRoute(meshOf(size), 1);
  const firstMs = time(() => state.replace(resources));
  const clients = fork(import.meta.filename, ["--connect", String(port), "--clients", String(size.clients)]);
  const connectedMs = await reported(clients, "all");
  const bytesPerClient = Math.round(pushed.bytes / size.clients);
  await settled(discovery);

  const change = async (kind: string, next: (i: number) => ResourceSet): Promise<Record<string, unknown>> => {
    const totals: number[] = [];
    const rebuilds: number[] = [];
    pushed.bytes = 0;
    for (let i = 0; i < size.changes; i++) {
      clients.send({ watch: kind });
      await reported(clients, "armed");
      const done = reported(clients, "all");
      const startedMs = performance.now();
      resources = next(i);
      rebuilds.push(time(() => state.replace(resources)));
      discovery.notify();
      await done;
      totals.push(performance.now() - startedMs);
      await settled(discovery);
    }
    const bytes = Math.round(pushed.bytes / size.changes / size.clients);
    return { ...quantiles("lastClientMs", totals), ...quantiles("rebuildMs", rebuilds), bytesPerClient: bytes };
  };
  const cpu = process.cpuUsage();
  const endpoint = await change("endpoint", (i) =>
    withEndpoints(resources, i % 2 === 0 ? size.endpoints - 1 : size.endpoints),
  );
  const route = await change("route", (i) => withRoute(resources, i + 2));
  const used = process.cpuUsage(cpu);
  clients.kill();
  server.forceShutdown();
  discovery.close();
  return {
    ...size,
    firstRebuildMs: round(firstMs),
    connectAllMs: round(connectedMs),
    bytesPerClient,
    endpointChange: endpoint,
    routeChange: route,
    cpuSeconds: round((used.user + used.system) / 1e6),
    residentMb: Math.round(process.memoryUsage().rss / 1e6),
  };
}

function time(run: () => void): number {
  const startedMs = performance.now();
  run();
  return performance.now() - startedMs;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function quantiles(name: string, values: readonly number[]): Record<string, unknown> {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { [name]: { p50: at(0.5), p99: at(0.99) } };
}

/** Until every stream has answered all that it was sent. */
async function settled(discovery: DiscoveryServer): Promise<void> {
  const open = (): boolean =>
    discovery.connections().some((each) => Object.values(each.statuses()).some(({ state }) => state === "STALE"));
  do await new Promise((resolve) => setTimeout(resolve, 20));
  while (open());
}

async function reported(child: ChildProcess, what: string): Promise<number> {
  const startedMs = performance.now();
  for (;;) {
    const [message]: unknown[] = await once(child, "message");
    if (isRecord(message) && message["report"] === what) return performance.now() - startedMs;
  }
}

/** The other process: proxies that want everything, and tell when the last of them has what is watched. */
function connectClients(port: number, count: number): void {
  const report = (what: string): void => {
    process.send?.({ report: what });
  };
  let kind = "route";
  let waiting = new Set(Array.from({ length: count }, (_, i) => i));
  process.on("message", (message) => {
    if (!isRecord(message)) return;
    kind = String(message["watch"]);
    waiting = new Set(Array.from({ length: count }, (_, i) => i));
    report("armed");
  });
  for (let i = 0; i < count; i++) {
    const source = makeAdsSource({
      target: `127.0.0.1:${port}`,
      tls: undefined,
      node: Node.fromPartial({
        id: `sidecar~10.9.${i >> 8}.${i & 255}~client-${i}.${NAMESPACE}~${NAMESPACE}.svc.cluster.local`,
      }),
      variant: "delta",
      wildcards: new Set(["cluster", "listener"]),
      clock: systemClock,
      random: seededRandom(i),
    });
    source.start({
      onState: () => undefined,
      onUpdate: (update) => {
        want(source, update);
        const watched = kind === "route" ? String(PORT) : WATCHED;
        const arrived = update.kind === kind && update.changed.some(({ name }) => name === watched);
        if (arrived && waiting.delete(i) && waiting.size === 0) report("all");
        return [];
      },
    });
  }
}

/** What a sidecar asks for once it has clusters and listeners. */
function want(source: ResourceSource, update: ResourceUpdate): void {
  if (update.kind === "listener") source.setWanted("route", new Set([String(PORT)]));
  if (update.kind !== "cluster") return;
  const names = update.changed.map(({ name }) => name).filter((name) => name.startsWith("outbound|"));
  if (names.length > 0) source.setWanted("endpoint", new Set(names));
}

const number = { type: "string" } as const;
const { values } = parseArgs({
  options: { services: number, endpoints: number, clients: number, changes: number, connect: number },
});
if (values.connect !== undefined) connectClients(Number(values.connect), Number(values.clients));
else {
  const size = {
    services: Number(values.services ?? 200),
    endpoints: Number(values.endpoints ?? 5),
    clients: Number(values.clients ?? 50),
    changes: Number(values.changes ?? 20),
  };
  process.stdout.write(`${JSON.stringify(await measure(size), null, 2)}\n`);
}
