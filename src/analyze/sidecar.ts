// Sidecars: two for the same proxies.

import type { Sidecar } from "../api/istio/sidecar.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { refOf } from "../model/finding.ts";
import { type Finding, finding } from "./finding.ts";
import type { World } from "./world.ts";

export function analyzeSidecars(world: World): readonly Finding[] {
  const byNamespace = Map.groupBy(
    world.snapshot.resources.sidecars.values(),
    ({ metadata }) => metadata.namespace ?? "default",
  );
  return [...byNamespace].flatMap(([namespace, all]) => {
    const general = all.filter((each) => selectorOf(each) === undefined);
    const special = all.filter((each) => selectorOf(each) !== undefined);
    return [...severalDefaults(namespace, general), ...sameWorkload(namespace, special, world)];
  });
}

function selectorOf({ spec }: Sidecar): Readonly<Record<string, string>> | undefined {
  const labels = spec?.workloadSelector?.labels ?? {};
  return Object.keys(labels).length === 0 ? undefined : labels;
}

function severalDefaults(namespace: string, sidecars: readonly Sidecar[]): readonly Finding[] {
  if (sidecars.length < 2) return [];
  const names = sidecars.map(({ metadata }) => metadata.name).join(" ");
  return sidecars.map((each) =>
    finding(
      "IST0111",
      { resource: refOf(each), path: "" },
      `The Sidecars [${names}] in namespace "${namespace}" have no workload selector, which can lead to undefined behavior.`,
      "Keep one of them, or give the others a workloadSelector.",
    ),
  );
}

function sameWorkload(namespace: string, sidecars: readonly Sidecar[], { workloads }: World): readonly Finding[] {
  const own = workloads.filter((each) => each.namespace === namespace);
  return own.flatMap((workload) => {
    const selecting = sidecars.filter((each) => matchesLabels(selectorOf(each), workload.labels));
    if (selecting.length < 2) return [];
    const names = selecting.map(({ metadata }) => metadata.name).join(" ");
    return selecting.map((each) =>
      finding(
        "IST0110",
        { resource: refOf(each), path: "spec.workloadSelector" },
        `The Sidecars [${names}] in namespace "${namespace}" select the same workload pod "${workload.resource.name}", which can lead to undefined behavior.`,
        "Select each workload by one Sidecar only.",
      ),
    );
  });
}
