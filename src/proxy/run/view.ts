// The running proxy as the admin interface sees it.

import type { Registry } from "../../observe/metrics.ts";
import type { CertificateView, CircuitBreakerView, ClusterView, HostView } from "../admin/view.ts";
import type { BreakerConfig } from "../compile/cluster.ts";
import { plainName } from "../subscribe/file-name.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Host } from "../upstream/host.ts";
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
  const { endpoint, monitor, stats } = host;
  const healthFlags: string[] = [];
  if (monitor.ejected) healthFlags.push("/failed_outlier_check");
  if (endpoint.health === "unhealthy" || endpoint.health === "draining") healthFlags.push("/failed_eds_health");
  if (endpoint.health === "degraded") healthFlags.push("/degraded_eds_health");
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
export function showGauges(registry: Registry, values: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(values)) {
    const dot = name.indexOf(".");
    const manager = name.slice(0, dot);
    const scope = registry.scope({ statPrefix: `${manager}.`, namePrefix: `envoy_${manager}_`, labels: {} });
    scope.gauge(name.slice(dot + 1)).set(value);
  }
}
