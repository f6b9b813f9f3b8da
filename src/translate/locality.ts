// Endpoints by place: which a client prefers, and what share each place gets of its requests.

import { covers } from "../api/istio/locality.ts";
import type { Endpoint } from "../model/endpoint.ts";
import { type LocalityRule, type NodeIndex, topologyLabel } from "../model/locality.ts";
import { type Cluster, Cluster_CommonLbConfig } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { ClientView } from "./view.ts";

export interface LocalityGroup {
  readonly locality: string;
  readonly priority: number;
  readonly weight: number;
  readonly endpoints: readonly Endpoint[];
}

/** Shares hold within a priority too, where a rule says more than that the nearest goes first. */
export function setLocality(cluster: Cluster, rule: LocalityRule | undefined): void {
  if (rule === undefined) return;
  const { distribute, failover, failoverPriority } = rule;
  if (distribute.length + failover.length + failoverPriority.length === 0) return;
  cluster.commonLbConfig ??= Cluster_CommonLbConfig.fromPartial({});
  cluster.commonLbConfig.localityConfigSpecifier = { $case: "localityWeightedLbConfig", value: {} };
}

function localityOf(endpoint: Pick<Endpoint, "locality" | "node">, nodes: NodeIndex): string {
  return endpoint.locality !== "" ? endpoint.locality : (nodes.get(endpoint.node) ?? "");
}

/** In the order of priorities and places; without places, one group. */
export function localityGroups(
  endpoints: readonly Endpoint[],
  rule: LocalityRule | undefined,
  view: ClientView,
): readonly LocalityGroup[] {
  const groups = byPlace(endpoints, view.snapshot.nodes);
  if (rule === undefined || groups.length === 0) return groups;
  const { distribute, failover, failoverPriority } = rule;
  if (distribute.length > 0) return distributed(groups, distribute, view.locality);
  const labelled = failoverPriority.length > 0 ? byLabels(groups, failoverPriority, view) : groups;
  // Labels of one's own choice are enough, unless regions are named beside them.
  const placed =
    failoverPriority.length > 0 && failover.length === 0 ? labelled : byDistance(labelled, failover, view.locality);
  return renumbered(placed);
}

function byPlace(endpoints: readonly Endpoint[], nodes: NodeIndex): readonly LocalityGroup[] {
  const places = new Map<string, Endpoint[]>();
  for (const endpoint of endpoints) {
    const locality = localityOf(endpoint, nodes);
    const list = places.get(locality);
    if (list === undefined) places.set(locality, [endpoint]);
    else list.push(endpoint);
  }
  return [...places.keys()].sort().map((locality) => group(locality, 0, places.get(locality) ?? []));
}

function group(locality: string, priority: number, endpoints: readonly Endpoint[]): LocalityGroup {
  return { locality, priority, weight: endpoints.reduce((sum, each) => sum + each.weight, 0), endpoints };
}

/** Places that no share names get nothing. */
function distributed(
  groups: readonly LocalityGroup[],
  distribute: LocalityRule["distribute"],
  client: string,
): readonly LocalityGroup[] {
  const shares = distribute.find(({ from = "" }) => covers(from, client))?.to;
  if (shares === undefined) return groups;
  const taken = new Map<LocalityGroup, number>();
  for (const [place, share] of Object.entries(shares)) {
    const meant = groups.filter((each) => !taken.has(each) && covers(place, each.locality));
    const total = meant.reduce((sum, each) => sum + each.weight, 0);
    for (const each of meant) taken.set(each, Math.ceil((each.weight * share) / total));
  }
  return groups.flatMap((each) => {
    const weight = taken.get(each);
    return weight === undefined ? [] : [{ ...each, weight }];
  });
}

/** The first label in which an endpoint differs from the client says how far back it stands. */
function byLabels(
  groups: readonly LocalityGroup[],
  labels: readonly string[],
  view: ClientView,
): readonly LocalityGroup[] {
  const wanted = labels.map((each) => {
    const [name = "", value] = each.split("=");
    return { name, value: value ?? topologyLabel(name, view) };
  });
  return groups.flatMap(({ locality, endpoints }) => {
    const levels = new Map<number, Endpoint[]>();
    for (const endpoint of endpoints) {
      const placed = { locality, node: endpoint.node, labels: endpoint.labels };
      const differs = wanted.findIndex(({ name, value }) => topologyLabel(name, placed) !== value);
      const priority = differs < 0 ? 0 : labels.length - differs;
      levels.set(priority, [...(levels.get(priority) ?? []), endpoint]);
    }
    return [...levels].map(([priority, members]) => group(locality, priority, members));
  });
}

const DISTANCES = 5;

/** Same subzone, zone, region, then other regions: first the one that takes over, where one is named. */
function byDistance(
  groups: readonly LocalityGroup[],
  failover: LocalityRule["failover"],
  client: string,
): readonly LocalityGroup[] {
  const own = client.split("/");
  const next = failover.find(({ from }) => from === own[0])?.to;
  return groups.map((each) => {
    const steps = each.locality.split("/");
    const same = [0, 1, 2].findIndex((i) => (steps[i] ?? "") !== (own[i] ?? ""));
    const near = same < 0 ? 0 : 3 - same;
    const distance = near === 3 && next !== undefined && steps[0] !== next ? 4 : near;
    return { ...each, priority: each.priority * DISTANCES + distance };
  });
}

/** From 0 on without gaps, as Envoy wants them. */
function renumbered(groups: readonly LocalityGroup[]): readonly LocalityGroup[] {
  const levels = [...new Set(groups.map(({ priority }) => priority))].sort((a, b) => a - b);
  return groups
    .map((each) => ({ ...each, priority: levels.indexOf(each.priority) }))
    .sort((a, b) => a.priority - b.priority || (a.locality < b.locality ? -1 : 1));
}
