// The current resources, changed by sources, taken as immutable sets.

import type { KubeObject } from "../api/object.ts";
import { deepEqual } from "../base/equal.ts";
import {
  emptyResources,
  keyOf,
  type ResourceMaps,
  type ResourceName,
  type ResourceSet,
  type ResourceTypes,
} from "./resources.ts";

export class ResourceStore {
  #current: ResourceMaps = emptyResources();
  #taken: ResourceSet = emptyResources();
  #changed = new Set<ResourceName>();

  get<K extends ResourceName>(name: K, object: KubeObject): ResourceTypes[K] | undefined {
    return this.#current[name].get(keyOf(object));
  }

  /** False when nothing that the mesh reads differs: status and bookkeeping fields alone change nothing. */
  put<K extends ResourceName>(name: K, object: ResourceTypes[K]): boolean {
    const key = keyOf(object);
    const previous = this.#current[name].get(key);
    this.#current[name].set(key, object);
    if (previous !== undefined && deepEqual(essence(name, previous), essence(name, object))) return false;
    this.#changed.add(name);
    return true;
  }

  remove<K extends ResourceName>(name: K, object: ResourceTypes[K]): boolean {
    if (!this.#current[name].delete(keyOf(object))) return false;
    this.#changed.add(name);
    return true;
  }

  take(): ResourceSet {
    if (this.#changed.size === 0) return this.#taken;
    const changed = [...this.#changed].map((name) => [name, new Map(this.#current[name])]);
    this.#taken = { ...this.#taken, ...Object.fromEntries(changed) };
    this.#changed.clear();
    return this.#taken;
  }
}

/** Pods are read for their labels, address and account; the rest by everything but bookkeeping. */
function essence(name: ResourceName, object: ResourceTypes[ResourceName]): unknown {
  const { metadata } = object;
  const identity = { labels: metadata.labels, annotations: metadata.annotations, uid: metadata.uid };
  const deleting = metadata.deletionTimestamp;
  if (name === "pods" && "spec" in object) {
    const status: unknown = Reflect.get(object, "status");
    const podIP: unknown = typeof status === "object" && status !== null ? Reflect.get(status, "podIP") : undefined;
    const spec: unknown = Reflect.get(object, "spec");
    const account: unknown =
      typeof spec === "object" && spec !== null ? Reflect.get(spec, "serviceAccountName") : undefined;
    return { labels: metadata.labels, uid: metadata.uid, podIP, account };
  }
  if (name === "namespaces") return { labels: metadata.labels };
  const { metadata: _metadata, ...rest } = object;
  const body = Object.fromEntries(Object.entries(rest).filter(([key]) => key !== "status"));
  if (name === "services" || name === "endpointSlices") return { labels: metadata.labels, deleting, body };
  return { identity, generation: metadata.generation, deleting, body };
}
