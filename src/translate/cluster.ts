// Outbound clusters: one for each port of a service and each subset of it.

import type { ClientTls } from "../api/istio/destination-rule.ts";
import type { NamedCredential } from "../model/credential.ts";
import { effectivePolicy, servicePolicy } from "../model/destination.ts";
import type { Endpoint } from "../model/endpoint.ts";
import { localityRule } from "../model/locality.ts";
import {
  Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  Cluster_TransportSocketMatch,
} from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import {
  circuitBreakers,
  grpcProtocolOptions,
  httpProtocolOptions,
  keepalive,
  takeNameFromRequest,
} from "./circuit-breaker.ts";
import { callNamed } from "./dynamic-names.ts";
import { NAMED_PASSTHROUGH } from "./egress.ts";
import { setLoadBalancer } from "./load-balancer.ts";
import { setLocality } from "./locality.ts";
import { BLACK_HOLE, explicitServerName, outboundServerName, PASSTHROUGH, podName } from "./names.ts";
import { outlierDetection } from "./outlier.ts";
import { announceClients } from "./proxy-protocol.ts";
import { callOriginal, findingOf, lookUp } from "./service-entry.ts";
import { type ClusterTarget, podEndpoints, targetName } from "./target.ts";
import { externalSocket, meshClientSocket, plainSocket } from "./tls.ts";
import type { ClientView } from "./view.ts";
import { adsSource, durationFromText, durationOf, istioConfigPath, metadataOf, resourceText } from "./wire.ts";

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

/** Whether its endpoints are told by discovery. */
export function isDiscovered(target: ClusterTarget, view: ClientView): boolean {
  return findingOf(target, view) === "eds";
}

export function outboundCluster(target: ClusterTarget, view: ClientView): Cluster {
  const { service, port, subset, rule } = target;
  const policy = servicePolicy(service, rule, { subset, port: port.number }, view.snapshot.mesh);
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
  setLocality(cluster, localityRule(policy, service, view.snapshot.mesh));
  cluster.circuitBreakers = circuitBreakers(pool, policy.retryBudget);
  cluster.outlierDetection = outlierDetection(policy.outlierDetection);
  cluster.upstreamConnectionOptions = keepalive(pool);
  if (port.protocol !== "tcp") {
    cluster.typedExtensionProtocolOptions = httpProtocolOptions(pool, policy.outlierDetection);
  } else if (port.declared === "grpc") cluster.typedExtensionProtocolOptions = grpcProtocolOptions();
  cluster.metadata = describe(target, policy.outlierDetection?.minRequestVolume);
  secure(cluster, target, view);
  find(cluster, target, view);
  announceClients(cluster, policy.proxyProtocol);
  return cluster;
}

function find(cluster: Cluster, target: ClusterTarget, view: ClientView): void {
  const kind = findingOf(target, view);
  switch (kind) {
    case "eds":
      return;
    case "original":
      passThrough(cluster, target);
      return;
    case "strict-dns":
    case "logical-dns":
      lookUp(cluster, kind, { target, view });
      return;
    case "dynamic-dns":
      if (target.port.protocol === "tcp") nowhere(cluster);
      else callNamed(cluster, view);
      return;
  }
}

/** TCP brings no name. */
function nowhere(cluster: Cluster): void {
  cluster.clusterDiscoveryType = { $case: "type", value: Cluster_DiscoveryType.STATIC };
  cluster.edsClusterConfig = undefined;
  cluster.loadAssignment = ClusterLoadAssignment.fromPartial({ clusterName: cluster.name });
  cluster.metadata = metadataOf({ unreachable: "DYNAMIC_DNS looks up the names of HTTP requests only" });
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
      useForeignTls(cluster, tls, { target, view });
      return;
    case "ISTIO_MUTUAL":
      // Without a sidecar it is the server itself that takes the mesh's TLS: a gateway does.
      cluster.transportSocket = meshSocket(target, endpoints, view);
      if (view.mode === "NONE") cluster.transportSocketMatches = meshMatches(target, endpoints, view);
      return;
    default:
      if (!view.snapshot.mesh.enableAutoMtls || service.external) return;
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

/** Where the rule doesn't say whose certificate it has to be, it is that of the host: the service's, or the one that the request names. */
function useForeignTls(
  cluster: Cluster,
  tls: ClientTls,
  { target, view }: { readonly target: ClusterTarget; readonly view: ClientView },
): void {
  const { service, port } = target;
  const wild = service.host.startsWith("*");
  const sni = tls.sni ?? (wild ? "" : service.host);
  const names = (tls.subjectAltNames ?? []).length > 0 ? (tls.subjectAltNames ?? []) : service.subjectAltNames;
  const expected = names.length === 0 && sni !== "" ? [sni] : names;
  const { engine, snapshot } = view;
  const credential = readsCredentials(target, view) ? (tls.credentialName ?? "") : "";
  cluster.transportSocket = externalSocket(tls, { sni, names: expected, engine, mesh: snapshot.mesh, credential });
  if (sni === "" && port.protocol !== "tcp")
    takeNameFromRequest(cluster, { verify: expected.length === 0 && tls.insecureSkipVerify !== true });
}

/** As in Istio: gateways, and sidecars that the rule chooses. */
function readsCredentials({ rule }: ClusterTarget, { type }: Pick<ClientView, "type">): boolean {
  return type === "router" || Object.keys(rule?.clients ?? {}).length > 0;
}

/** The Secrets that the TLS towards a target is made with. */
export function clientCredentials(
  target: ClusterTarget,
  view: Pick<ClientView, "type">,
): readonly Pick<NamedCredential, "name" | "needs">[] {
  const { tls } = effectivePolicy(target.rule, target.subset, target.port.number);
  const name = tls?.credentialName ?? "";
  if (name === "" || (tls?.mode !== "SIMPLE" && tls?.mode !== "MUTUAL") || !readsCredentials(target, view)) return [];
  const certificate = tls.mode === "MUTUAL" ? [{ name, needs: "certificate" as const }] : [];
  return [...certificate, { name, needs: "trust" }];
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
      transportSocket: meshClientSocket(explicitServerName(port), identities(endpoints, view), view.snapshot.mesh),
    }),
  );
}

function meshSocket({ service, port, subset, rule }: ClusterTarget, endpoints: readonly Endpoint[], view: ClientView) {
  const { tls } = effectivePolicy(rule, subset, port.number);
  const own = tls?.subjectAltNames ?? [];
  const names = own.length > 0 ? own : service.subjectAltNames;
  const serverName = tls?.sni ?? outboundServerName(port.number, subset, service.host);
  // Where a rule asks for it and no sidecar answers, the pods themselves do.
  const bare = tls?.mode === "ISTIO_MUTUAL" && !endpoints.some((each) => each.hasSidecar);
  const servers = bare ? endpoints.map((each) => ({ ...each, hasSidecar: each.pod !== "" })) : endpoints;
  return meshClientSocket(serverName, names.length > 0 ? names : identities(servers, view), view.snapshot.mesh);
}

/** The accounts that the service's pods run as: a certificate of any other is refused. */
function identities(endpoints: readonly Endpoint[], view: ClientView): readonly string[] {
  const { trustDomain, trustDomainAliases } = view.snapshot.mesh;
  const accounts = endpoints
    .filter((each) => each.hasSidecar && each.serviceAccount !== "")
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
export function egressClusters(view: ClientView): readonly Cluster[] {
  const { snapshot } = view;
  const passthrough = Cluster.fromPartial({
    name: PASSTHROUGH,
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.ORIGINAL_DST },
    connectTimeout: durationOf(snapshot.mesh.connectTimeoutMs),
    lbPolicy: Cluster_LbPolicy.CLUSTER_PROVIDED,
  });
  passthrough.circuitBreakers = circuitBreakers(undefined);
  passthrough.typedExtensionProtocolOptions = httpProtocolOptions(undefined);
  if (view.outboundTrafficPolicy !== "ALLOW_ANY_DYNAMIC_DNS") return [passthrough, blackHoleCluster()];
  const named = { ...passthrough, name: NAMED_PASSTHROUGH };
  callNamed(named, view);
  return [passthrough, named, blackHoleCluster()];
}

export function blackHoleCluster(): Cluster {
  return Cluster.fromPartial({
    name: BLACK_HOLE,
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.STATIC },
    connectTimeout: durationOf(10_000),
    loadAssignment: { clusterName: BLACK_HOLE },
  });
}
