// Pods by address, and EndpointSlices by service: made from the former snapshot's and from what changed since.

import { VersionedMap } from "../base/versioned-map.ts";
import type { EndpointSliceResource, PodResource, ResourceSet } from "../ingest/resources.ts";

/** Pods by address; the ones that ended keep theirs in their status but have no endpoint. */
export type PodsByAddress = ReadonlyMap<string, PodResource>;

export interface PodIndex {
  readonly byAddress: PodsByAddress;
  /** Addresses that several pods have, those of their node: the first pod by key counts. */
  readonly disputed: ReadonlySet<string>;
  readonly pods: ResourceSet["pods"];
}

export function indexPods(pods: ResourceSet["pods"], before?: PodIndex): PodIndex {
  if (before?.pods === pods) return before;
  return (before && laterPods(pods, before)) ?? allPods(pods);
}

function allPods(pods: ResourceSet["pods"]): PodIndex {
  const byAddress = new Map<string, PodResource>();
  const disputed = new Set<string>();
  for (const key of [...pods.keys()].sort()) {
    const pod = pods.get(key);
    for (const address of pod === undefined ? [] : addressesOf(pod)) {
      if (byAddress.has(address)) disputed.add(address);
      else if (pod !== undefined) byAddress.set(address, pod);
    }
  }
  return { byAddress: VersionedMap.of(byAddress), disputed, pods };
}

/** Undefined where an address has, or may come to have, several pods. */
function laterPods(pods: ResourceSet["pods"], before: PodIndex): PodIndex | undefined {
  const changes = new Map<string, PodResource | undefined>();
  const keys = VersionedMap.changes(before.pods, pods);
  for (const key of keys) {
    for (const address of addressesOf(before.pods.get(key))) {
      if (before.disputed.has(address)) return undefined;
      changes.set(address, undefined);
    }
  }
  for (const key of keys) {
    const pod = pods.get(key);
    for (const address of addressesOf(pod)) {
      const holder = changes.has(address) ? changes.get(address) : before.byAddress.get(address);
      if (holder !== undefined) return undefined;
      changes.set(address, pod);
    }
  }
  return { byAddress: VersionedMap.of(before.byAddress).with(changes), disputed: before.disputed, pods };
}

function addressesOf(pod: PodResource | undefined): ReadonlySet<string> {
  const { podIP = "", podIPs = [], phase } = pod?.status ?? {};
  if (phase === "Succeeded" || phase === "Failed") return NO_ADDRESSES;
  return new Set([podIP, ...podIPs.map(({ ip = "" }) => ip)].filter((address) => address !== ""));
}

const NO_ADDRESSES: ReadonlySet<string> = new Set();

/** `namespace/service` to its slices, in the order of their names. */
export type SlicesByService = ReadonlyMap<string, readonly EndpointSliceResource[]>;

export interface SliceIndex {
  readonly byService: SlicesByService;
  /** An address to the services whose slices have it. */
  readonly services: ReadonlyMap<string, readonly string[]>;
  readonly slices: ResourceSet["endpointSlices"];
}

export function indexSlices(slices: ResourceSet["endpointSlices"], before?: SliceIndex): SliceIndex {
  if (before === undefined) return changedSlices(slices, NO_SLICES);
  return before.slices === slices ? before : changedSlices(slices, before);
}

const NO_SLICES: SliceIndex = { byService: VersionedMap.of([]), services: VersionedMap.of([]), slices: new Map() };

function changedSlices(slices: ResourceSet["endpointSlices"], before: SliceIndex): SliceIndex {
  const lists = new Map<string, Map<string, EndpointSliceResource>>();
  const listOf = (service: string): Map<string, EndpointSliceResource> => {
    const known = before.byService.get(service) ?? [];
    const list = lists.get(service) ?? new Map(known.map((each) => [each.metadata.name, each]));
    lists.set(service, list);
    return list;
  };
  for (const key of VersionedMap.changes(before.slices, slices)) {
    const [older, newer] = [before.slices.get(key), slices.get(key)];
    const from = serviceOf(older);
    if (older !== undefined && from !== undefined) listOf(from).delete(older.metadata.name);
    const to = serviceOf(newer);
    if (newer !== undefined && to !== undefined) listOf(to).set(newer.metadata.name, newer);
  }
  const changes = [...lists].map(([service, list]): readonly [string, readonly EndpointSliceResource[]] => {
    const names = [...list.keys()].sort();
    return [service, names.flatMap((name) => list.get(name) ?? [])];
  });
  return {
    byService: VersionedMap.of(before.byService).with(
      changes.map(([service, list]) => [service, list.length === 0 ? undefined : list]),
    ),
    services: VersionedMap.of(before.services).with(callersOf(changes, before)),
    slices,
  };
}

function callersOf(
  changes: readonly (readonly [string, readonly EndpointSliceResource[]])[],
  before: SliceIndex,
): ReadonlyMap<string, readonly string[] | undefined> {
  const changed = new Map<string, readonly string[] | undefined>();
  const now = (address: string): readonly string[] =>
    (changed.has(address) ? changed.get(address) : before.services.get(address)) ?? [];
  for (const [service, list] of changes) {
    const alone = [service];
    const [had, has] = [addressesIn(before.byService.get(service) ?? []), addressesIn(list)];
    for (const address of had) {
      if (has.has(address)) continue;
      const rest = now(address).filter((each) => each !== service);
      changed.set(address, rest.length === 0 ? undefined : rest);
    }
    for (const address of has) {
      const others = now(address);
      if (!others.includes(service)) changed.set(address, others.length === 0 ? alone : [...others, service].sort());
    }
  }
  return changed;
}

function addressesIn(list: readonly EndpointSliceResource[]): ReadonlySet<string> {
  return new Set(list.flatMap(({ endpoints }) => endpoints.flatMap(({ addresses }) => addresses)));
}

function serviceOf(slice: EndpointSliceResource | undefined): string | undefined {
  const service = slice?.metadata.labels?.["kubernetes.io/service-name"];
  return service === undefined ? undefined : `${slice?.metadata.namespace}/${service}`;
}
