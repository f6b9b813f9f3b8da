// What of a client its configuration depends on: clients that agree in it share theirs.

import type { TrafficPolicy } from "../api/istio/destination-rule.ts";
import type { DestinationIndex } from "./destination.ts";
import { dependsOnLocality } from "./locality.ts";
import type { MeshConfig } from "./mesh-config.ts";
import type { BoundRoutes, HostRoutes } from "./routing.ts";
import type { Service } from "./service.ts";

export interface ClientTraits {
  /** Rules or routes choose clients by label. */
  readonly labels: boolean;
  readonly locality: boolean;
  /** Its node's name. */
  readonly node: boolean;
  /** Labels by which priorities go. */
  readonly priorityLabels: readonly string[];
}

export function clientTraits(input: {
  readonly routes: readonly (HostRoutes | BoundRoutes)[];
  readonly destinations: DestinationIndex;
  readonly services: ReadonlyMap<string, Service>;
  readonly mesh: MeshConfig;
}): ClientTraits {
  const { routes, destinations, services, mesh } = input;
  const policies = policiesOf(destinations);
  const settings = [mesh.settings, ...policies.map(({ loadBalancer }) => loadBalancer ?? {})];
  const priorityLabels = settings.flatMap(({ localityLbSetting }) => localityLbSetting?.failoverPriority ?? []);
  const distributed = (mesh.settings.localityLbSetting?.distribute ?? []).length > 0;
  return {
    labels: choosesByLabel(routes, destinations),
    locality:
      distributed || dependsOnLocality([...policies, mesh.settings.defaultTrafficPolicy ?? {}], services.values()),
    node: priorityLabels.length > 0 || [...services.values()].some((each) => each.trafficDistribution === "node"),
    priorityLabels: [...new Set(priorityLabels.map((each) => each.split("=")[0] ?? ""))].sort(),
  };
}

function policiesOf({ rules }: DestinationIndex): readonly TrafficPolicy[] {
  const all = [...rules.values()].flatMap((hosts) => [...hosts.values()].flat());
  const policies = all.flatMap((rule) => [rule.trafficPolicy, ...rule.subsets.map((subset) => subset.trafficPolicy)]);
  return policies.flatMap((policy) => (policy === undefined ? [] : [policy, ...(policy.portLevelSettings ?? [])]));
}

function choosesByLabel(routes: readonly (HostRoutes | BoundRoutes)[], destinations: DestinationIndex): boolean {
  const chooses = [...destinations.rules.values()].some((hosts) =>
    [...hosts.values()].some((rules) => rules.some(({ clients }) => Object.keys(clients).length > 0)),
  );
  if (chooses) return true;
  return routes.some(({ http, tcp, tls }) =>
    [...http, ...tcp, ...tls].some(({ route }) =>
      (route.match ?? []).some((match) => match.sourceLabels !== undefined),
    ),
  );
}
