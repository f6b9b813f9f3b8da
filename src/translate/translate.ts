// (snapshot, proxy) to everything that the proxy runs. Outbound parts are made once for all proxies that see the same.

import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import type { Listener } from "../proto/gen/envoy/config/listener/v3/listener.ts";
import type { RouteConfiguration } from "../proto/gen/envoy/config/route/v3/route.ts";
import {
  clusterTargets,
  egressClusters,
  isPassthrough,
  outboundCluster,
  podClusters,
  unreachableCluster,
} from "./cluster.ts";
import { loadAssignment } from "./endpoint.ts";
import { inboundClusters, inboundListener } from "./inbound-listener.ts";
import { outboundListeners } from "./outbound-listener.ts";
import type { ProxyNode } from "./proxy.ts";
import { routeConfigs } from "./route.ts";
import { type ClientView, clientView } from "./view.ts";
import { workloadOf } from "./workload.ts";

export interface ProxyConfiguration {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
  readonly listeners: readonly Listener[];
  readonly routes: readonly RouteConfiguration[];
}

interface OutboundConfiguration {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
  readonly routes: readonly RouteConfiguration[];
  /** Undefined in explicit mode, where they bind the pod's own address. */
  readonly listeners: readonly Listener[] | undefined;
}

/** One for each snapshot: remembers what is shared between proxies. */
export class Translator {
  readonly #snapshot: MeshSnapshot;
  readonly #shared = new Map<string, OutboundConfiguration>();

  constructor(snapshot: MeshSnapshot) {
    this.#snapshot = snapshot;
  }

  translate(proxy: ProxyNode): ProxyConfiguration {
    const view = clientView(this.#snapshot, proxy);
    const shared = this.#shared.get(view.key) ?? outbound(view);
    this.#shared.set(view.key, shared);
    const workload = workloadOf(this.#snapshot, proxy);
    return {
      clusters: [...shared.clusters, ...inboundClusters(workload)],
      endpoints: shared.endpoints,
      listeners: [
        ...(shared.listeners ?? outboundListeners(view, proxy.address).listeners),
        inboundListener(workload, this.#snapshot.mesh),
      ],
      routes: shared.routes,
    };
  }
}

function outbound(view: ClientView): OutboundConfiguration {
  const targets = clusterTargets(view);
  const clusters = targets.flatMap((target) => [outboundCluster(target, view), ...podClusters(target, view)]);
  const known = new Set(clusters.map((cluster) => cluster.name));
  const built = routeConfigs(view);
  const listening = outboundListeners(view, "");
  const dead: Cluster[] = [];
  for (const { cluster, reason, resource } of [...built.flatMap(({ deadEnds }) => deadEnds), ...listening.deadEnds]) {
    if (known.has(cluster)) continue;
    known.add(cluster);
    dead.push(unreachableCluster(cluster, reason, resource));
  }
  return {
    clusters: [...clusters, ...dead, ...egressClusters()],
    endpoints: targets.filter((target) => !isPassthrough(target, view)).map((target) => loadAssignment(target, view)),
    routes: built.map(({ config }) => config),
    listeners: view.mode === "NONE" ? undefined : listening.listeners,
  };
}
