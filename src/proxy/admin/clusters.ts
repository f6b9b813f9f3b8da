// /clusters: every cluster with its limits, every host with its counters and its health.

import { type Answer, addressJson, type Endpoint, json, text } from "./answer.ts";
import { compile } from "./pattern.ts";
import type { CircuitBreakerView, ClusterView, HostView } from "./view.ts";

export const clustersEndpoint: Endpoint = {
  path: "/clusters",
  help: "upstream cluster status",
  mutates: false,
  run({ view }, query): Answer {
    const pattern = compile(query.get("filter") ?? "");
    if (pattern === undefined) return text("Invalid re2 regex", 400);
    const clusters = view.clusters().filter(({ name }) => pattern.test(name));
    if (query.get("format") === "json") return json({ cluster_statuses: clusters.map(clusterJson) });
    return text(clusters.map(clusterText).join(""));
  },
};

const EJECTED = "/failed_outlier_check";

function clusterText(cluster: ClusterView): string {
  const lines: string[] = [`observability_name::${cluster.observabilityName}`];
  if (cluster.outlier !== undefined) {
    const { successRateAverage, successRateEjectionThreshold } = cluster.outlier;
    lines.push(
      `outlier::success_rate_average::${successRateAverage}`,
      `outlier::success_rate_ejection_threshold::${successRateEjectionThreshold}`,
      "outlier::local_origin_success_rate_average::-1",
      "outlier::local_origin_success_rate_ejection_threshold::-1",
    );
  }
  lines.push(...breakerText("default_priority", cluster.defaultPriority));
  lines.push(...breakerText("high_priority", cluster.highPriority));
  lines.push(`added_via_api::${cluster.addedViaApi}`);
  if (cluster.edsServiceName !== "") lines.push(`eds_service_name::${cluster.edsServiceName}`);
  for (const host of cluster.hosts) lines.push(...hostText(host).map((line) => `${host.address}::${line}`));
  return lines.map((line) => `${cluster.name}::${line}\n`).join("");
}

function breakerText(priority: string, breaker: CircuitBreakerView): readonly string[] {
  return [
    `${priority}::max_connections::${breaker.maxConnections}`,
    `${priority}::max_pending_requests::${breaker.maxPendingRequests}`,
    `${priority}::max_requests::${breaker.maxRequests}`,
    `${priority}::max_retries::${breaker.maxRetries}`,
  ];
}

function hostText(host: HostView): readonly string[] {
  const healthy = host.healthFlags.length === 0;
  return [
    ...sortedStats(host).map(([name, value]) => `${name}::${value}`),
    `hostname::${host.hostname}`,
    `health_flags::${healthy ? "healthy" : host.healthFlags.join("")}`,
    `weight::${host.weight}`,
    `region::${host.region}`,
    `zone::${host.zone}`,
    `sub_zone::${host.subZone}`,
    "canary::false",
    `priority::${host.priority}`,
    `success_rate::${host.successRate}`,
    `local_origin_success_rate::${host.localOriginSuccessRate}`,
    // weft's own, so that one grep tells who is out: Envoy only has the flags above.
    `healthy::${healthy}`,
    ...(host.healthFlags.includes(EJECTED) ? ["outlier::healthy::false"] : []),
  ];
}

function sortedStats(host: HostView): readonly [string, number][] {
  return Object.entries(host.stats).sort(([a], [b]) => (a < b ? -1 : 1));
}

function clusterJson(cluster: ClusterView): unknown {
  return {
    name: cluster.name,
    added_via_api: cluster.addedViaApi,
    ...(cluster.outlier === undefined ? {} : outlierJson(cluster.outlier)),
    host_statuses: cluster.hosts.map(hostJson),
    circuit_breakers: {
      thresholds: [breakerJson("DEFAULT", cluster.defaultPriority), breakerJson("HIGH", cluster.highPriority)],
    },
    observability_name: cluster.observabilityName,
    ...(cluster.edsServiceName === "" ? {} : { eds_service_name: cluster.edsServiceName }),
  };
}

/** Envoy leaves out what was not computed. */
function outlierJson(outlier: NonNullable<ClusterView["outlier"]>): object {
  if (outlier.successRateEjectionThreshold < 0) return {};
  return { success_rate_ejection_threshold: { value: outlier.successRateEjectionThreshold } };
}

function breakerJson(priority: string, breaker: CircuitBreakerView): unknown {
  return {
    priority,
    max_connections: breaker.maxConnections,
    max_pending_requests: breaker.maxPendingRequests,
    max_requests: breaker.maxRequests,
    max_retries: breaker.maxRetries,
  };
}

/** What Envoy's JSON calls each flag. */
const STATUS_FIELDS: Readonly<Record<string, string>> = {
  "/failed_active_hc": "failed_active_health_check",
  "/failed_outlier_check": "failed_outlier_check",
  "/degraded_active_hc": "failed_active_degraded_check",
  "/pending_dynamic_removal": "pending_dynamic_removal",
  "/pending_active_hc": "pending_active_hc",
  "/excluded_via_immediate_hc_fail": "excluded_via_immediate_hc_fail",
  "/active_hc_timeout": "active_hc_timeout",
};

function hostJson(host: HostView): unknown {
  const flags = Object.fromEntries(
    host.healthFlags.flatMap((flag) => {
      const field = STATUS_FIELDS[flag];
      return field === undefined ? [] : [[field, true]];
    }),
  );
  const degraded = host.healthFlags.includes("/degraded_eds_health");
  return {
    address: addressJson(host.address),
    stats: sortedStats(host).map(([name, value]) => ({
      name,
      value: String(value),
      ...(name.endsWith("_active") || name === "rq_pending" ? { type: "GAUGE" } : {}),
    })),
    health_status: {
      ...flags,
      eds_health_status: host.healthFlags.includes("/failed_eds_health")
        ? "UNHEALTHY"
        : degraded
          ? "DEGRADED"
          : "HEALTHY",
    },
    ...(host.successRate < 0 ? {} : { success_rate: { value: host.successRate } }),
    weight: host.weight,
    hostname: host.hostname,
    priority: host.priority,
    locality: { region: host.region, zone: host.zone, sub_zone: host.subZone },
  };
}
