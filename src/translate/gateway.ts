// All that a gateway runs: its listeners and routes, the clusters that those lead to, and the secrets of its servers.

import { deepEqual } from "../base/equal.ts";
import { VersionedMap } from "../base/versioned-map.ts";
import { gatewaysFor, mergeServers, type PlacedServer, portTranslation } from "../model/gateway.ts";
import { portOfPod } from "../model/gateway-finding.ts";
import { visibleService } from "../model/services.ts";
import type { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import type { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import type { FilterChain } from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import type { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import type { Route } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { TcpProxy } from "../proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { assignments } from "./assignments.ts";
import { blackHoleCluster, clientCredentials, isDiscovered, outboundCluster, unreachableCluster } from "./cluster.ts";
import { namedSecrets } from "./credential.ts";
import { loadAssignment } from "./endpoint.ts";
import { defaultEndpointClusters, passedAssignment, passedCluster, passedName } from "./gateway-endpoint.ts";
import { type GatewayListener, gatewayListener } from "./gateway-listener.ts";
import { serverCredentialsOf } from "./gateway-tls.ts";
import type { DeadEnd } from "./http-route.ts";
import { BLACK_HOLE } from "./names.ts";
import type { ProxyNode } from "./proxy.ts";
import { sameShape } from "./same-shape.ts";
import type { ClusterTarget } from "./target.ts";
import { decorate, traceClusters } from "./tracing.ts";
import type { ConfigurationPart } from "./translate.ts";
import { type ClientView, ruleFor } from "./view.ts";
import { sameWorkload, type Workload, workloadOf } from "./workload.ts";

/** What was made for a gateway, and of what. */
export interface GatewayParts {
  readonly view: ClientView;
  readonly workload: Workload;
  readonly listening: Listening;
  readonly byName: ReadonlyMap<string, ClusterParts>;
  readonly traces: ReturnType<typeof traceClusters>;
  /** Of the services that it leads to. */
  readonly hosts: ReadonlySet<string>;
  readonly configuration: ConfigurationPart;
}

interface Listening {
  readonly servers: readonly PlacedServer[];
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
  /** The clusters that they lead to, sorted, each with why it has nothing behind it, if so. */
  readonly clusters: ReadonlyMap<string, DeadEnd | undefined>;
}

/** What is made of one destination; the same for as long as the service and its rule are the same values. */
interface ClusterParts {
  readonly target: ClusterTarget;
  readonly cluster: Cluster;
  readonly endpoints: ClusterLoadAssignment | undefined;
}

export function gatewayParts(view: ClientView, proxy: ProxyNode, before: GatewayParts | undefined): GatewayParts {
  const { snapshot } = view;
  if (before !== undefined && isUnconcerned(before, view, proxy)) return { ...before, view };
  const workload = workloadOf(snapshot, proxy);
  const same = before !== undefined && isSame(before, view, workload) ? before : undefined;
  const listening = same?.listening ?? listen(view, workload);
  const byName = clustersOf(listening, view, before);
  const traces = traceClusters(view);
  const own = defaultEndpointClusters(listening.servers, proxy);
  const clusters = [
    blackHoleCluster(),
    ...[...listening.clusters].flatMap(
      ([name, deadEnd]) => byName.get(name)?.cluster ?? own.get(name) ?? deadCluster(name, deadEnd),
    ),
    ...traces.clusters,
  ];
  const endpoints = [...byName.values()].flatMap((each) => each.endpoints ?? []);
  const named = [
    ...serverCredentialsOf(listening.servers),
    ...[...byName.values()].flatMap(({ target }) => clientCredentials(target, view)),
  ];
  const secrets = namedSecrets(named, proxy, snapshot.resources.credentials);
  const older = before?.configuration;
  const configuration = {
    clusters: kept(older?.clusters, clusters),
    endpoints: assignments([...endpoints, ...traces.endpoints], older?.endpoints),
    listeners: listening.listeners,
    routes: listening.routes,
    secrets: kept(older?.secrets, secrets),
    extensions: older?.extensions ?? [],
    nameTables: older?.nameTables ?? [],
  };
  const hosts = new Set([...byName.values()].map(({ target }) => target.service.host));
  return { view, workload, listening, byName, traces, hosts, configuration };
}

/** Where nothing but endpoints of services differs that the gateway leads to none of. */
function isUnconcerned(before: GatewayParts, view: ClientView, proxy: ProxyNode): boolean {
  const { snapshot } = view;
  const older = before.view.snapshot;
  const changed = VersionedMap.changes(older.services, snapshot.services);
  return (
    sameWorkload(snapshot, older, proxy) &&
    snapshot.gateways.all === older.gateways.all &&
    snapshot.bound === older.bound &&
    snapshot.nodes === older.nodes &&
    snapshot.resources.credentials === older.resources.credentials &&
    before.view.key === view.key &&
    sameShape(view, before.view) &&
    changed.every((host) => !before.hosts.has(host)) &&
    deepEqual(before.traces, traceClusters(view))
  );
}

function isSame(before: GatewayParts, view: ClientView, workload: Workload): boolean {
  const { snapshot } = view;
  const older = before.view.snapshot;
  const { namespace, pod } = workload.proxy;
  const key = `${namespace}/${pod}`;
  return (
    snapshot.gateways.all === older.gateways.all &&
    snapshot.bound === older.bound &&
    snapshot.resources.services === older.resources.services &&
    snapshot.resources.pods.get(key) === older.resources.pods.get(key) &&
    before.view.key === view.key &&
    sameShape(view, before.view) &&
    deepEqual(before.workload, workload)
  );
}

/** The list as it was, where nothing in it differs: it then needs no encoding and no comparing. */
function kept<T>(older: readonly T[] | undefined, newer: readonly T[]): readonly T[] {
  return older !== undefined && deepEqual(older, newer) ? older : newer;
}

function listen(view: ClientView, workload: Workload): Listening {
  const { snapshot } = view;
  const { proxy } = workload;
  const gateways = gatewaysFor(snapshot.gateways.all, proxy.labels);
  const pod = snapshot.resources.pods.get(`${proxy.namespace}/${proxy.pod}`);
  const translate = portTranslation(snapshot.resources.services, proxy, (name) => portOfPod(pod, name));
  // In explicit mode pods share one loopback, so each listens on its own address.
  const anyAddress = proxy.mode === "NONE" ? proxy.address : "0.0.0.0";
  const { ports } = mergeServers(gateways, translate, anyAddress);
  const made = ports.map((port) => gatewayListener(port, { view, workload, anyAddress }));
  const routes = made.flatMap((each) => each.routes.map(({ config }) => config));
  if (view.telemetry.client !== undefined) routes.forEach(decorateAll);
  return {
    servers: ports.flatMap(({ servers }) => servers),
    listeners: made.map(({ listener }) => listener),
    routes,
    clusters: namedClusters(made, routes),
  };
}

function decorateAll(config: RouteConfiguration): void {
  for (const host of config.virtualHosts) {
    for (const route of host.routes) if (route.action?.$case === "route") decorate(route, host.name);
  }
}

function namedClusters(
  made: readonly GatewayListener[],
  routes: readonly RouteConfiguration[],
): ReadonlyMap<string, DeadEnd | undefined> {
  const chains = made.flatMap(({ listener }) => [
    ...listener.filterChains,
    ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain]),
  ]);
  const names = new Set([...chains.flatMap(tcpClusters), ...routes.flatMap(routedClusters)]);
  names.delete(BLACK_HOLE);
  const dead = new Map(made.flatMap(({ deadEnds }) => deadEnds).map((each) => [each.cluster, each]));
  return new Map([...names].sort().map((name) => [name, dead.get(name)]));
}

/** Only what is routed to. */
function clustersOf(
  { clusters }: Listening,
  view: ClientView,
  before: GatewayParts | undefined,
): ReadonlyMap<string, ClusterParts> {
  const { mesh, nodes } = view.snapshot;
  const known =
    before?.view.snapshot.mesh === mesh && before.view.snapshot.nodes === nodes && before.view.key === view.key;
  const byName = new Map<string, ClusterParts>();
  for (const name of clusters.keys()) {
    const target = targetOf(name, view);
    if (target === undefined) continue;
    const older = known ? before.byName.get(name) : undefined;
    const same = older !== undefined && older.target.service === target.service && older.target.rule === target.rule;
    byName.set(name, same ? older : partsOf(name, target, view));
  }
  return byName;
}

function partsOf(name: string, target: ClusterTarget, view: ClientView): ClusterParts {
  if (name === passedName(target)) {
    const told = isDiscovered(target, view) ? passedAssignment(target, view) : undefined;
    return { target, cluster: passedCluster(target, view), endpoints: told };
  }
  const endpoints = isDiscovered(target, view) ? loadAssignment(target, view) : undefined;
  return { target, cluster: outboundCluster(target, view), endpoints };
}

function deadCluster(name: string, deadEnd: DeadEnd | undefined): readonly Cluster[] {
  return deadEnd === undefined ? [] : [unreachableCluster(name, deadEnd.reason, deadEnd.resource)];
}

/** `outbound|8080|v1|api.production.svc.cluster.local`, or as a server name says it, where it is there. */
function targetOf(name: string, view: ClientView): ClusterTarget | undefined {
  const [, number, subset = "", host = ""] = name.split(name.startsWith("outbound_.") ? "_." : "|");
  const service = visibleService(view.snapshot.index, host, view.namespace);
  const port = service?.ports.find((each) => each.number === Number(number));
  if (service === undefined || port === undefined) return undefined;
  const rule = ruleFor(view, service);
  if (subset === "") return { service, port, subset: undefined, rule };
  return rule?.subsets.some((each) => each.name === subset) === true ? { service, port, subset, rule } : undefined;
}

function routedClusters({ virtualHosts }: RouteConfiguration): readonly string[] {
  return virtualHosts.flatMap((host) => host.routes.flatMap(clustersOfRoute));
}

function clustersOfRoute({ action }: Route): readonly string[] {
  if (action?.$case !== "route") return [];
  const { clusterSpecifier, requestMirrorPolicies } = action.value;
  const mirrored = requestMirrorPolicies.map(({ cluster }) => cluster);
  if (clusterSpecifier?.$case === "cluster") return [clusterSpecifier.value, ...mirrored];
  if (clusterSpecifier?.$case !== "weightedClusters") return mirrored;
  return [...clusterSpecifier.value.clusters.map(({ name }) => name), ...mirrored];
}

function tcpClusters({ filters }: FilterChain): readonly string[] {
  return filters.flatMap(({ name, configType }) => {
    if (name !== "envoy.filters.network.tcp_proxy" || configType?.$case !== "typedConfig") return [];
    const { clusterSpecifier } = TcpProxy.decode(configType.value.value);
    if (clusterSpecifier?.$case === "cluster") return [clusterSpecifier.value];
    return clusterSpecifier?.$case === "weightedClusters"
      ? clusterSpecifier.value.clusters.map((each) => each.name)
      : [];
  });
}
