// Which DestinationRule a merged setting came from.

import type { DestinationRule } from "../api/istio/destination-rule.ts";
import type { HostRule } from "../model/destination.ts";
import type { ResourceRef } from "../model/finding.ts";
import { valueAt } from "./fields.ts";
import type { World } from "./world.ts";

export interface Origin {
  readonly resource: ResourceRef;
  readonly path: string;
}

export function sourcesOf(world: World, rule: HostRule): readonly DestinationRule[] {
  return rule.sources.flatMap(
    ({ namespace, name }) => world.snapshot.resources.destinationRules.get(`${namespace}/${name}`) ?? [],
  );
}

/** The oldest rule that sets `field` (`outlierDetection.interval`), of the subset where it does, else of the host. */
export function originOf(
  world: World,
  rule: HostRule,
  setting: { readonly subset: string | undefined; readonly field: string },
): Origin | undefined {
  const [section = ""] = setting.field.split(".");
  const ofSubset = rule.subsets.find(({ name }) => name === setting.subset)?.trafficPolicy;
  const inSubset = valueAt(ofSubset, section) !== undefined;
  for (const source of sourcesOf(world, rule)) {
    const at = source.spec.subsets?.findIndex(({ name }) => name === setting.subset) ?? -1;
    const base = inSubset ? `spec.subsets[${at}].trafficPolicy` : "spec.trafficPolicy";
    const path = `${base}.${setting.field}`;
    if ((!inSubset || at >= 0) && valueAt(source, path) !== undefined) {
      const { name, namespace = "default" } = source.metadata;
      return { resource: { kind: "DestinationRule", namespace, name }, path };
    }
  }
  return undefined;
}
