// A Cluster and its endpoints to what picking, pooling and ejecting need.

import type { CircuitBreakers_Thresholds } from "../../proto/gen/envoy/config/cluster/v3/circuit_breaker.ts";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
} from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { type Metadata, RoutingPriority } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { HealthStatus } from "../../proto/gen/envoy/config/core/v3/health_check.ts";
import type { ClusterLoadAssignment } from "../../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import type { LbEndpoint, LocalityLbEndpoints } from "../../proto/gen/envoy/config/endpoint/v3/endpoint_components.ts";
import { HttpProtocolOptions } from "../../proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import type { TlsConfig } from "../socket/tls-config.ts";
import { sourcedName } from "./config-source.ts";
import { type Field, fields } from "./field.ts";
import { compileOutlier, type OutlierConfig } from "./outlier.ts";
import { compileUpstreamTls } from "./tls.ts";
import { type Cause, causeOf, durationMs, ownNumber, ownText, socketTarget, targetText } from "./value.ts";

export interface BreakerConfig {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly retryBudget: { readonly share: number; readonly minConcurrency: number } | undefined;
  readonly trackRemaining: boolean;
}

export interface SocketMatch {
  readonly name: string;
  readonly match: readonly (readonly [string, unknown])[];
  readonly tls: TlsConfig | undefined;
}

export type LbConfig =
  | { readonly kind: "round-robin" }
  | { readonly kind: "least-request"; readonly choices: number; readonly bias: number }
  | { readonly kind: "random" }
  | { readonly kind: "ring-hash"; readonly sizeMin: number; readonly sizeMax: number }
  | { readonly kind: "maglev"; readonly tableSize: number }
  | { readonly kind: "original-dst"; readonly header: string | undefined; readonly portOverride: number };

export interface EndpointConfig {
  readonly address: string;
  readonly host: string;
  readonly port: number;
  readonly path: string | undefined;
  readonly hostname: string;
  readonly weight: number;
  readonly health: "healthy" | "unhealthy" | "draining" | "degraded";
  readonly priority: number;
  readonly locality: { readonly region: string; readonly zone: string; readonly subZone: string };
  readonly localityWeight: number;
  readonly metadata: Metadata | undefined;
  /** Of the assignment that it belongs to: how many healthy hosts of a priority are taken as all of it. */
  readonly overprovisioning: number;
}

export interface ClusterConfig {
  readonly name: string;
  readonly statName: string;
  readonly discovery: "static" | "strict-dns" | "eds" | "original-dst";
  readonly edsName: string;
  readonly endpoints: readonly EndpointConfig[];
  readonly connectTimeoutMs: number;
  readonly lb: LbConfig;
  readonly localityWeighted: boolean;
  readonly panicShare: number;
  readonly maxRequestsPerConnection: number;
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly breakers: { readonly default: BreakerConfig; readonly high: BreakerConfig };
  readonly outlier: OutlierConfig | undefined;
  readonly tls: TlsConfig | undefined;
  readonly socketMatches: readonly SocketMatch[];
  readonly dnsRefreshMs: number;
  readonly dnsFamily: 0 | 4 | 6;
  readonly keepaliveMs: number;
  readonly cause: Cause | undefined;
  /** Why a route leads to nothing here, in the words of the control plane. */
  readonly unreachable: string;
}

export const CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
export const ASSIGNMENT_TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const HONOURED =
  fields(`transportSocketMatches name altStatName clusterDiscoveryType edsClusterConfig connectTimeout lbPolicy loadAssignment
  perConnectionBufferLimitBytes maxRequestsPerConnection circuitBreakers commonHttpProtocolOptions httpProtocolOptions
  typedExtensionProtocolOptions dnsRefreshRate respectDnsTtl dnsLookupFamily outlierDetection cleanupInterval lbConfig commonLbConfig
  transportSocket metadata upstreamConnectionOptions closeConnectionsOnHostHealthFailure ignoreHealthOnHostRemoval trackClusterStats
  trackTimeoutBudgets waitForWarmOnInit dnsFailureRefreshRate protocolSelection`);

export function compileCluster(cluster: Cluster, at: Field): ClusterConfig {
  at.only(cluster, HONOURED);
  if (cluster.name === "") at.at("name").refuse("a cluster needs a name");
  const discovery = compileDiscovery(cluster, at);
  const options = compileProtocol(cluster, at);
  const common = cluster.commonLbConfig;
  if (common !== undefined) {
    const known =
      "healthyPanicThreshold localityConfigSpecifier updateMergeWindow closeConnectionsOnHostSetChange ignoreNewHostsUntilFirstHc";
    at.at("commonLbConfig").only(common, fields(known));
  }
  const assignment = cluster.loadAssignment;
  return {
    name: cluster.name,
    statName: cluster.altStatName === "" ? cluster.name : cluster.altStatName,
    discovery,
    edsName: sourcedName(
      cluster.edsClusterConfig?.serviceName || cluster.name,
      cluster.edsClusterConfig?.edsConfig,
      at.at("edsClusterConfig").at("edsConfig"),
    ),
    endpoints:
      assignment === undefined ? [] : compileEndpoints(assignment, at.at("loadAssignment").as(ASSIGNMENT_TYPE)),
    connectTimeoutMs: durationMs(cluster.connectTimeout) ?? 5000,
    lb: compileLb(cluster, discovery, at),
    localityWeighted: common?.localityConfigSpecifier?.$case === "localityWeightedLbConfig",
    panicShare: (common?.healthyPanicThreshold?.value ?? 50) / 100,
    maxRequestsPerConnection: options?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0,
    idleTimeoutMs: durationMs(options?.idleTimeout) ?? 3_600_000,
    maxConnectionDurationMs: durationMs(options?.maxConnectionDuration) ?? 0,
    breakers: { default: breaker(cluster, RoutingPriority.DEFAULT), high: breaker(cluster, RoutingPriority.HIGH) },
    outlier:
      cluster.outlierDetection === undefined
        ? undefined
        : compileOutlier(
            cluster.outlierDetection,
            ownNumber(cluster.metadata, "minRequestVolume"),
            at.at("outlierDetection"),
          ),
    tls: compileUpstreamTls(cluster.transportSocket, at.at("transportSocket")),
    socketMatches: cluster.transportSocketMatches.map((one, index) => ({
      name: one.name,
      match: Object.entries(one.match ?? {}),
      tls: compileUpstreamTls(one.transportSocket, at.at("transportSocketMatches").at(index).at("transportSocket")),
    })),
    dnsRefreshMs: durationMs(cluster.dnsRefreshRate) ?? 5000,
    dnsFamily:
      cluster.dnsLookupFamily === Cluster_DnsLookupFamily.V4_ONLY
        ? 4
        : cluster.dnsLookupFamily === Cluster_DnsLookupFamily.V6_ONLY
          ? 6
          : 0,
    keepaliveMs: (cluster.upstreamConnectionOptions?.tcpKeepalive?.keepaliveTime ?? 0) * 1000,
    cause: causeOf(cluster.metadata),
    unreachable: ownText(cluster.metadata, "unreachable"),
  };
}

function compileDiscovery(cluster: Cluster, at: Field): ClusterConfig["discovery"] {
  const type = cluster.clusterDiscoveryType;
  if (type?.$case === "clusterType") {
    at.at("clusterType").refuse("custom cluster types are not built in");
    return "static";
  }
  switch (type?.value) {
    case undefined:
    case Cluster_DiscoveryType.STATIC:
      return "static";
    case Cluster_DiscoveryType.STRICT_DNS:
      return "strict-dns";
    case Cluster_DiscoveryType.EDS:
      return "eds";
    case Cluster_DiscoveryType.ORIGINAL_DST:
      return "original-dst";
    default:
      at.at("type").refuse("LOGICAL_DNS is not built in; use STRICT_DNS");
      return "static";
  }
}

function compileProtocol(cluster: Cluster, at: Field): Cluster["commonHttpProtocolOptions"] {
  for (const [name, any] of Object.entries(cluster.typedExtensionProtocolOptions)) {
    const field = at.at(`typedExtensionProtocolOptions[${name}]`).as(any.typeUrl);
    if (name !== HTTP_OPTIONS) {
      field.refuse("these protocol options are not built in");
      continue;
    }
    const options = HttpProtocolOptions.decode(any.value);
    field.only(options, fields("commonHttpProtocolOptions upstreamProtocolOptions"));
    const specifier = options.upstreamProtocolOptions;
    if (specifier?.$case === "explicitHttpConfig" && specifier.value.protocolConfig?.$case !== "httpProtocolOptions") {
      field.at("explicitHttpConfig").refuse("HTTP/2 and HTTP/3 to upstreams are not built in yet");
    }
    if (specifier?.$case === "autoConfig") field.at("autoConfig").refuse("choosing HTTP/2 by ALPN is not built in yet");
    if (options.commonHttpProtocolOptions !== undefined) return options.commonHttpProtocolOptions;
  }
  return cluster.commonHttpProtocolOptions;
}

function compileHashing(cluster: Cluster): LbConfig {
  const own = cluster.lbConfig;
  if (cluster.lbPolicy === Cluster_LbPolicy.MAGLEV) {
    return { kind: "maglev", tableSize: (own?.$case === "maglevLbConfig" ? own.value.tableSize : undefined) ?? 65_537 };
  }
  const config = own?.$case === "ringHashLbConfig" ? own.value : undefined;
  return {
    kind: "ring-hash",
    sizeMin: config?.minimumRingSize ?? 1024,
    sizeMax: config?.maximumRingSize ?? 8 * 1024 * 1024,
  };
}

function compileLb(cluster: Cluster, discovery: ClusterConfig["discovery"], at: Field): LbConfig {
  const own = cluster.lbConfig;
  const slow = own?.$case === "roundRobinLbConfig" || own?.$case === "leastRequestLbConfig";
  if (slow && own.value.slowStartConfig !== undefined) {
    at.at(own.$case).at("slowStartConfig").refuse("slow start is not built in yet");
  }
  if (discovery === "original-dst") {
    const config = own?.$case === "originalDstLbConfig" ? own.value : undefined;
    const header = config?.useHttpHeader === true ? config.httpHeaderName || "x-envoy-original-dst-host" : undefined;
    return { kind: "original-dst", header, portOverride: config?.upstreamPortOverride ?? 0 };
  }
  switch (cluster.lbPolicy) {
    case Cluster_LbPolicy.ROUND_ROBIN:
      return { kind: "round-robin" };
    case Cluster_LbPolicy.LEAST_REQUEST: {
      const config = own?.$case === "leastRequestLbConfig" ? own.value : undefined;
      return {
        kind: "least-request",
        choices: config?.choiceCount ?? 2,
        bias: config?.activeRequestBias?.defaultValue ?? 1,
      };
    }
    case Cluster_LbPolicy.RANDOM:
      return { kind: "random" };
    case Cluster_LbPolicy.RING_HASH:
    case Cluster_LbPolicy.MAGLEV:
      return compileHashing(cluster);
    default:
      at.at("lbPolicy").refuse("this load balancing policy is not built in");
      return { kind: "random" };
  }
}

function breaker(cluster: Cluster, priority: RoutingPriority): BreakerConfig {
  const found: CircuitBreakers_Thresholds | undefined = cluster.circuitBreakers?.thresholds.find(
    (one) => one.priority === priority,
  );
  const budget = found?.retryBudget;
  return {
    maxConnections: found?.maxConnections ?? 1024,
    maxPendingRequests: found?.maxPendingRequests ?? 1024,
    maxRequests: found?.maxRequests ?? 1024,
    maxRetries: found?.maxRetries ?? 3,
    retryBudget:
      budget === undefined
        ? undefined
        : { share: (budget.budgetPercent?.value ?? 20) / 100, minConcurrency: budget.minRetryConcurrency ?? 3 },
    trackRemaining: found?.trackRemaining ?? false,
  };
}

export function compileEndpoints(assignment: ClusterLoadAssignment, at: Field): readonly EndpointConfig[] {
  const endpoints: EndpointConfig[] = [];
  if (assignment.policy !== undefined) at.at("policy").only(assignment.policy, fields("overprovisioningFactor"));
  const overprovisioning = (assignment.policy?.overprovisioningFactor ?? 140) / 100;
  for (const [groupIndex, group] of assignment.endpoints.entries()) {
    const field = at.at("endpoints").at(groupIndex);
    field.only(group, fields("locality metadata lbEndpoints loadBalancingWeight priority proximity"));
    for (const [index, one] of group.lbEndpoints.entries()) {
      const place = field.at("lbEndpoints").at(index);
      const made = compileEndpoint(one, group, place);
      if (made !== undefined) endpoints.push({ ...made, overprovisioning });
    }
  }
  return endpoints;
}

function compileEndpoint(
  one: LbEndpoint,
  group: LocalityLbEndpoints,
  at: Field,
): Omit<EndpointConfig, "overprovisioning"> | undefined {
  if (one.hostIdentifier?.$case !== "endpoint") {
    at.refuse("an endpoint is needed");
    return undefined;
  }
  const endpoint = one.hostIdentifier.value;
  const target = socketTarget(endpoint.address, at.at("endpoint").at("address"));
  if (target === undefined) return undefined;
  const place =
    target.kind === "tcp"
      ? { host: target.host, port: target.port, path: undefined }
      : { host: "", port: 0, path: target.path };
  return {
    ...place,
    address: targetText(target),
    hostname: endpoint.hostname,
    weight: one.loadBalancingWeight ?? 1,
    health: healthOf(one.healthStatus),
    priority: group.priority,
    locality: group.locality ?? { region: "", zone: "", subZone: "" },
    localityWeight: group.loadBalancingWeight ?? 0,
    metadata: one.metadata,
  };
}

function healthOf(status: HealthStatus): EndpointConfig["health"] {
  switch (status) {
    case HealthStatus.UNHEALTHY:
    case HealthStatus.TIMEOUT:
      return "unhealthy";
    case HealthStatus.DRAINING:
      return "draining";
    case HealthStatus.DEGRADED:
      return "degraded";
    default:
      return "healthy";
  }
}
