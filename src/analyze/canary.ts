// Canary: whether it has a VirtualService whose routes lead to both versions, and whether anything runs behind them.

import { type Canary, canaryKind } from "../api/weft/canary.ts";
import { managedHost } from "../canary/routes.ts";
import { keyOf } from "../ingest/resources.ts";
import { findRule } from "../model/destination.ts";
import { refOf } from "../model/finding.ts";
import { resolveHost } from "../model/hosts.ts";
import { type Finding, finding } from "./finding.ts";
import { typedObjects, type World } from "./world.ts";

export function analyzeCanaries(world: World): readonly Finding[] {
  const canaries = typedObjects(world, canaryKind);
  return [
    ...canaries.flatMap((canary) => needs(canary, world)),
    ...canaries.flatMap((canary) => rivals(canary, canaries)),
  ];
}

function needs(canary: Canary, { snapshot }: World): readonly Finding[] {
  const resource = refOf(canary);
  const { spec } = canary;
  const name = spec.virtualService ?? resource.name;
  const service = snapshot.resources.virtualServices.get(`${resource.namespace}/${name}`);
  if (service === undefined) {
    const at = { resource, path: spec.virtualService === undefined ? "metadata.name" : "spec.virtualService" };
    const message = `Referenced VirtualService not found: "${name}"`;
    return [finding("IST0101", at, message, "Name the VirtualService whose weights are to change.")];
  }
  const host = managedHost(service, spec);
  if (host === undefined) {
    const message = `no route of VirtualService ${name} leads to both subsets ${spec.stable} and ${spec.canary}, so the rollout can't begin`;
    const next = `Give the route a destination for each of them, the one for ${spec.canary} with weight 0.`;
    return [finding("WEFT0501", { resource, path: "spec.canary" }, message, next)];
  }
  const { mesh, services, destinations } = snapshot;
  const called = resolveHost(host, resource.namespace, mesh.clusterDomain);
  const home = services.get(called)?.namespace ?? resource.namespace;
  const call = { clientNamespace: resource.namespace, clientLabels: {}, serviceNamespace: home, host: called };
  const known = findRule(destinations, call, mesh)?.subsets ?? [];
  return (
    [
      ["stable", spec.stable],
      ["canary", spec.canary],
    ] as const
  ).flatMap(([field, subset]) =>
    known.some((each) => each.name === subset)
      ? []
      : [
          finding(
            "IST0101",
            { resource, path: `spec.${field}` },
            `Referenced host+subset in destinationrule not found: "${called}+${subset}"`,
            "Define the subset in a DestinationRule for the host.",
          ),
        ],
  );
}

/** Two rollouts that edit one VirtualService each take the other's weights for somebody's edit. */
function rivals(canary: Canary, all: readonly Canary[]): readonly Finding[] {
  const target = targetOf(canary);
  const older = all.find((other) => other !== canary && targetOf(other) === target && keyOf(other) < keyOf(canary));
  if (older === undefined) return [];
  const message = `Canary ${older.metadata.name} edits the same VirtualService ${target}`;
  return [finding("WEFT0501", { resource: refOf(canary), path: "spec" }, message, "Finish or delete one of them.")];
}

function targetOf({ metadata, spec }: Canary): string {
  return `${metadata.namespace}/${spec.virtualService ?? metadata.name}`;
}
