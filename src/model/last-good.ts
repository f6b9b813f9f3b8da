// A VirtualService that names an undefined subset stays at its last good form: its former spec, with the subsets that
// this one had, until every subset it names is defined again. One that never had a good form is taken as it stands.

import type { Subset } from "../api/istio/destination-rule.ts";
import type { Destination, VirtualService } from "../api/istio/virtual-service.ts";
import { type DestinationIndex, findRule } from "./destination.ts";
import { resolveHost } from "./hosts.ts";
import type { MeshConfig } from "./mesh-config.ts";
import { calledService, type ServiceIndex } from "./services.ts";

export interface GoodForm {
  /** Of the object: another one of the same name begins anew. */
  readonly uid: string | undefined;
  readonly generation: number | undefined;
  readonly spec: VirtualService["spec"];
  /** By host: the subsets that the routes name, as they were. */
  readonly subsets: Readonly<Record<string, readonly Subset[]>>;
}

/** By `namespace/name`. */
export type GoodForms = ReadonlyMap<string, GoodForm>;

export interface LastGood {
  /** Of every VirtualService that has one: what the next snapshot falls back to. */
  readonly forms: GoodForms;
  /** Of those that are broken now: what is in force, and what has to outlive a restart. */
  readonly kept: GoodForms;
  readonly subsets: ReadonlyMap<string, readonly Subset[]>;
}

export interface LastGoodInput {
  readonly virtualServices: ReadonlyMap<string, VirtualService>;
  readonly index: ServiceIndex;
  readonly destinations: DestinationIndex;
  readonly mesh: MeshConfig;
}

export function lastGood(input: LastGoodInput, before: GoodForms): LastGood {
  const forms = new Map<string, GoodForm>();
  const kept = new Map<string, GoodForm>();
  const subsets = new Map<string, Subset[]>();
  for (const [key, resource] of input.virtualServices) {
    const { uid, generation } = resource.metadata;
    const named = namedSubsets(resource, input);
    const known = before.get(key);
    const own = known?.uid === uid ? known : undefined;
    if (named.every((each) => each.subset !== undefined)) {
      forms.set(key, { uid, generation, spec: resource.spec, subsets: byHost(named) });
    } else if (own !== undefined) {
      forms.set(key, own);
      kept.set(key, own);
      for (const [host, all] of Object.entries(own.subsets)) {
        subsets.set(host, [...(subsets.get(host) ?? []), ...all]);
      }
    }
  }
  return { forms, kept, subsets };
}

interface NamedSubset {
  readonly host: string;
  readonly subset: Subset | undefined;
}

function namedSubsets(resource: VirtualService, input: LastGoodInput): readonly NamedSubset[] {
  const namespace = resource.metadata.namespace ?? "default";
  return destinationsOf(resource.spec).flatMap(({ destination }) => {
    if (destination.subset === undefined || destination.subset === "") return [];
    const written = resolveHost(destination.host, namespace, input.mesh.clusterDomain);
    const service = calledService(input.index, written, namespace);
    if (service === undefined) return [];
    const { host } = service;
    const call = { clientNamespace: namespace, serviceNamespace: service.namespace, host };
    const rule = findRule(input.destinations, call, input.mesh);
    return [{ host, subset: rule?.subsets.find((each) => each.name === destination.subset) }];
  });
}

function byHost(named: readonly NamedSubset[]): Readonly<Record<string, readonly Subset[]>> {
  const out: Record<string, Subset[]> = {};
  for (const { host, subset } of named) {
    if (subset === undefined) continue;
    const list = out[host] ?? [];
    out[host] = list;
    if (!list.some((each) => each.name === subset.name)) list.push(subset);
  }
  return out;
}

export interface PlacedDestination {
  readonly destination: Destination;
  readonly path: string;
}

/** Every place where a VirtualService says where something goes. */
export function destinationsOf(spec: VirtualService["spec"]): readonly PlacedDestination[] {
  const places: PlacedDestination[] = [];
  for (const [i, route] of (spec.http ?? []).entries()) {
    const at = `spec.http[${i}]`;
    for (const [j, { destination }] of (route.route ?? []).entries())
      places.push({ destination, path: `${at}.route[${j}].destination` });
    if (route.mirror !== undefined) places.push({ destination: route.mirror, path: `${at}.mirror` });
    for (const [j, { destination }] of (route.mirrors ?? []).entries())
      places.push({ destination, path: `${at}.mirrors[${j}].destination` });
  }
  for (const section of ["tcp", "tls"] as const) {
    for (const [i, route] of (spec[section] ?? []).entries()) {
      for (const [j, { destination }] of (route.route ?? []).entries())
        places.push({ destination, path: `spec.${section}[${i}].route[${j}].destination` });
    }
  }
  return places;
}
