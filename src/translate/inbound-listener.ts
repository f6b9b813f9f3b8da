// The listener for what arrives for the workload, and the clusters to the application.

import { formatRef } from "../model/finding.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { modeOfPort, type PortMode } from "../model/mtls.ts";
import type { Protocol } from "../model/service.ts";
import type { IngressListener } from "../model/sidecar.ts";
import { Cluster, Cluster_DiscoveryType, Cluster_LbPolicy } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { Address } from "../proto/gen/envoy/config/core/v3/address.ts";
import { TrafficDirection } from "../proto/gen/envoy/config/core/v3/base.ts";
import { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import {
  type Filter,
  FilterChain,
  FilterChainMatch,
} from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import { accessFilters } from "./access.ts";
import { circuitBreakers, httpProtocolOptions } from "./circuit-breaker.ts";
import { serverSocket } from "./gateway-tls.ts";
import { connectionManager, inboundHttpFilters } from "./http-filters.ts";
import { defaultRoute } from "./http-route.ts";
import { applicationAddress, bindingOf } from "./ingress.ts";
import { BLACK_HOLE, explicitServerName, INBOUND_PASSTHROUGH, INBOUND_PORT, inboundName } from "./names.ts";
import { tcpRbacFilters } from "./rbac.ts";
import { inboundRetryPolicy } from "./retry.ts";
import { httpInspector, originalDst, tcpProxy, tlsInspector } from "./tcp.ts";
import { ALPN_MESH, ALPN_MESH_HTTP, meshServerSocket } from "./tls.ts";
import { decorate } from "./tracing.ts";
import { durationOf, metadataOf, socketAddress } from "./wire.ts";
import type { Workload, WorkloadPort } from "./workload.ts";

/** As for outbound connections: silence means that the server speaks first. */
const SNIFF_TIMEOUT_MS = 1_000;
const PLAIN_HTTP: readonly string[] = ["http/1.1", "http/1.0"];

/** The one that calls are led to, and those that a Sidecar has the proxy bind by themselves. */
export function inboundListeners(workload: Workload, mesh: MeshConfig): readonly Listener[] {
  const bound = workload.ports.flatMap((port) => {
    const at = port.ingress === undefined ? undefined : bindingOf(port.ingress, workload.proxy);
    return at === undefined ? [] : [boundListener(port, at, { workload, mesh })];
  });
  return [inboundListener(workload, mesh), ...bound];
}

function inboundListener(workload: Workload, mesh: MeshConfig): Listener {
  const explicit = workload.proxy.mode === "NONE";
  const listener = sniffing("virtualInbound", explicit ? workload.proxy.address : "0.0.0.0", INBOUND_PORT);
  if (!explicit) listener.listenerFilters.unshift(originalDst());
  listener.filterChains = [
    ...(explicit ? [] : [loopChain()]),
    ...workload.ports.flatMap((port) => portChains({ workload, mesh, port: port.number, protocol: port.protocol })),
    // What no Service names is let through to where it was going, under the same policies.
    ...(explicit ? [] : portChains({ workload, mesh, port: undefined, protocol: "sniffed" })),
  ];
  // A listener needs a chain: one that leads nowhere where nothing is served.
  if (listener.filterChains.length === 0) {
    const nowhere = FilterChain.fromPartial({ name: "virtualInbound-blackhole" });
    nowhere.filters = [tcpProxy(BLACK_HOLE)];
    listener.filterChains = [nowhere];
  }
  return listener;
}

function boundListener(
  { number, protocol }: WorkloadPort,
  address: string,
  { workload, mesh }: Pick<PortContext, "workload" | "mesh">,
): Listener {
  const listener = sniffing(`${address}_${number}`, address, number);
  listener.filterChains = [...portChains({ workload, mesh, port: number, protocol, bound: true })];
  return listener;
}

function sniffing(name: string, address: string, port: number): Listener {
  const listener = Listener.fromPartial({
    name,
    address: socketAddress(address, port),
    trafficDirection: TrafficDirection.INBOUND,
    listenerFiltersTimeout: durationOf(SNIFF_TIMEOUT_MS),
    continueOnListenerFiltersTimeout: true,
  });
  listener.listenerFilters = [tlsInspector(), httpInspector()];
  return listener;
}

function loopChain(): FilterChain {
  const chain = FilterChain.fromPartial({
    name: "virtualInbound-blackhole",
    filterChainMatch: { destinationPort: INBOUND_PORT },
  });
  chain.filters = [tcpProxy(BLACK_HOLE)];
  return chain;
}

interface PortContext {
  readonly workload: Workload;
  readonly mesh: MeshConfig;
  /** Undefined: every port that has no chain of its own. */
  readonly port: number | undefined;
  readonly protocol: Protocol;
  /** Of a listener of this port alone. */
  readonly bound?: true;
}

function portChains(context: PortContext): readonly FilterChain[] {
  const mode =
    context.port === undefined ? context.workload.mtls.general : modeOfPort(context.workload.mtls, context.port);
  // A port with its own mode keeps it when no Service names it.
  const own = context.port === undefined ? unnamedPortModes(context) : [];
  const tls = mode.mode === "DISABLE" ? ingressOf(context)?.tls : undefined;
  if (tls !== undefined) return [ownTlsChain(context, mode, tls)];
  return [...own, ...chainsOf(context, mode)];
}

function unnamedPortModes(context: PortContext): readonly FilterChain[] {
  const named = new Set(context.workload.ports.map((port) => port.number));
  return [...context.workload.mtls.byPort]
    .filter(([port]) => !named.has(port))
    .flatMap(([port, mode]) => chainsOf({ ...context, port }, mode, INBOUND_PASSTHROUGH));
}

function chainsOf(context: PortContext, mode: PortMode, cluster = clusterFor(context)): readonly FilterChain[] {
  const parts = [...(mode.mode === "DISABLE" ? [] : meshChains(context.protocol, mode)), ...openChains(context, mode)];
  return parts.map((each) => buildChain(context, mode, { ...each, cluster }));
}

function ingressOf({ workload, port }: PortContext): IngressListener | undefined {
  return workload.ports.find(({ number }) => number === port)?.ingress;
}

/** Where the port is none of the mesh's TLS, the Sidecar may have one of its own: nothing else is taken then. */
function ownTlsChain(context: PortContext, mode: PortMode, tls: NonNullable<IngressListener["tls"]>): FilterChain {
  const http = context.protocol === "http";
  const parts = { suffix: "own-tls", transport: "tls", http, cluster: clusterFor(context) };
  const chain = buildChain(context, mode, parts);
  chain.transportSocket = serverSocket(tls, http ? "http" : "tcp", {
    engine: context.workload.proxy.engine,
    mesh: context.mesh,
  });
  return chain;
}

/** For the mesh's TLS. STRICT takes any TLS as such; PERMISSIVE only what offers the mesh's protocols. */
function meshChains(protocol: Protocol, { mode }: PortMode): readonly ChainParts[] {
  const strict = mode === "STRICT";
  const all = [...ALPN_MESH_HTTP, ALPN_MESH];
  switch (protocol) {
    case "http":
      return [{ suffix: "mtls-http", tls: [...all, "http/1.1"], http: true, alpn: strict ? [] : all }];
    case "tcp":
    case "udp":
      return [{ suffix: "mtls-tcp", tls: [ALPN_MESH], http: false, alpn: strict ? [] : all }];
    case "sniffed":
      return [
        { suffix: "mtls-http", tls: ALPN_MESH_HTTP, http: true, alpn: ALPN_MESH_HTTP },
        { suffix: "mtls-tcp", tls: [ALPN_MESH], http: false, alpn: strict ? [] : [ALPN_MESH] },
      ];
  }
}

/** For everything else, where the mode admits it. */
function openChains({ workload, protocol, bound }: PortContext, { mode }: PortMode): readonly ChainParts[] {
  // In explicit mode a plaintext connection says nothing of the port that it is for.
  if (mode === "STRICT" || (workload.proxy.mode === "NONE" && bound !== true)) return [];
  // A sniffed port's HTTP chain asks for plaintext, and from there is no way back to a chain that asks for nothing.
  const split = mode === "PERMISSIVE" || protocol === "sniffed";
  const plain = split ? "raw_buffer" : "";
  // TLS that isn't the mesh's is the application's own.
  const own: readonly ChainParts[] = split ? [{ suffix: "tls", transport: "tls", http: false }] : [];
  const http: ChainParts = { suffix: "http", transport: plain, http: true };
  const tcp: ChainParts = { suffix: "tcp", transport: plain, http: false };
  switch (protocol) {
    case "http":
      return [...own, http];
    case "tcp":
    case "udp":
      return [...own, tcp];
    case "sniffed":
      return [...own, { ...http, alpn: PLAIN_HTTP }, tcp];
  }
}

interface ChainParts {
  readonly suffix: string;
  /** Terminates the mesh's TLS, answering with one of these protocols. */
  readonly tls?: readonly string[];
  readonly transport?: string;
  readonly http: boolean;
  readonly alpn?: readonly string[];
}

interface NamedParts extends ChainParts {
  readonly cluster: string;
}

function buildChain(context: PortContext, mode: PortMode, parts: NamedParts): FilterChain {
  const { port, workload } = context;
  const label = port === undefined ? "virtualInbound-catchall" : `0.0.0.0_${port}`;
  const chain = FilterChain.fromPartial({ name: `${label}-${parts.suffix}` });
  chain.filterChainMatch = chainMatch(context, parts);
  chain.filters = parts.http
    ? [httpManager(context, parts)]
    : [
        ...tcpRbacFilters(workload.policies, rbacTarget(context)),
        tcpProxy(parts.cluster, undefined, workload.telemetry.serverLogs),
      ];
  if (parts.tls !== undefined) chain.transportSocket = meshServerSocket(parts.tls, context.mesh);
  if (mode.resource !== undefined) {
    const own = port !== undefined && workload.mtls.byPort.has(port);
    const rule = own ? `spec.portLevelMtls[${port}]` : "spec.mtls.mode";
    chain.metadata = metadataOf({ resource: formatRef(mode.resource), rule });
  }
  return chain;
}

function rbacTarget({ workload, mesh, port }: Pick<PortContext, "workload" | "mesh" | "port">) {
  const servedPort = workload.proxy.mode === "NONE" ? port : undefined;
  return { mesh, servedPort };
}

function chainMatch({ port, workload, bound }: PortContext, parts: ChainParts): FilterChainMatch {
  const match = FilterChainMatch.fromPartial({
    transportProtocol: parts.tls === undefined ? (parts.transport ?? "") : "tls",
    applicationProtocols: [...(parts.alpn ?? [])],
  });
  if (bound === true) return match;
  if (port !== undefined && workload.proxy.mode === "NONE") match.serverNames = [explicitServerName(port)];
  else if (port !== undefined) match.destinationPort = port;
  return match;
}

function httpManager(context: PortContext, { cluster, tls }: NamedParts): Filter {
  const { workload, mesh, port } = context;
  const name = port === undefined ? INBOUND_PASSTHROUGH : inboundName(port);
  const config = RouteConfiguration.fromPartial({
    name,
    validateClusters: false,
    virtualHosts: [{ name: `inbound|http|${port ?? 0}`, domains: ["*"] }],
  });
  const route = defaultRoute(cluster);
  if (route.action?.$case === "route") route.action.value.retryPolicy = inboundRetryPolicy();
  const { telemetry } = workload;
  const called = workload.ports.find(({ number }) => number === port)?.calledAs;
  if (telemetry.server !== undefined) decorate(route, called ?? name);
  for (const host of config.virtualHosts) host.routes = [route];
  return connectionManager({
    mesh,
    statPrefix: port === undefined ? INBOUND_PASSTHROUGH : `inbound_0.0.0.0_${port}`,
    direction: "inbound",
    telemetry,
    route: { $case: "routeConfig", value: config },
    filters: inboundHttpFilters(
      telemetry,
      accessFilters(workload, rbacTarget({ workload, mesh, port })),
      tls !== undefined,
    ),
  });
}

function clusterFor({ port }: PortContext): string {
  return port === undefined ? INBOUND_PASSTHROUGH : inboundName(port);
}

/** To the application itself: where the Sidecar says, at the original destination, or at the pod's address where there is none. */
export function inboundClusters(workload: Workload, mesh: MeshConfig): readonly Cluster[] {
  const { proxy, ports } = workload;
  const clusters = ports.map((port) => {
    const address = applicationAddress(port, proxy, mesh);
    const cluster = applicationCluster(inboundName(port.number), address, { workload, port });
    cluster.metadata = metadataOf({}, { services: [calledService(port.calledAs, workload)] });
    return cluster;
  });
  const rest = proxy.mode === "NONE" ? [] : [applicationCluster(INBOUND_PASSTHROUGH, undefined, { workload })];
  return [...clusters, ...rest];
}

/** The service of `host:port` as Istio's metrics name it. */
function calledService(calledAs: string, { proxy }: Workload) {
  const host = calledAs.slice(0, calledAs.lastIndexOf(":"));
  const [name = "", namespace = "", svc] = host.split(".");
  return svc === "svc" ? { host, name, namespace } : { host, name: host, namespace: proxy.namespace };
}

function applicationCluster(
  name: string,
  address: Address | undefined,
  { workload, port }: { readonly workload: Workload; readonly port?: WorkloadPort },
): Cluster {
  const type = address === undefined ? Cluster_DiscoveryType.ORIGINAL_DST : Cluster_DiscoveryType.STATIC;
  const cluster = Cluster.fromPartial({
    name,
    clusterDiscoveryType: { $case: "type", value: type },
    connectTimeout: durationOf(10_000),
    lbPolicy: address === undefined ? Cluster_LbPolicy.CLUSTER_PROVIDED : Cluster_LbPolicy.ROUND_ROBIN,
  });
  if (address !== undefined) {
    const lbEndpoints = [{ hostIdentifier: { $case: "endpoint" as const, value: { address } } }];
    cluster.loadAssignment = ClusterLoadAssignment.fromPartial({ clusterName: name, endpoints: [{ lbEndpoints }] });
  }
  const connectionPool = port?.ingress?.connectionPool ?? workload.connectionPool;
  cluster.circuitBreakers = circuitBreakers(connectionPool);
  cluster.typedExtensionProtocolOptions = httpProtocolOptions(connectionPool);
  return cluster;
}
