// The current resources, changed by sources, taken as immutable sets.

import type { KubeObject } from "../api/object.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { SOURCES } from "./kinds.ts";
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
  put<K extends ResourceName>(name: K, given: ResourceTypes[K]): boolean {
    const { keep } = SOURCES[name];
    const object = keep === undefined ? given : keep(given);
    if (object === undefined) return this.remove(name, given);
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
