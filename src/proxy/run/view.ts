// The running proxy as the admin interface sees it.

import type { CircuitBreakerView, ClusterView, HostView } from "../admin/view.ts";
import type { BreakerConfig } from "../compile/cluster.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Host } from "../upstream/host.ts";

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
