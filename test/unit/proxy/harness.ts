// Static bootstraps for tests, and small origins to put behind the proxy.

import { createServer, type Server as HttpServer, type RequestListener } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { after } from "node:test";
import { type Clock, systemClock } from "../../../src/base/clock.ts";
import { type Random, seededRandom } from "../../../src/base/random.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { Cluster } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { Listener } from "../../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { FilterChain } from "../../../src/proto/gen/envoy/config/listener/v3/listener_components.ts";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import { Router } from "../../../src/proto/gen/envoy/extensions/filters/http/router/v3/router.ts";
import { HttpConnectionManager } from "../../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { TcpProxy } from "../../../src/proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { type RunningProxy, startProxy } from "../../../src/proxy/run/proxy.ts";
import type { SecretSource } from "../../../src/proxy/socket/secret.ts";
import type { DrainLife } from "../../../src/proxy/stack/drain.ts";
import type { ResourceSource } from "../../../src/proxy/subscribe/source.ts";

type Json = Record<string, unknown>;

/** Durations as people write them (`0.25s`) to what the generated readers take. */
function withDurations(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withDurations);
  if (typeof value === "string" && /^\d+(\.\d+)?s$/.test(value)) {
    const seconds = Math.floor(Number.parseFloat(value));
    return { seconds, nanos: Math.round((Number.parseFloat(value) - seconds) * 1e9) };
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withDurations(inner)]));
}

export function any(typeUrl: string, encoded: Uint8Array): { typeUrl: string; value: Buffer } {
  return { typeUrl: `type.googleapis.com/${typeUrl}`, value: Buffer.from(encoded) };
}

const HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

export interface HttpSetup {
  /** Virtual hosts in proto JSON. */
  readonly virtualHosts: readonly Json[];
  readonly hcm?: Json;
  readonly filters?: readonly { name: string; typeUrl: string; bytes: Uint8Array }[];
  readonly rds?: string;
}

export function httpFilter(setup: HttpSetup): { name: string; typedConfig: { typeUrl: string; value: Buffer } } {
  const hcm = HttpConnectionManager.fromJSON(withDurations({ statPrefix: "test", ...setup.hcm }));
  hcm.routeSpecifier =
    setup.rds === undefined
      ? {
          $case: "routeConfig",
          value: RouteConfiguration.fromJSON(withDurations({ name: "test", virtualHosts: setup.virtualHosts })),
        }
      : { $case: "rds", value: { routeConfigName: setup.rds, configSource: undefined } };
  const router = {
    name: "envoy.filters.http.router",
    typeUrl: "envoy.extensions.filters.http.router.v3.Router",
    bytes: Router.encode(Router.fromPartial({})).finish(),
  };
  hcm.httpFilters = [...(setup.filters ?? []), router].map((one) => ({
    name: one.name,
    configType: { $case: "typedConfig", value: any(one.typeUrl, one.bytes) },
    isOptional: false,
    disabled: false,
  }));
  return { name: "hcm", typedConfig: any(HCM, HttpConnectionManager.encode(hcm).finish()) };
}

export function tcpFilter(cluster: string): { name: string; typedConfig: { typeUrl: string; value: Buffer } } {
  const tcp = TcpProxy.fromPartial({ statPrefix: "tcp", clusterSpecifier: { $case: "cluster", value: cluster } });
  return {
    name: "tcp",
    typedConfig: any("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", TcpProxy.encode(tcp).finish()),
  };
}

export function chain(filter: ReturnType<typeof tcpFilter>, more: Json = {}): FilterChain {
  const made = FilterChain.fromJSON(withDurations(more));
  made.filters = [
    ...made.filters,
    { name: filter.name, configType: { $case: "typedConfig", value: filter.typedConfig } },
  ];
  return made;
}

export function listener(chains: readonly FilterChain[], more: Json = {}): Listener {
  const made = Listener.fromJSON(
    withDurations({
      name: "main",
      address: { socketAddress: { address: "127.0.0.1", portValue: 0 } },
      ...more,
    }),
  );
  made.filterChains = [...chains];
  return made;
}

export function httpListener(setup: HttpSetup, more: Json = {}): Listener {
  return listener([chain(httpFilter(setup))], more);
}

export function cluster(name: string, ports: readonly number[], more: Json = {}): Cluster {
  return Cluster.fromJSON(
    withDurations({
      name,
      type: "STATIC",
      connectTimeout: "1s",
      loadAssignment: {
        clusterName: name,
        endpoints: [
          {
            lbEndpoints: ports.map((port) => ({
              endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: port } } },
            })),
          },
        ],
      },
      ...more,
    }),
  );
}

export function routeAll(clusterName: string, route: Json = {}, host: Json = {}): Json {
  return {
    name: "all",
    domains: ["*"],
    routes: [{ match: { prefix: "/" }, route: { cluster: clusterName, ...route } }],
    ...host,
  };
}

export interface Started {
  readonly proxy: RunningProxy;
  readonly port: number;
  readonly registry: Registry;
}

export async function start(
  resources: { readonly listeners: readonly Listener[]; readonly clusters: readonly Cluster[] },
  more: {
    clock?: Clock;
    random?: Random;
    secrets?: SecretSource;
    source?: ResourceSource;
    drain?: DrainLife;
    /** Of the bootstrap's node. */
    metadata?: Json;
  } = {},
): Promise<Started> {
  const registry = new Registry();
  const { metadata } = more;
  const bootstrap = Bootstrap.fromPartial(metadata === undefined ? {} : { node: { metadata } });
  bootstrap.staticResources = { listeners: [...resources.listeners], clusters: [...resources.clusters], secrets: [] };
  const proxy = startProxy({
    bootstrap,
    source: more.source,
    localSecrets: more.secrets,
    clock: more.clock ?? systemClock,
    random: more.random ?? seededRandom(7),
    registry,
    drain: more.drain ?? { ms: 45_000, strategy: "immediate" },
  });
  after(() => proxy.close());
  await proxy.ready;
  return { proxy, port: proxy.port(resources.listeners[0]?.name ?? "main"), registry };
}

export async function httpOrigin(handle: RequestListener): Promise<number> {
  const server: HttpServer = createServer(handle);
  server.keepAliveTimeout = 60_000;
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return listenOn(server);
}

export async function tcpOrigin(handle: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    handle(socket);
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return listenOn(server);
}

function listenOn(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(isAddress(address) ? address.port : 0);
    });
  });
}

function isAddress(value: AddressInfo | string | null): value is AddressInfo {
  return typeof value === "object" && value !== null;
}

/** Sends bytes as they are and collects what comes back until the peer closes, or `until` is in it. */
export function raw(port: number, text: string, until?: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let got = "";
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(got);
    };
    const timer = setTimeout(finish, 3000);
    socket.on("data", (bytes) => {
      got += bytes.toString("latin1");
      if (until !== undefined && got.includes(until)) finish();
    });
    socket.on("close", finish);
    socket.on("error", finish);
    socket.write(text, "latin1");
  });
}

export function stat(registry: Registry, name: string): number {
  for (const series of registry.series()) {
    if (series.stat === name && series.metric.type !== "histogram") return series.metric.handle.value;
  }
  return -1;
}
