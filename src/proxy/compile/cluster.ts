// A Cluster and its endpoints to what picking, pooling and ejecting need.

import { isRecord } from "../../base/json.ts";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
} from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { Metadata } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { HealthStatus } from "../../proto/gen/envoy/config/core/v3/health_check.ts";
import type { ClusterLoadAssignment } from "../../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import type { LbEndpoint, LocalityLbEndpoints } from "../../proto/gen/envoy/config/endpoint/v3/endpoint_components.ts";
import { HttpProtocolOptions } from "../../proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import type { KeepAliveProbes } from "../socket/dial.ts";
import type { ProxyVersion } from "../socket/proxy-header.ts";
import type { TlsConfig } from "../socket/tls-config.ts";
import { type BreakerConfig, compileBreakers } from "./breaker.ts";
import { sourcedName } from "./config-source.ts";
import { compileDynamicNames, type DynamicNames } from "./dynamic-names.ts";
import { type Field, fields } from "./field.ts";
import {
  compileEndpointCheck,
  compileHealthCheck,
  type EndpointCheck,
  type HealthCheckConfig,
} from "./health-check.ts";
import { type Balancing, compileBalancing, compileLb, compileOriginalDst, type LbConfig } from "./lb.ts";
import { compileErrorStatuses, compileOutlier, type OutlierConfig } from "./outlier.ts";
import { compileSubsets, type SubsetConfig } from "./subset.ts";
import { compileUpstreamSocket, oneAnnouncement, type UpstreamSocket } from "./upstream-socket.ts";
import { type Cause, causeOf, durationMs, ownNumber, ownText, socketTarget, targetText } from "./value.ts";

export interface SocketMatch {
  readonly name: string;
  readonly match: readonly (readonly [string, unknown])[];
  readonly tls: TlsConfig | undefined;
}

export interface ServiceName {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
}

export interface DnsConfig {
  /** Which addresses of a name count. */
  readonly families: "v4" | "v6" | "v4-else-v6" | "v6-else-v4" | "all";
  readonly refreshMs: number;
  readonly respectTtl: boolean;
  /** Undefined: a failure waits as long as a success. */
  readonly failureBaseMs: number | undefined;
  readonly failureMaxMs: number;
}

/** What an assignment says of all its endpoints together. */
export interface AssignmentPolicy {
  /** How many per cent of a priority's healthy hosts are taken as all of it: 140 means that 72 of 100 are enough. */
  readonly overprovisioningPercent: number;
  readonly weightedPriorityHealth: boolean;
}

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
  readonly localityMetadata: Metadata | undefined;
  /** Istio's text of who answers there; empty where it isn't told. */
  readonly workload: string;
  /** How it is checked; undefined: as the cluster says. */
  readonly check: EndpointCheck | undefined;
  readonly policy: AssignmentPolicy;
}

export interface ClusterConfig {
  readonly name: string;
  /** What its hosts speak. HTTP/2 is for the proxy's own gRPC calls: requests are not routed to such a cluster yet. */
  readonly protocol: "http1" | "http2";
  readonly statName: string;
  readonly discovery: "static" | "strict-dns" | "logical-dns" | "dynamic-dns" | "eds" | "original-dst";
  readonly edsName: string;
  readonly endpoints: readonly EndpointConfig[];
  readonly connectTimeoutMs: number;
  readonly lb: LbConfig;
  readonly balancing: Balancing;
  readonly subsets: SubsetConfig | undefined;
  readonly maxRequestsPerConnection: number;
  readonly idleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly breakers: { readonly default: BreakerConfig; readonly high: BreakerConfig };
  readonly outlier: OutlierConfig | undefined;
  /** Statuses that outlier detection takes for errors; undefined: the 5xx. */
  readonly errorStatuses: ReadonlySet<number> | undefined;
  readonly healthCheck: HealthCheckConfig | undefined;
  /** False: a host that discovery names no more stays as long as its checks pass. */
  readonly dropsHealthyHosts: boolean;
  /** TCP connections to a host that fails are closed at once. */
  readonly closesOnFailure: boolean;
  readonly tls: TlsConfig | undefined;
  /** Each connection begins with the PROXY protocol's header, which says whose it is. */
  readonly announces: ProxyVersion | undefined;
  /** Names that each request brings: undefined where none are taken from it. */
  readonly autoName:
    | { readonly sni: boolean; readonly verify: boolean; readonly header: string | undefined }
    | undefined;
  readonly socketMatches: readonly SocketMatch[];
  readonly dns: DnsConfig;
  /** An unused host of an ORIGINAL_DST cluster goes after this long. */
  readonly cleanupMs: number;
  /** False: others do not wait for it to be warm. */
  readonly waitsForWarm: boolean;
  readonly keepAlive: KeepAliveProbes | undefined;
  /** Connections for each request that is under way or waits; 1: none ahead. */
  readonly preconnectRatio: number;
  readonly cause: Cause | undefined;
  /** Whose endpoints they are, as Istio's metrics name it. */
  readonly service: ServiceName | undefined;
  /** Why a route leads to nothing here, in the words of the control plane. */
  readonly unreachable: string;
}

export const CLUSTER_TYPE = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
export const ASSIGNMENT_TYPE = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
const HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const HONOURED =
  fields(`transportSocketMatches name altStatName clusterDiscoveryType edsClusterConfig connectTimeout perConnectionBufferLimitBytes
  lbPolicy loadAssignment maxRequestsPerConnection circuitBreakers commonHttpProtocolOptions httpProtocolOptions
  typedExtensionProtocolOptions dnsRefreshRate dnsFailureRefreshRate respectDnsTtl dnsLookupFamily waitForWarmOnInit outlierDetection
  cleanupInterval lbSubsetConfig lbConfig commonLbConfig transportSocket metadata upstreamConnectionOptions
  closeConnectionsOnHostHealthFailure ignoreHealthOnHostRemoval healthChecks
  preconnectPolicy upstreamHttpProtocolOptions`);

const HTTP_OPTIONS_HONOURED = fields(
  "commonHttpProtocolOptions upstreamProtocolOptions upstreamHttpProtocolOptions outlierDetection",
);
const CONNECTION = fields("idleTimeout maxConnectionDuration maxRequestsPerConnection");
/** The parser is weft's own; trailers go on where the connection manager lets them; the others concern servers. */
const HTTP1 = fields(
  "useBalsaParser enableTrailers allowAbsoluteUrl acceptHttp10 defaultHostForHttp10 allowCustomMethods",
);

export function compileCluster(cluster: Cluster, at: Field): ClusterConfig {
  at.only(cluster, HONOURED);
  if (cluster.name === "") at.at("name").refuse("a cluster needs a name");
  const type = cluster.clusterDiscoveryType;
  const custom = type?.$case === "clusterType" ? type.value.typedConfig : undefined;
  const dynamic = compileDynamicNames(custom, at.at("clusterType").at("typedConfig"));
  const discovery = dynamic === undefined ? compileDiscovery(cluster, at) : "dynamic-dns";
  const protocol = compileProtocol(cluster, at);
  const options = protocol.common;
  const assignment = cluster.loadAssignment;
  const sockets = compileSockets(cluster, at);
  return {
    name: cluster.name,
    protocol: protocol.kind,
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
    lb:
      dynamic !== undefined
        ? compileDynamic(cluster, dynamic, at)
        : discovery === "original-dst"
          ? compileOriginalDst(cluster, at)
          : compileLb(cluster, at),
    balancing: compileBalancing(cluster.commonLbConfig, at),
    subsets: compileSubsets(cluster.lbSubsetConfig, at.at("lbSubsetConfig")),
    maxRequestsPerConnection: options?.maxRequestsPerConnection ?? cluster.maxRequestsPerConnection ?? 0,
    idleTimeoutMs: durationMs(options?.idleTimeout) ?? 3_600_000,
    maxConnectionDurationMs: durationMs(options?.maxConnectionDuration) ?? 0,
    breakers: compileBreakers(cluster.circuitBreakers, at.at("circuitBreakers")),
    outlier:
      cluster.outlierDetection === undefined
        ? undefined
        : compileOutlier(
            cluster.outlierDetection,
            ownNumber(cluster.metadata, "minRequestVolume"),
            at.at("outlierDetection"),
          ),
    errorStatuses: protocol.errorStatuses,
    healthCheck: compileHealthCheck(cluster.healthChecks, at.at("healthChecks")),
    dropsHealthyHosts: cluster.ignoreHealthOnHostRemoval,
    closesOnFailure: cluster.closeConnectionsOnHostHealthFailure,
    autoName: compileAutoName(protocol.names),
    tls: sockets.own.tls,
    announces: sockets.announces,
    socketMatches: sockets.matches,
    dns: compileDns(cluster, at),
    cleanupMs: dynamic?.hostTtlMs ?? durationMs(cluster.cleanupInterval) ?? 5000,
    waitsForWarm: cluster.waitForWarmOnInit ?? true,
    keepAlive: compileKeepAlive(cluster, at.at("upstreamConnectionOptions")),
    preconnectRatio: compilePreconnect(cluster, at.at("preconnectPolicy")),
    cause: causeOf(cluster.metadata),
    service: serviceOf(cluster.metadata),
    unreachable: ownText(cluster.metadata, "unreachable"),
  };
}

function compileDynamic(cluster: Cluster, { hostsMax }: DynamicNames, at: Field): LbConfig {
  if (cluster.lbPolicy !== Cluster_LbPolicy.CLUSTER_PROVIDED) {
    at.at("lbPolicy").refuse("a dynamic forward proxy's cluster takes CLUSTER_PROVIDED");
  }
  return { kind: "dynamic-dns", hostsMax };
}

interface Sockets {
  readonly own: UpstreamSocket;
  readonly matches: readonly SocketMatch[];
  readonly announces: ProxyVersion | undefined;
}

function compileSockets(cluster: Cluster, at: Field): Sockets {
  const own = compileUpstreamSocket(cluster.transportSocket, at.at("transportSocket"));
  const matches = cluster.transportSocketMatches.map((one, index) =>
    compileUpstreamSocket(one.transportSocket, at.at("transportSocketMatches").at(index).at("transportSocket")),
  );
  const used = matches.length > 0 && cluster.transportSocket === undefined ? matches : [own, ...matches];
  return {
    own,
    matches: cluster.transportSocketMatches.map((one, index) => ({
      name: one.name,
      match: Object.entries(one.match ?? {}),
      tls: matches[index]?.tls,
    })),
    announces: oneAnnouncement(used, cluster, at.at("transportSocket")),
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
    case Cluster_DiscoveryType.LOGICAL_DNS: {
      const [group, ...others] = cluster.loadAssignment?.endpoints ?? [];
      if (group?.lbEndpoints.length !== 1 || others.length > 0) {
        at.at("loadAssignment").refuse("LOGICAL_DNS needs exactly one endpoint in one locality");
      }
      return "logical-dns";
    }
    default:
      at.at("type").refuse("this type of discovery is not known");
      return "static";
  }
}

interface Protocol {
  readonly kind: "http1" | "http2";
  readonly common: Cluster["commonHttpProtocolOptions"];
  readonly names: Cluster["upstreamHttpProtocolOptions"];
  readonly errorStatuses: ClusterConfig["errorStatuses"];
}

function compileAutoName(names: Protocol["names"]): ClusterConfig["autoName"] {
  if (names === undefined || (!names.autoSni && !names.autoSanValidation)) return undefined;
  const header = names.overrideAutoSniHeader.toLowerCase();
  return { sni: names.autoSni, verify: names.autoSanValidation, header: header === "" ? undefined : header };
}

function compileProtocol(cluster: Cluster, at: Field): Protocol {
  for (const [name, any] of Object.entries(cluster.typedExtensionProtocolOptions)) {
    const field = at.at(`typedExtensionProtocolOptions[${name}]`).as(any.typeUrl);
    if (name !== HTTP_OPTIONS) {
      field.refuse("these protocol options are not built in");
      continue;
    }
    const options = HttpProtocolOptions.decode(any.value);
    field.only(options, HTTP_OPTIONS_HONOURED);
    const specifier = options.upstreamProtocolOptions;
    const explicit = specifier?.$case === "explicitHttpConfig" ? specifier.value.protocolConfig : undefined;
    const inside = field.at("explicitHttpConfig");
    if (explicit?.$case === "http3ProtocolOptions") inside.refuse("HTTP/3 to upstreams is not built in");
    if (explicit?.$case === "httpProtocolOptions") inside.at("httpProtocolOptions").only(explicit.value, HTTP1);
    if (specifier?.$case === "autoConfig") field.at("autoConfig").refuse("choosing HTTP/2 by ALPN is not built in yet");
    const { commonHttpProtocolOptions: common, upstreamHttpProtocolOptions: names } = options;
    if (common !== undefined) field.at("commonHttpProtocolOptions").only(common, CONNECTION);
    // As in Envoy, these options are instead of the cluster's own, not beside them.
    const errors = field.at("outlierDetection").at("errorMatcher");
    return {
      kind: explicit?.$case === "http2ProtocolOptions" ? "http2" : "http1",
      common,
      names,
      errorStatuses: compileErrorStatuses(options.outlierDetection?.errorMatcher, errors),
    };
  }
  const { commonHttpProtocolOptions: common, httpProtocolOptions, upstreamHttpProtocolOptions: names } = cluster;
  if (httpProtocolOptions !== undefined) at.at("httpProtocolOptions").only(httpProtocolOptions, HTTP1);
  if (common !== undefined) at.at("commonHttpProtocolOptions").only(common, CONNECTION);
  return { kind: "http1", common, names, errorStatuses: undefined };
}

function compileDns(cluster: Cluster, at: Field): DnsConfig {
  const refreshMs = durationMs(cluster.dnsRefreshRate) ?? 5000;
  const failure = cluster.dnsFailureRefreshRate;
  const baseMs = durationMs(failure?.baseInterval);
  const maxMs = durationMs(failure?.maxInterval) ?? (baseMs ?? 0) * 10;
  if (failure !== undefined && (baseMs ?? 0) <= 0) at.at("dnsFailureRefreshRate").refuse("base_interval is needed");
  if (maxMs < (baseMs ?? 0)) at.at("dnsFailureRefreshRate").refuse("max_interval is below base_interval");
  return {
    families: lookupFamilies(cluster.dnsLookupFamily),
    refreshMs,
    respectTtl: cluster.respectDnsTtl,
    failureBaseMs: baseMs,
    failureMaxMs: maxMs,
  };
}

function lookupFamilies(family: Cluster_DnsLookupFamily): DnsConfig["families"] {
  switch (family) {
    case Cluster_DnsLookupFamily.V4_ONLY:
      return "v4";
    case Cluster_DnsLookupFamily.V6_ONLY:
      return "v6";
    case Cluster_DnsLookupFamily.V4_PREFERRED:
      return "v4-else-v6";
    case Cluster_DnsLookupFamily.ALL:
      return "all";
    default:
      return "v6-else-v4";
  }
}

function compileKeepAlive(cluster: Cluster, at: Field): KeepAliveProbes | undefined {
  const options = cluster.upstreamConnectionOptions;
  if (options === undefined) return undefined;
  at.only(options, fields("tcpKeepalive"));
  const probes = options.tcpKeepalive;
  if (probes === undefined) return undefined;
  const ms = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);
  return { idleMs: ms(probes.keepaliveTime), intervalMs: ms(probes.keepaliveInterval), count: probes.keepaliveProbes };
}

function compilePreconnect(cluster: Cluster, at: Field): number {
  const policy = cluster.preconnectPolicy;
  if ((policy?.predictivePreconnectRatio ?? 1) > 1) {
    at.at("predictivePreconnectRatio").refuse("not built in; use per_upstream_preconnect_ratio");
  }
  const ratio = policy?.perUpstreamPreconnectRatio ?? 1;
  if (ratio < 1 || ratio > 3) at.at("perUpstreamPreconnectRatio").refuse("must be from 1 to 3");
  return ratio;
}

export function compileEndpoints(assignment: ClusterLoadAssignment, at: Field): readonly EndpointConfig[] {
  at.only(assignment, fields("clusterName endpoints policy"));
  const own = assignment.policy;
  if (own !== undefined) at.at("policy").only(own, fields("overprovisioningFactor weightedPriorityHealth"));
  const policy: AssignmentPolicy = {
    overprovisioningPercent: own?.overprovisioningFactor ?? 140,
    weightedPriorityHealth: own?.weightedPriorityHealth ?? false,
  };
  const endpoints = new Map<string, EndpointConfig>();
  for (const [groupIndex, group] of assignment.endpoints.entries()) {
    const field = at.at("endpoints").at(groupIndex);
    field.only(group, fields("locality metadata lbEndpoints loadBalancingWeight priority proximity"));
    for (const [index, one] of group.lbEndpoints.entries()) {
      const made = compileEndpoint(one, { group, policy }, field.at("lbEndpoints").at(index));
      if (made === undefined) continue;
      const key = `${made.priority} ${made.address}`;
      // An address that is there twice is one host, as it was named first.
      if (!endpoints.has(key)) endpoints.set(key, made);
    }
  }
  return [...endpoints.values()];
}

function compileEndpoint(
  one: LbEndpoint,
  around: { readonly group: LocalityLbEndpoints; readonly policy: AssignmentPolicy },
  at: Field,
): EndpointConfig | undefined {
  const { group, policy } = around;
  at.only(one, fields("hostIdentifier healthStatus metadata loadBalancingWeight"));
  if (one.hostIdentifier?.$case !== "endpoint") {
    at.refuse("an endpoint is needed");
    return undefined;
  }
  const endpoint = one.hostIdentifier.value;
  at.at("endpoint").only(endpoint, fields("address hostname healthCheckConfig"));
  const target = socketTarget(endpoint.address, at.at("endpoint").at("address"));
  if (target === undefined) return undefined;
  if (one.loadBalancingWeight === 0) at.at("loadBalancingWeight").refuse("at least 1");
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
    localityMetadata: group.metadata,
    workload: workloadText(one.metadata),
    check: compileEndpointCheck(endpoint.healthCheckConfig, at.at("endpoint").at("healthCheckConfig")),
    policy,
  };
}

function workloadText(metadata: Metadata | undefined): string {
  const text: unknown = metadata?.filterMetadata["istio"]?.["workload"];
  return typeof text === "string" ? text : "";
}

/** Istio's metadata lists the services that a cluster stands for: the first one names it. */
function serviceOf(metadata: Metadata | undefined): ServiceName | undefined {
  const services: unknown = metadata?.filterMetadata["istio"]?.["services"];
  const first: unknown = Array.isArray(services) ? services[0] : undefined;
  if (!isRecord(first)) return undefined;
  const { host, name, namespace } = first;
  return {
    host: typeof host === "string" ? host : "",
    name: typeof name === "string" ? name : "",
    namespace: typeof namespace === "string" ? namespace : "",
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
