// Outbound clusters: one for each port of a service and each subset of it.

import { effectivePolicy, type HostRule } from "../model/destination.ts";
import type { Endpoint } from "../model/endpoint.ts";
import { localityRule } from "../model/locality.ts";
import type { Service, ServicePort } from "../model/service.ts";
import {
  Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  Cluster_TransportSocketMatch,
} from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { circuitBreakers, grpcProtocolOptions, httpProtocolOptions, keepalive } from "./circuit-breaker.ts";
import { setLoadBalancer } from "./load-balancer.ts";
import { setLocality } from "./locality.ts";
import { BLACK_HOLE, explicitServerName, outboundName, outboundServerName, PASSTHROUGH, podName } from "./names.ts";
import { outlierDetection } from "./outlier.ts";
import { externalSocket, meshClientSocket, plainSocket } from "./tls.ts";
import type { ClientView } from "./view.ts";
import { adsSource, durationFromText, durationOf, istioConfigPath, metadataOf, resourceText } from "./wire.ts";

export interface ClusterTarget {
  readonly service: Service;
  readonly port: ServicePort;
  readonly subset: string | undefined;
  readonly rule: HostRule | undefined;
}

/** A service as its clients may route to it: each port, and each port of each subset. */
export function serviceTargets(service: Service, rule: HostRule | undefined): readonly ClusterTarget[] {
  const subsets = [undefined, ...(rule?.subsets ?? []).map((subset) => subset.name)];
  return service.ports.flatMap((port) => subsets.map((subset) => ({ service, port, subset, rule })));
}

export function targetName(target: ClusterTarget): string {
  return outboundName(target.port.number, target.subset, target.service.host);
}

/** Of a headless service: what each can be called as by itself. */
export function podEndpoints({ headless, endpoints }: Service, port: ServicePort): readonly Endpoint[] {
  return headless ? (endpoints.get(port.number) ?? []) : [];
}

/** For headless services, where a client means the one pod whose address it called: with the same policy as for any. */
export function podClusters(target: ClusterTarget, view: ClientView): readonly Cluster[] {
  const { service, port, subset } = target;
  if (subset !== undefined || view.mode === "NONE" || view.type === "router") return [];
  const kinds = new Set(podEndpoints(service, port).map(({ hasSidecar }) => hasSidecar));
  return [...kinds].sort().map((hasSidecar) => {
    const cluster = outboundCluster(target, view);
    cluster.name = podName(port.number, service.host, hasSidecar);
    callOriginal(cluster);
    // Such a cluster's hosts have no metadata to choose by, so the choice is made here.
    const chosen = cluster.transportSocketMatches.find(({ name }) => (name === MESH_SOCKET) === hasSidecar);
    cluster.transportSocket ??= chosen?.transportSocket;
    cluster.transportSocketMatches = [];
    return cluster;
  });
}

function callOriginal(cluster: Cluster): void {
  cluster.clusterDiscoveryType = { $case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST };
  cluster.edsClusterConfig = undefined;
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  cluster.lbConfig = undefined;
}

/** `simple: PASSTHROUGH`: to the address that the client called. In explicit mode and at a gateway there is none, so it balances. */
export function isPassthrough({ port, subset, rule }: ClusterTarget, view: ClientView): boolean {
  const { loadBalancer } = effectivePolicy(rule, subset, port.number);
  return loadBalancer?.simple === "PASSTHROUGH" && view.mode === "REDIRECT" && view.type === "sidecar";
}

export function outboundCluster(target: ClusterTarget, view: ClientView): Cluster {
  const { port, subset, rule } = target;
  const policy = effectivePolicy(rule, subset, port.number);
  const pool = policy.connectionPool;
  const connectTimeout = pool?.tcp?.connectTimeout;
  const cluster = Cluster.fromPartial({
    name: targetName(target),
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: adsSource() },
    connectTimeout:
      connectTimeout === undefined ? durationOf(view.snapshot.mesh.connectTimeoutMs) : durationFromText(connectTimeout),
    // Without healthy endpoints a call fails; it isn't sent to unhealthy ones.
    commonLbConfig: { healthyPanicThreshold: { value: policy.outlierDetection?.minHealthPercent ?? 0 } },
  });
  setLoadBalancer(cluster, policy.loadBalancer);
  setLocality(cluster, localityRule(policy, target.service, view.snapshot.mesh));
  cluster.circuitBreakers = circuitBreakers(pool, policy.retryBudget);
  cluster.outlierDetection = outlierDetection(policy.outlierDetection);
  cluster.upstreamConnectionOptions = keepalive(pool);
  if (port.protocol !== "tcp") {
    cluster.typedExtensionProtocolOptions = httpProtocolOptions(pool, policy.outlierDetection);
  } else if (port.declared === "grpc") cluster.typedExtensionProtocolOptions = grpcProtocolOptions();
  cluster.metadata = describe(target, policy.outlierDetection?.minRequestVolume);
  secure(cluster, target, view);
  if (isPassthrough(target, view)) passThrough(cluster, target);
  return cluster;
}

/** One socket for all of them: the mesh's TLS only where every endpoint takes it. */
function passThrough(cluster: Cluster, { service, port }: ClusterTarget): void {
  const endpoints = service.endpoints.get(port.number) ?? [];
  const meshed = endpoints.length > 0 && endpoints.every(({ hasSidecar }) => hasSidecar);
  const chosen = cluster.transportSocketMatches.find(({ name }) => (name === MESH_SOCKET) === meshed);
  cluster.transportSocket ??= chosen?.transportSocket;
  cluster.transportSocketMatches = [];
  callOriginal(cluster);
}

const MESH_SOCKET = "tlsMode-istio";

function describe({ service, subset, rule }: ClusterTarget, minRequestVolume: number | undefined) {
  const source = rule?.sources[0];
  return metadataOf(
    {
      ...(rule === undefined || source === undefined ? {} : { resource: resourceText(rule.sources) }),
      ...(minRequestVolume === undefined ? {} : { minRequestVolume }),
    },
    {
      ...(source === undefined ? {} : { config: istioConfigPath(source) }),
      ...(subset === undefined ? {} : { subset }),
      services: [{ host: service.host, name: service.name, namespace: service.namespace }],
    },
  );
}

function secure(cluster: Cluster, target: ClusterTarget, view: ClientView): void {
  const { service, port, subset, rule } = target;
  const { tls } = effectivePolicy(rule, subset, port.number);
  const endpoints = service.endpoints.get(port.number) ?? [];
  switch (tls?.mode) {
    case "DISABLE":
      return;
    case "SIMPLE":
    case "MUTUAL":
      cluster.transportSocket = externalSocket(tls, service.host);
      return;
    case "ISTIO_MUTUAL":
      if (view.mode === "NONE") cluster.transportSocketMatches = meshMatches(target, endpoints, view);
      else cluster.transportSocket = meshSocket(target, endpoints, view);
      return;
    default:
      if (!view.snapshot.mesh.enableAutoMtls) return;
      cluster.transportSocketMatches = [
        ...meshMatches(target, endpoints, view),
        Cluster_TransportSocketMatch.fromPartial({
          name: "tlsMode-disabled",
          match: {},
          transportSocket: plainSocket(),
        }),
      ];
  }
}

/** Which endpoints take the mesh's TLS; in explicit mode each workload port has its own server name. */
function meshMatches(
  target: ClusterTarget,
  endpoints: readonly Endpoint[],
  view: ClientView,
): Cluster_TransportSocketMatch[] {
  if (view.mode === "REDIRECT") {
    const transportSocket = meshSocket(target, endpoints, view);
    return [
      Cluster_TransportSocketMatch.fromPartial({ name: MESH_SOCKET, match: { tlsMode: "istio" }, transportSocket }),
    ];
  }
  const ports = [...new Set(endpoints.filter((each) => each.hasSidecar).map((each) => each.port))].sort(
    (a, b) => a - b,
  );
  return ports.map((port) =>
    Cluster_TransportSocketMatch.fromPartial({
      name: `tlsMode-istio-${port}`,
      match: { tlsMode: "istio", workloadPort: String(port) },
      transportSocket: meshClientSocket(explicitServerName(port), identities(endpoints, view)),
    }),
  );
}

function meshSocket({ service, port, subset, rule }: ClusterTarget, endpoints: readonly Endpoint[], view: ClientView) {
  const { tls } = effectivePolicy(rule, subset, port.number);
  const names = tls?.subjectAltNames ?? [];
  const serverName = tls?.sni ?? outboundServerName(port.number, subset, service.host);
  return meshClientSocket(serverName, names.length > 0 ? names : identities(endpoints, view));
}

/** The accounts that the service's pods run as: a certificate of any other is refused. */
function identities(endpoints: readonly Endpoint[], view: ClientView): readonly string[] {
  const { trustDomain, trustDomainAliases } = view.snapshot.mesh;
  const accounts = endpoints
    .filter((each) => each.hasSidecar)
    .map((each) => `ns/${each.namespace}/sa/${each.serviceAccount}`);
  return [...new Set(accounts)]
    .sort()
    .flatMap((account) => [trustDomain, ...trustDomainAliases].map((domain) => `spiffe://${domain}/${account}`));
}

/** A route's target that does not exist: no endpoint, and the reason why. */
export function unreachableCluster(name: string, reason: string, resource: string): Cluster {
  const cluster = Cluster.fromPartial({
    name,
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: durationOf(1_000),
    loadAssignment: { clusterName: name },
  });
  cluster.metadata = metadataOf({ resource, unreachable: reason });
  return cluster;
}

/** Where calls to hosts outside the mesh go, and where those that are not allowed end. */
export function egressClusters(): readonly Cluster[] {
  const passthrough = Cluster.fromPartial({
    name: PASSTHROUGH,
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    connectTimeout: durationOf(10_000),
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
  });
  passthrough.circuitBreakers = circuitBreakers(undefined);
  passthrough.typedExtensionProtocolOptions = httpProtocolOptions(undefined);
  return [passthrough, blackHoleCluster()];
}

export function blackHoleCluster(): Cluster {
  return Cluster.fromPartial({
    name: BLACK_HOLE,
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: durationOf(10_000),
    loadAssignment: { clusterName: BLACK_HOLE },
  });
}
