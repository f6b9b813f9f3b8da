// The running proxy as the admin interface sees it.

import type { Clock } from "../../base/clock.ts";
import { readBundle } from "../../identity/chain.ts";
import type { Registry } from "../../observe/metrics.ts";
import type {
  CertificateView,
  CircuitBreakerView,
  ClusterView,
  HostView,
  ProxyView,
  ServerState,
} from "../admin/view.ts";
import type { BreakerConfig } from "../compile/breaker.ts";
import { serving } from "../stack/serving.ts";
import { plainName } from "../subscribe/file-name.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Host } from "../upstream/host.ts";
import type { Clusters } from "./clusters.ts";
import type { Listeners } from "./listeners.ts";
import type { Runtime } from "./runtime.ts";
import type { SecretStore } from "./secrets.ts";

export function clusterView(cluster: Cluster, addedViaApi: boolean): ClusterView {
  const { config, outlier } = cluster;
  return {
    name: config.name,
    observabilityName: config.statName,
    addedViaApi,
    edsServiceName: config.discovery === "eds" ? config.edsName : "",
    outlier:
      outlier === undefined
        ? undefined
        : {
            successRateAverage: outlier.successRateAverage,
            successRateEjectionThreshold: outlier.successRateThreshold,
          },
    defaultPriority: breakerView(config.breakers.default),
    highPriority: breakerView(config.breakers.high),
    hosts: cluster.hosts.map(hostView),
  };
}

function breakerView(config: BreakerConfig): CircuitBreakerView {
  const { maxConnections, maxPendingRequests, maxRequests, maxRetries } = config;
  return { maxConnections, maxPendingRequests, maxRequests, maxRetries };
}

function hostView(host: Host): HostView {
  const { checked, endpoint, monitor, stats } = host;
  const healthFlags: string[] = [];
  if (checked.failing) healthFlags.push("/failed_active_hc");
  if (monitor.ejected) healthFlags.push("/failed_outlier_check");
  if (endpoint.health === "unhealthy" || endpoint.health === "draining") healthFlags.push("/failed_eds_health");
  if (endpoint.health === "degraded") healthFlags.push("/degraded_eds_health");
  if (checked.degraded) healthFlags.push("/degraded_active_hc");
  if (host.leaving) healthFlags.push("/pending_dynamic_removal");
  if (checked.pending) healthFlags.push("/pending_active_hc");
  if (checked.immediate) healthFlags.push("/excluded_via_immediate_hc_fail");
  if (checked.timedOut) healthFlags.push("/active_hc_timeout");
  const { rq_pending: _pending, ...shown } = stats;
  return {
    address: endpoint.address,
    hostname: endpoint.hostname,
    weight: endpoint.weight,
    priority: endpoint.priority,
    ...endpoint.locality,
    healthFlags,
    successRate: monitor.successRate,
    localOriginSuccessRate: monitor.localSuccessRate,
    stats: { ...shown, rq_pending: stats.rq_pending },
  };
}

export function certificateViews(secrets: SecretStore, watched: ReadonlySet<string>): readonly CertificateView[] {
  return [...new Set([...secrets.names(), ...watched])].map((name) => {
    const value = secrets.get(name);
    return {
      secretName: plainName(name),
      caPem: value?.kind === "trust" ? value.bundlePem : undefined,
      chainPem: value?.kind === "certificate" ? value.certificateChainPem : undefined,
    };
  });
}

/** Gauges by their dotted names, `MANAGER.WHAT`. */
function showGauges(registry: Registry, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    const dot = name.indexOf(".");
    const manager = name.slice(0, dot);
    const scope = registry.scope({ statPrefix: `${manager}.`, namePrefix: `envoy_${manager}_`, labels: {} });
    scope.gauge(name.slice(dot + 1)).set(value);
  }
}

export function resetCounters(registry: Registry): void {
  for (const { metric } of registry.series()) if (metric.type === "counter") metric.handle.value = 0;
}

/** A counter by its dotted name. */
export function count(registry: Registry, name: string): void {
  const dot = name.lastIndexOf(".");
  const prefix = name.slice(0, dot);
  const scope = registry.scope({ statPrefix: `${prefix}.`, namePrefix: `envoy_${prefix}_`, labels: {} });
  scope.counter(name.slice(dot + 1)).inc();
}

const STATES: Readonly<Record<ServerState, number>> = { LIVE: 0, DRAINING: 1, PRE_INITIALIZING: 2, INITIALIZING: 3 };
const DAY_MS = 86_400_000;
/** Envoy's value where there is no certificate. */
const NEVER_EXPIRES = 2 ** 32 - 1;

function serverGauges(server: {
  readonly state: ServerState;
  readonly uptimeMs: number;
  readonly connections: number;
  readonly certificates: readonly CertificateView[];
  readonly nowMs: number;
}): Readonly<Record<string, number>> {
  const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
  const days = server.certificates.flatMap(({ chainPem, caPem }) => {
    const facts = readBundle(chainPem ?? caPem ?? "");
    return facts.ok
      ? facts.value.map(({ notAfterMs }) => Math.max(0, Math.floor((notAfterMs - server.nowMs) / DAY_MS)))
      : [];
  });
  return {
    "server.state": STATES[server.state],
    "server.live": server.state === "LIVE" ? 1 : 0,
    "server.uptime": Math.floor(server.uptimeMs / 1000),
    "server.concurrency": 1,
    "server.hot_restart_epoch": 0,
    "server.envoy_bug_failures": serving.broken,
    "server.total_connections": server.connections,
    "server.days_until_first_cert_expiring": days.length === 0 ? NEVER_EXPIRES : Math.min(...days),
    "server.memory_allocated": heapUsed + external,
    "server.memory_heap_size": heapTotal,
    "server.memory_physical_size": rss,
  };
}

/** What is only worth counting when somebody looks. */
export function refreshGauges(
  { registry, clock }: { readonly registry: Registry; readonly clock: Clock },
  view: ProxyView,
  [clusters, listeners, runtime]: readonly [Clusters, Listeners, Runtime],
): void {
  const nowMs = clock.wallMs();
  showGauges(registry, {
    "cluster_manager.active_clusters": clusters.active().length,
    "cluster_manager.warming_clusters": clusters.warmingCount,
    "listener_manager.total_listeners_active": listeners.active().length,
    "listener_manager.total_listeners_warming": listeners.warming().length,
    "listener_manager.total_listeners_draining": listeners.drainingCount,
    "listener_manager.workers_started": 1,
    "runtime.num_keys": runtime.keyCount,
    "runtime.num_layers": runtime.layerCount,
    "runtime.admin_overrides_active": runtime.overrides ? 1 : 0,
    ...serverGauges({
      state: view.state(),
      uptimeMs: nowMs - view.startedAtMs,
      connections: listeners.activeConnections,
      certificates: view.certificates(),
      nowMs,
    }),
  });
}
