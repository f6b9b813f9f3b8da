// A proxy's state as the admin interface sees it, small and fixed.

import { Registry } from "../../../src/observe/metrics.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { Cluster } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { Listener } from "../../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import { TcpProxy } from "../../../src/proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { Secret } from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { AdminView, ClusterView, DumpEntry, HostView } from "../../../src/proxy/admin/view.ts";
import { resetCounters } from "../../../src/proxy/run/view.ts";
import type { ResourceKind, ResourceTypes } from "../../../src/proxy/subscribe/source.ts";

export const NAME = "outbound|8080|v1|api.production.svc.cluster.local";

function host(address: string, healthFlags: readonly string[]): HostView {
  const names = [
    "cx_active",
    "cx_connect_fail",
    "cx_total",
    "rq_active",
    "rq_error",
    "rq_success",
    "rq_timeout",
    "rq_total",
  ];
  return {
    address,
    hostname: "",
    weight: 1,
    priority: 0,
    region: "",
    zone: "",
    subZone: "",
    healthFlags,
    successRate: -1,
    localOriginSuccessRate: -1,
    stats: Object.fromEntries(names.map((name, index) => [name, index])),
  };
}

const limits = { maxConnections: 100, maxPendingRequests: 100, maxRequests: 1000, maxRetries: 3 };

const cluster: ClusterView = {
  name: NAME,
  observabilityName: NAME,
  addedViaApi: true,
  edsServiceName: NAME,
  outlier: { successRateAverage: -1, successRateEjectionThreshold: -1 },
  defaultPriority: limits,
  highPriority: { maxConnections: 1024, maxPendingRequests: 1024, maxRequests: 1024, maxRetries: 3 },
  hosts: [host("10.0.0.2:8080", []), host("10.0.0.3:8080", ["/failed_outlier_check"])],
};

function entry<K extends ResourceKind>(name: string, resource: ResourceTypes[K], refusal?: string): DumpEntry<K> {
  const lastUpdatedMs = 1_700_000_001_000;
  return { name, version: "7", origin: "dynamic", state: "active", lastUpdatedMs, resource, refusal };
}

const clusterResource = Cluster.fromPartial({
  name: NAME,
  clusterDiscoveryType: { $case: "type", value: 3 },
  connectTimeout: { seconds: 10, nanos: 0 },
  metadata: { filterMetadata: { "weft.dev": { minRequestVolume: 10 } } },
});

const listenerResource = Listener.fromPartial({
  name: "virtualInbound",
  filterChains: [
    {
      filters: [
        {
          name: "envoy.filters.network.tcp_proxy",
          configType: {
            $case: "typedConfig",
            value: {
              typeUrl: "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
              value: Buffer.from(
                TcpProxy.encode(
                  TcpProxy.fromPartial({
                    statPrefix: "in",
                    clusterSpecifier: { $case: "cluster", value: "inbound|8080||" },
                  }),
                ).finish(),
              ),
            },
          },
        },
      ],
    },
  ],
});

const secretResource = Secret.fromPartial({
  name: "gateway",
  type: {
    $case: "tlsCertificate",
    value: { privateKey: { specifier: { $case: "inlineString", value: "SECRET KEY" } } },
  },
});

export interface FakeView extends AdminView {
  readonly calls: string[];
}

export function makeView(): FakeView {
  const registry = new Registry();
  const scope = registry.scope({
    statPrefix: `cluster.${NAME}.`,
    namePrefix: "envoy_cluster_",
    labels: { cluster_name: NAME },
  });
  scope.counter("upstream_rq_total").inc(5);
  scope.gauge("circuit_breakers.default.cx_open");
  const calls: string[] = [];
  const entries: { [K in ResourceKind]: readonly DumpEntry<K>[] } = {
    cluster: [entry<"cluster">(NAME, clusterResource)],
    endpoint: [],
    listener: [entry<"listener">("virtualInbound", listenerResource, "filter_chains[1]: unknown filter")],
    route: [entry<"route">("80", RouteConfiguration.fromPartial({ name: "80" }))],
    secret: [entry<"secret">("gateway", secretResource)],
  };
  return {
    calls,
    registry,
    commandLine: { concurrency: 1 },
    bootstrap: Bootstrap.fromPartial({
      node: { id: "sidecar~10.0.0.1~api.production~x", metadata: { LABELS: { app: "api" } } },
    }),
    startedAtMs: 1_700_000_000_000,
    state: () => "LIVE",
    clusters: () => [cluster],
    heldUp: () => [],
    listeners: () => [
      { name: "virtualInbound", address: "0.0.0.0:15006", draining: false },
      { name: "old", address: "0.0.0.0:9000", draining: true },
    ],
    dump: (kind) => entries[kind],
    certificates: () => [],
    logLevels: () => ({ main: "info", xds: "debug" }),
    setLogLevel: (logger, level) => {
      calls.push(`level ${logger}=${level}`);
      return level !== "loud";
    },
    resetCounters: () => resetCounters(registry),
    recent: () => ({ lines: [], passedOver: 0 }),
    refresh: () => undefined,
    runtime: () => ({
      layers: ["base", "admin"],
      entries: new Map([["a.b", { layerValues: ["1", ""], finalValue: "1" }]]),
    }),
    modifyRuntime: (changes) => {
      calls.push(`runtime ${[...changes].join(" ")}`);
      return undefined;
    },
    failHealthcheck: (failing) => calls.push(`fail ${failing}`),
    drainListeners: (options) => calls.push(`drain ${JSON.stringify(options)}`),
    quit: () => calls.push("quit"),
  };
}
