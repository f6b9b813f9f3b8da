// (snapshot, proxy) to everything that the proxy runs. Outbound parts are made once for all proxies that see the same.

import { deepEqual } from "../base/equal.ts";
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
import { egressClusters, isDiscovered, outboundCluster, podClusters, unreachableCluster } from "./cluster.ts";
import { loadAssignment } from "./endpoint.ts";
import { type GatewayParts, gatewayParts } from "./gateway.ts";
import type { DeadEnd } from "./http-route.ts";
import { inboundClusters, inboundListener } from "./inbound-listener.ts";
import { nameTables } from "./name-table.ts";
import { outboundListeners } from "./outbound-listener.ts";
import type { ProxyNode } from "./proxy.ts";
import { routeConfigs } from "./route.ts";
import { sameShape } from "./same-shape.ts";
import { serviceTargets } from "./target.ts";
import { traceClusters } from "./tracing.ts";
import { type ClientView, clientView, ruleFor } from "./view.ts";
import { type Workload, workloadOf } from "./workload.ts";

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

interface OutboundConfiguration {
  readonly view: ClientView;
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
  readonly routes: readonly RouteConfiguration[];
  /** Undefined in explicit mode, where they bind the pod's own address. */
  readonly listeners: readonly Listener[] | undefined;
  readonly deadEnds: readonly DeadEnd[];
  readonly nameTables: readonly NameTable[];
  readonly byHost: ReadonlyMap<string, ServiceParts>;
  /** Those of `clusters` that spans go through. */
  readonly traces: readonly Cluster[];
}

/** What is made of one service; the same for as long as the service and its rule are the same values. */
interface ServiceParts {
  readonly service: Service;
  readonly rule: HostRule | undefined;
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
}

interface ProxyParts {
  readonly snapshot: MeshSnapshot;
  readonly outbound: OutboundConfiguration;
  readonly workload: Workload;
  readonly configuration: ProxyConfiguration;
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
    return proxy.type === "router" ? this.#gateway(proxy) : this.#sidecar(proxy);
  }

  #gateway(proxy: ProxyNode): ProxyConfiguration {
    const before = this.#memory.gateways.get(proxy);
    if (before?.view.snapshot === this.#snapshot) return before.configuration;
    const parts = gatewayParts(clientView(this.#snapshot, proxy), proxy, before);
    this.#memory.gateways.set(proxy, parts);
    return parts.configuration;
  }

  #sidecar(proxy: ProxyNode): ProxyConfiguration {
    const before = this.#memory.proxies.get(proxy);
    if (before?.snapshot === this.#snapshot) return before.configuration;
    const view = clientView(this.#snapshot, proxy);
    const parts = this.#compose(proxy, view, before);
    this.#memory.proxies.set(proxy, parts);
    return parts.configuration;
  }

  #outbound(view: ClientView): OutboundConfiguration {
    const { shared } = this.#memory;
    const before = shared.get(view.key);
    if (before?.view.snapshot === this.#snapshot) return before;
    if (shared.size >= VIEWS_REMEMBERED_MAX) shared.clear();
    const made = outbound(view, before);
    shared.set(view.key, made);
    return made;
  }

  #compose(proxy: ProxyNode, view: ClientView, before: ProxyParts | undefined): ProxyParts {
    const shared = this.#outbound(view);
    const workload = workloadOf(this.#snapshot, proxy);
    const same = before !== undefined && deepEqual(before.workload, workload) ? before : undefined;
    const clusters =
      same?.outbound.clusters === shared.clusters
        ? same.configuration.clusters
        : [...shared.clusters, ...inboundClusters(workload)];
    const listeners =
      same !== undefined && shared.listeners !== undefined && same.outbound.listeners === shared.listeners
        ? same.configuration.listeners
        : [
            ...(shared.listeners ?? outboundListeners(view, proxy.address).listeners),
            inboundListener(workload, this.#snapshot.mesh),
          ];
    const { endpoints, routes, nameTables } = shared;
    const configuration = { ...NOTHING_MORE, clusters, endpoints, listeners, routes, nameTables };
    return { snapshot: this.#snapshot, outbound: shared, workload, configuration };
  }
}

/** The same lists each time: what is the same value needs no encoding and no comparing. */
const NOTHING_MORE: Pick<ProxyConfiguration, "secrets" | "extensions"> = {
  secrets: [],
  extensions: [],
};

const VIEWS_REMEMBERED_MAX = 1_000;

function outbound(view: ClientView, before: OutboundConfiguration | undefined): OutboundConfiguration {
  const byHost = new Map(view.services.map((service) => [service.host, partsOf(service, view, before)]));
  const routing = sameShape(view, before?.view) && before !== undefined ? before : routingOf(view);
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
  const endpoints = [...parts.flatMap((each) => each.endpoints), ...traces.endpoints];
  const { routes, listeners, deadEnds } = routing;
  const sameMesh = before?.view.snapshot.mesh === view.snapshot.mesh;
  const same = before !== undefined && sameMesh && deepEqual(before.traces, traces.clusters) ? before : undefined;
  const names = nameTables(view);
  return {
    view,
    clusters: sameClusters(same, parts, deadEnds) ?? [
      ...clusters,
      ...dead,
      ...egressClusters(view),
      ...traces.clusters,
    ],
    traces: traces.clusters,
    endpoints,
    routes,
    listeners,
    deadEnds,
    nameTables: before !== undefined && deepEqual(before.nameTables, names) ? before.nameTables : names,
    byHost,
  };
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
  return before.clusters;
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
  return { service, rule, clusters: same ? older.clusters : clusters, endpoints };
}

type Routing = Pick<OutboundConfiguration, "routes" | "listeners" | "deadEnds">;

function routingOf(view: ClientView): Routing {
  const built = routeConfigs(view);
  const listening = outboundListeners(view, "");
  return {
    routes: built.map(({ config }) => config),
    listeners: view.mode === "NONE" ? undefined : listening.listeners,
    deadEnds: [...built.flatMap(({ deadEnds }) => deadEnds), ...listening.deadEnds],
  };
}
