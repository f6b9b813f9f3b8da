// The current resources, changed by sources, taken as immutable sets.

import type { KubeObject } from "../api/object.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { VersionedMap } from "../base/versioned-map.ts";
import { resourceNames, SOURCES } from "./kinds.ts";
import { emptyResources, keyOf, type ResourceName, type ResourceSet, type ResourceTypes } from "./resources.ts";

type PendingResources = { [K in ResourceName]: Pending<ResourceTypes[K]> };

/** What came since the last set was taken. */
interface Pending<T> {
  /** By key; undefined: gone. */
  readonly objects: Map<string, T | undefined>;
  /** Whether any of it means something to the mesh. */
  differs: boolean;
}

export class ResourceStore {
  #taken: ResourceSet = emptyResources();
  readonly #pending: Partial<PendingResources> = {};

  get<K extends ResourceName>(name: K, object: KubeObject): ResourceTypes[K] | undefined {
    return this.#current(name, keyOf(object));
  }

  /** False when nothing that the mesh reads differs: status and bookkeeping fields alone change nothing. */
  put<K extends ResourceName>(name: K, given: ResourceTypes[K]): boolean {
    const { keep } = SOURCES[name];
    const object = keep === undefined ? given : keep(given);
    if (object === undefined) return this.remove(name, given);
    const key = keyOf(object);
    const previous = this.#current(name, key);
    const pending = this.#pendingOf(name);
    pending.objects.set(key, object);
    if (previous !== undefined && deepEqual(essence(name, previous), essence(name, object))) return false;
    pending.differs = true;
    return true;
  }

  remove<K extends ResourceName>(name: K, object: ResourceTypes[K]): boolean {
    const key = keyOf(object);
    if (this.#current(name, key) === undefined) return false;
    const pending = this.#pendingOf(name);
    pending.objects.set(key, undefined);
    pending.differs = true;
    return true;
  }

  /** Each map is a later version of the one that was taken before. */
  take(): ResourceSet {
    const changed = resourceNames().flatMap((name) => {
      const map = this.#takeKind(name);
      return map === undefined ? [] : [[name, map] as const];
    });
    if (changed.length > 0) this.#taken = { ...this.#taken, ...Object.fromEntries(changed) };
    return this.#taken;
  }

  #takeKind<K extends ResourceName>(name: K): VersionedMap<string, ResourceTypes[K]> | undefined {
    const pending = this.#pending[name];
    if (pending?.differs !== true) return undefined;
    const taken: ReadonlyMap<string, ResourceTypes[K]> = this.#taken[name];
    delete this.#pending[name];
    return VersionedMap.of(taken).with(pending.objects);
  }

  #current<K extends ResourceName>(name: K, key: string): ResourceTypes[K] | undefined {
    const pending = this.#pending[name]?.objects;
    return pending?.has(key) === true ? pending.get(key) : this.#taken[name].get(key);
  }

  #pendingOf<K extends ResourceName>(name: K): Pending<ResourceTypes[K]> {
    const made = this.#pending[name] ?? { objects: new Map(), differs: false };
    this.#pending[name] = made;
    return made;
  }
}

/** Pods are read for their labels, place, address and account; the rest by everything but bookkeeping. */
function essence(name: ResourceName, object: ResourceTypes[ResourceName]): unknown {
  const { metadata } = object;
  const identity = { labels: metadata.labels, annotations: metadata.annotations, uid: metadata.uid };
  const deleting = metadata.deletionTimestamp;
  if (name === "pods" && "spec" in object) {
    const [spec, status] = [recordOf(object, "spec"), recordOf(object, "status")];
    const ended = status["phase"] === "Succeeded" || status["phase"] === "Failed";
    const { serviceAccountName: account, nodeName: node } = spec;
    return {
      labels: metadata.labels,
      uid: metadata.uid,
      ip: status["podIP"],
      ips: status["podIPs"],
      ended,
      account,
      node,
    };
  }
  if (name === "namespaces" || name === "nodes") return { labels: metadata.labels };
  const { metadata: _metadata, ...rest } = object;
  const body = Object.fromEntries(Object.entries(rest).filter(([key]) => key !== "status"));
  if (name === "endpointSlices") return { labels: metadata.labels, deleting, body };
  if (name === "services") return { labels: metadata.labels, own: meshAnnotations(metadata), deleting, body };
  return { identity, generation: metadata.generation, deleting, body };
}

function recordOf(object: object, key: string): Readonly<Record<string, unknown>> {
  const value: unknown = Reflect.get(object, key);
  return isRecord(value) ? value : {};
}

/** Of a Service's annotations the mesh reads its own only: others change often and mean nothing to it. */
function meshAnnotations({ annotations = {} }: KubeObject["metadata"]): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations).filter(([name]) => name.startsWith("networking.istio.io/")));
}
