// What a proxy is to have of one type, and what differs between two such lists. What many proxies have in common is one
// value, so that it is compared once and encoded once for all of them.

import { VersionedMap } from "../base/versioned-map.ts";
import type { EncodedResource, ResourceMap } from "./resource.ts";

export class ResourceList {
  readonly shared: ResourceMap;
  readonly own: ResourceMap;

  constructor(shared: ResourceMap, own: ResourceMap) {
    this.shared = shared;
    this.own = own;
  }

  get size(): number {
    let size = this.shared.size;
    for (const name of this.own.keys()) if (!this.shared.has(name)) size += 1;
    return size;
  }

  get(name: string): EncodedResource | undefined {
    return this.own.get(name) ?? this.shared.get(name);
  }

  has(name: string): boolean {
    return this.own.has(name) || this.shared.has(name);
  }

  *values(): IterableIterator<EncodedResource> {
    for (const [name, resource] of this.shared) if (!this.own.has(name)) yield resource;
    yield* this.own.values();
  }
}

export const NO_RESOURCES: ResourceMap = new Map();
export const EMPTY = new ResourceList(NO_RESOURCES, NO_RESOURCES);

export interface Change {
  readonly changed: readonly EncodedResource[];
  readonly removed: readonly string[];
}

/** `parts` make it up; one that is the same value as in another difference is encoded already. */
export interface Difference extends Change {
  readonly parts: readonly Change[];
}

export const NOTHING: Difference = { changed: [], removed: [], parts: [] };

export function isNothing({ changed, removed }: Change): boolean {
  return changed.length === 0 && removed.length === 0;
}

export function differenceOf(change: Change): Difference {
  return isNothing(change) ? NOTHING : { ...change, parts: [change] };
}

export function between(from: ResourceList, to: ResourceList): Difference {
  if (from === to) return NOTHING;
  const shared = compareOnce(from.shared, to.shared);
  const own = compareOnce(from.own, to.own);
  // What goes from one part and comes in the other has only changed.
  const moved = shared.removed.some((name) => to.own.has(name)) || own.removed.some((name) => to.shared.has(name));
  if (moved) return differenceOf(compare(flat(from), flat(to)));
  if (isNothing(own)) return shared;
  if (isNothing(shared)) return own;
  return {
    changed: [...shared.changed, ...own.changed],
    removed: [...shared.removed, ...own.removed],
    parts: [...shared.parts, ...own.parts],
  };
}

/** Without what goes. */
export function upsertsOf(difference: Difference): Difference {
  if (difference.removed.length === 0) return difference;
  const known = upserts.get(difference);
  if (known !== undefined) return known;
  const without = differenceOf({ changed: difference.changed, removed: [] });
  upserts.set(difference, without);
  return without;
}

const upserts = new WeakMap<Difference, Difference>();

function flat(list: ResourceList): ResourceMap {
  return new Map([...list.values()].map((resource) => [resource.name, resource]));
}

/** The same for every proxy that goes from one to the other. */
const differences = new WeakMap<ResourceMap, WeakMap<ResourceMap, Difference>>();

function compareOnce(from: ResourceMap, to: ResourceMap): Difference {
  if (from === to || (from.size === 0 && to.size === 0)) return NOTHING;
  const known = differences.get(from) ?? new WeakMap<ResourceMap, Difference>();
  differences.set(from, known);
  const difference = known.get(to) ?? differenceOf(compare(from, to));
  known.set(to, difference);
  return difference;
}

function compare(from: ResourceMap, to: ResourceMap): Change {
  const changed: EncodedResource[] = [];
  const removed: string[] = [];
  for (const name of VersionedMap.changes(from, to)) {
    const resource = to.get(name);
    if (resource === undefined) removed.push(name);
    else if (from.get(name)?.version !== resource.version) changed.push(resource);
  }
  return { changed, removed };
}
