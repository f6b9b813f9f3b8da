// (snapshot, proxy) to everything that the proxy runs. Outbound parts are made once for all proxies that see the same.

import { deepEqual } from "../base/equal.ts";
import { VersionedMap } from "../base/versioned-map.ts";
import type { NamedCredential } from "../model/credential.ts";
import type { HostRule } from "../model/destination.ts";
import type { Service } from "../model/service.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { TypedExtensionConfig } from "../proto/gen/envoy/config/core/v3/extension.ts";
import type { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import type { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import type { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import type { Secret } from "../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import type { NameTable } from "../proto/gen/istio/nds.ts";
import { type Assignments, assignments, NO_ASSIGNMENTS, withAssignments } from "./assignments.ts";
import {
  clientCredentials,
  egressClusters,
  isDiscovered,
  outboundCluster,
  podClusters,
  unreachableCluster,
} from "./cluster.ts";
import { namedSecrets } from "./credential.ts";
import { egressTarget, hasEgressProxy } from "./egress.ts";
import { loadAssignment } from "./endpoint.ts";
import { type GatewayParts, gatewayParts } from "./gateway.ts";
import type { DeadEnd } from "./http-route.ts";
import { inboundClusters, inboundListeners } from "./inbound-listener.ts";
import { nameTables } from "./name-table.ts";
import { outboundListeners } from "./outbound-listener.ts";
import type { ProxyNode } from "./proxy.ts";
import { routeConfigs } from "./route.ts";
import { sameShape } from "./same-shape.ts";
import { sidecarListeners } from "./sidecar.ts";
import { serviceTargets } from "./target.ts";
import { traceClusters } from "./tracing.ts";
import { type Client, type ClientView, capturedView, clientOf, clientView, ruleFor, viewOf } from "./view.ts";
import { sameWorkload, type Workload, workloadOf } from "./workload.ts";

export interface ProxyConfiguration {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
  readonly secrets: readonly Secret[];
  readonly extensions: readonly TypedExtensionConfig[];
  /** One at most. */
  readonly nameTables: readonly NameTable[];
}

/** A part of it. Of endpoints the most change at a time and the fewest of them: they are versions of one map, by cluster. */
export interface ConfigurationPart extends Omit<ProxyConfiguration, "endpoints"> {
  readonly endpoints: Assignments;
}

/** What a proxy has in common with all that see the same, and what is its own: both stay the same values while equal. */
export interface PartedConfiguration {
  readonly shared: ConfigurationPart;
  readonly own: ConfigurationPart;
}

interface OutboundConfiguration {
  readonly client: Client;
  readonly view: ClientView;
  readonly shared: ConfigurationPart;
  readonly deadEnds: readonly DeadEnd[];
  readonly byHost: ReadonlyMap<string, ServiceParts>;
  /** Those of the clusters that spans go through. */
  readonly traces: readonly Cluster[];
  /** Secrets that the clusters' TLS is made with. */
  readonly credentials: readonly Pick<NamedCredential, "name" | "needs">[];
}

/** What is made of one service; the same for as long as the service and its rule are the same values. */
interface ServiceParts {
  readonly service: Service;
  readonly rule: HostRule | undefined;
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
  readonly credentials: OutboundConfiguration["credentials"];
}

interface ProxyParts extends PartedConfiguration {
  readonly snapshot: MeshSnapshot;
  /** Of the view that it shares. */
  readonly key: string;
  readonly workload: Workload;
}

/** What was made of values that are still the same: only saves work, never changes what comes out. */
export class TranslationMemory {
  readonly shared = new Map<string, OutboundConfiguration>();
  readonly proxies = new WeakMap<ProxyNode, ProxyParts>();
  readonly gateways = new WeakMap<ProxyNode, GatewayParts>();
}

/** One for each snapshot: remembers what is shared between proxies. */
export class Translator {
  readonly #snapshot: MeshSnapshot;
  readonly #memory: TranslationMemory;

  constructor(snapshot: MeshSnapshot, memory = new TranslationMemory()) {
    this.#snapshot = snapshot;
    this.#memory = memory;
  }

  translate(proxy: ProxyNode): ProxyConfiguration {
    const { shared, own } = this.parts(proxy);
    return {
      clusters: [...shared.clusters, ...own.clusters],
      endpoints: [...shared.endpoints.values(), ...own.endpoints.values()],
      listeners: [...shared.listeners, ...own.listeners],
      routes: [...shared.routes, ...own.routes],
      secrets: [...shared.secrets, ...own.secrets],
      extensions: [...shared.extensions, ...own.extensions],
      nameTables: [...shared.nameTables, ...own.nameTables],
    };
  }

  parts(proxy: ProxyNode): PartedConfiguration {
    if (proxy.type === "router") return { shared: NOTHING, own: this.#gateway(proxy) };
    const before = this.#memory.proxies.get(proxy);
    if (before?.snapshot === this.#snapshot) return before;
    const parts = this.#compose(proxy, before);
    this.#memory.proxies.set(proxy, parts);
    return parts;
  }

  /** `key`: of the view that is the proxy's, where that is known. */
  #outbound(proxy: ProxyNode, key: string | undefined): OutboundConfiguration {
    const { shared } = this.#memory;
    const known = key === undefined ? undefined : shared.get(key);
    if (known?.view.snapshot === this.#snapshot) return known;
    const client = known?.client ?? clientOf(this.#snapshot, proxy);
    const before = known ?? shared.get(client.key);
    if (before?.view.snapshot === this.#snapshot) return before;
    if (shared.size >= VIEWS_REMEMBERED_MAX) shared.clear();
    const view = viewOf(this.#snapshot, client);
    const made = { ...((before && laterOutbound(view, before)) ?? outbound(view, before)), client };
    shared.set(client.key, made);
    return made;
  }

  #gateway(proxy: ProxyNode): ConfigurationPart {
    const before = this.#memory.gateways.get(proxy);
    if (before?.view.snapshot === this.#snapshot) return before.configuration;
    const parts = gatewayParts(clientView(this.#snapshot, proxy), proxy, before);
    this.#memory.gateways.set(proxy, parts);
    return parts.configuration;
  }

  #compose(proxy: ProxyNode, before: ProxyParts | undefined): ProxyParts {
    const snapshot = this.#snapshot;
    const known = before !== undefined && sameWorkload(snapshot, before.snapshot, proxy) ? before : undefined;
    const seen = known !== undefined && sameTraits(snapshot, known.snapshot) ? known.key : undefined;
    const { shared, view, credentials } = this.#outbound(proxy, seen);
    const workload = known?.workload ?? workloadOf(snapshot, proxy);
    const same = before?.snapshot.mesh === snapshot.mesh ? before : undefined;
    // In explicit mode listeners bind the pod's own address.
    const outer = view.mode === "NONE" ? explicitListeners(view, proxy.address) : [];
    const secrets =
      credentials.length === 0 ? NOTHING.secrets : namedSecrets(credentials, proxy, snapshot.resources.credentials);
    const sameSecrets = same !== undefined && deepEqual(same.own.secrets, secrets);
    const unchanged = sameSecrets && outer.length === 0 && deepEqual(same.workload, workload);
    const parts = { snapshot, key: view.key, workload, shared };
    if (unchanged) return { ...parts, own: same.own };
    const listeners = [...outer, ...inboundListeners(workload, snapshot.mesh)];
    const clusters = inboundClusters(workload, snapshot.mesh);
    return { ...parts, own: { ...NOTHING, clusters, listeners, secrets } };
  }
}

/** Whether the view of a proxy whose workload is the same is still that of the same others. */
function sameTraits(snapshot: MeshSnapshot, before: MeshSnapshot): boolean {
  return snapshot.routing.traits === before.routing.traits && snapshot.nodes === before.nodes;
}

/** The same lists each time: what is the same value needs no encoding and no comparing. */
const NOTHING: ConfigurationPart = {
  clusters: [],
  endpoints: NO_ASSIGNMENTS,
  listeners: [],
  routes: [],
  secrets: [],
  extensions: [],
  nameTables: [],
};

const VIEWS_REMEMBERED_MAX = 1_000;

type Outbound = Omit<OutboundConfiguration, "client">;

/** Where nothing but endpoints differs: what was made before, but for the services that have others. */
function laterOutbound(view: ClientView, before: OutboundConfiguration): Outbound | undefined {
  const { snapshot } = view;
  const older = before.view.snapshot;
  if (!sameShape(view, before.view) || snapshot.nodes !== older.nodes) return undefined;
  const changed: ServiceParts[] = [];
  for (const host of VersionedMap.changes(older.services, snapshot.services)) {
    const known = before.byHost.get(host);
    const service = snapshot.services.get(host);
    // The view's own of this name may be another one, or none.
    if (known === undefined || service === undefined || known.service !== older.services.get(host)) continue;
    const parts = partsOf(service, view, before);
    if (parts.clusters !== known.clusters) return undefined;
    changed.push(parts);
  }
  const traces = traceClusters(view);
  if (!deepEqual(before.traces, traces.clusters)) return undefined;
  const endpoints = withAssignments(before.shared.endpoints, [
    ...changed.flatMap((each) => each.endpoints),
    ...traces.endpoints,
  ]);
  const byHost = VersionedMap.of(before.byHost).with(changed.map((each) => [each.service.host, each]));
  return { ...before, view, byHost, shared: { ...before.shared, endpoints } };
}

function outbound(view: ClientView, before: OutboundConfiguration | undefined): Outbound {
  const byHost = VersionedMap.of(view.services.map((service) => [service.host, partsOf(service, view, before)]));
  const routing =
    sameShape(view, before?.view) && before !== undefined
      ? { ...before.shared, deadEnds: before.deadEnds }
      : routingOf(view);
  const parts = [...byHost.values()];
  const clusters = parts.flatMap((each) => each.clusters);
  const known = new Set(clusters.map((cluster) => cluster.name));
  const dead: Cluster[] = [];
  for (const { cluster, reason, resource } of routing.deadEnds) {
    if (known.has(cluster)) continue;
    known.add(cluster);
    dead.push(unreachableCluster(cluster, reason, resource));
  }
  const traces = traceClusters(view);
  const { routes, listeners, deadEnds } = routing;
  const sameMesh = before?.view.snapshot.mesh === view.snapshot.mesh;
  const same = before !== undefined && sameMesh && deepEqual(before.traces, traces.clusters) ? before : undefined;
  const shared = {
    ...NOTHING,
    clusters: sameClusters(same, parts, deadEnds) ?? [
      ...clusters,
      ...dead,
      ...egressClusters(view),
      ...traces.clusters,
    ],
    endpoints: assignments([...parts.flatMap((each) => each.endpoints), ...traces.endpoints], before?.shared.endpoints),
    routes,
    listeners,
    nameTables: routing.nameTables,
  };
  const credentials = parts.flatMap((each) => each.credentials);
  return { view, shared, deadEnds, byHost, traces: traces.clusters, credentials };
}

/** The list as it was, where each service's clusters are the same values: it then needs no encoding and no comparing. */
function sameClusters(
  before: OutboundConfiguration | undefined,
  parts: readonly ServiceParts[],
  deadEnds: readonly DeadEnd[],
): readonly Cluster[] | undefined {
  if (before === undefined || before.deadEnds !== deadEnds || before.byHost.size !== parts.length) return undefined;
  let i = 0;
  for (const each of before.byHost.values()) if (parts[i++]?.clusters !== each.clusters) return undefined;
  return before.shared.clusters;
}

function partsOf(service: Service, view: ClientView, before: OutboundConfiguration | undefined): ServiceParts {
  const rule = ruleFor(view, service);
  const { mesh, nodes } = view.snapshot;
  const known = before?.view.snapshot.mesh === mesh && before.view.snapshot.nodes === nodes;
  const older = known ? before.byHost.get(service.host) : undefined;
  if (older !== undefined && older.service === service && older.rule === rule) return older;
  const targets = serviceTargets(service, rule);
  const clusters = targets.flatMap((target) => [outboundCluster(target, view), ...podClusters(target, view)]);
  const endpoints = targets
    .filter((target) => isDiscovered(target, view))
    .map((target) => loadAssignment(target, view));
  // Endpoints come and go more often than they change who may answer.
  const same = older !== undefined && deepEqual(older.clusters, clusters);
  const credentials = targets.flatMap((target) => clientCredentials(target, view));
  return { service, rule, clusters: same ? older.clusters : clusters, endpoints, credentials };
}

function explicitListeners(view: ClientView, address: string): readonly Listener[] {
  return [...outboundListeners(capturedView(view), address).listeners, ...sidecarListeners(view, address).listeners];
}

type Routing = Pick<ProxyConfiguration, "routes" | "listeners" | "nameTables"> &
  Pick<OutboundConfiguration, "deadEnds">;

function routingOf(view: ClientView): Routing {
  const captured = capturedView(view);
  const apart = sidecarListeners(view, "");
  const built = [...routeConfigs(captured), ...apart.routes];
  const listening = outboundListeners(captured, "");
  const deadEnds = [...built.flatMap((each) => each.deadEnds), ...listening.deadEnds, ...apart.deadEnds];
  return {
    routes: built.map(({ config }) => config),
    listeners: view.mode === "NONE" ? [] : [...listening.listeners, ...apart.listeners],
    nameTables: nameTables(view),
    deadEnds: hasEgressProxy(view) ? [...deadEnds, ...egressTarget(view).deadEnds] : deadEnds,
  };
}
