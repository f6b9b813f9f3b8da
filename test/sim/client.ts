// A discovery client that holds what Envoy would: a new cluster serves once its endpoints are there, a new listener once
// its routes are, and what is replaced goes on serving until then.

import { Cluster, Cluster_DiscoveryType } from "../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../../src/proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../../src/proto/gen/envoy/config/route/v3/route.ts";
import { HttpConnectionManager } from "../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import type { EncodedConfiguration, EncodedResource, ResourceType } from "../../src/serve/resource.ts";
import type { Batch, StateOfType } from "../../src/serve/session.ts";
import { extension, type Held, typedConfig, typeOf } from "./held.ts";

const CODECS = { cluster: Cluster, endpoint: ClusterLoadAssignment, listener: Listener, route: RouteConfiguration };
export type HeldType = keyof typeof CODECS;
export const HELD_TYPES = ["cluster", "endpoint", "listener", "route"] as const;

const decoded = new WeakMap<EncodedResource, unknown>();

function decode<K extends HeldType>(type: K, resource: EncodedResource): ReturnType<(typeof CODECS)[K]["decode"]> {
  const known = decoded.get(resource) ?? CODECS[type].decode(resource.any.value);
  decoded.set(resource, known);
  return known as ReturnType<(typeof CODECS)[K]["decode"]>;
}

/** As if all of a configuration were there. */
export function heldOf({ resources }: EncodedConfiguration): Held {
  const all = <K extends HeldType>(type: K) =>
    new Map([...resources[type].values()].map((resource) => [resource.name, decode(type, resource)]));
  return { listener: all("listener"), route: all("route"), cluster: all("cluster"), endpoint: all("endpoint") };
}

export class HoldingClient {
  readonly held = {
    listener: new Map<string, Listener>(),
    route: new Map<string, RouteConfiguration>(),
    cluster: new Map<string, Cluster>(),
    endpoint: new Map<string, ClusterLoadAssignment>(),
  };
  /** Of everything that arrived and was not removed. */
  readonly versions: Record<HeldType, Map<string, string>> = {
    cluster: new Map(),
    endpoint: new Map(),
    listener: new Map(),
    route: new Map(),
  };
  readonly #warmingClusters = new Map<string, Cluster>();
  readonly #warmingListeners = new Map<string, Listener>();

  /** `state`: of the world, where it is told that. */
  receive(batch: Batch, state: StateOfType | undefined): void {
    const type = heldType(batch.type);
    if (type === undefined) return;
    const arrived = state?.all ?? batch.changed;
    const removed = state === undefined ? batch.removed : this.#absent(type, arrived);
    for (const resource of arrived) this.#take(type, resource);
    for (const name of removed) this.#remove(type, name);
    if (type === "listener" || type === "route") this.#warmListeners();
  }

  /** The names that it has to ask for by now. */
  wanted(type: "endpoint" | "route"): ReadonlySet<string> {
    if (type === "endpoint") {
      const all = [...this.held.cluster.values(), ...this.#warmingClusters.values()];
      return new Set(all.filter(isEds).map(({ name }) => name));
    }
    return new Set([...this.held.listener.values(), ...this.#warmingListeners.values()].flatMap(routeNames));
  }

  /** What it doesn't want any more is forgotten. */
  forget(): void {
    for (const type of ["endpoint", "route"] as const) {
      const wanted = this.wanted(type);
      for (const name of [...this.held[type].keys()]) {
        if (wanted.has(name)) continue;
        this.held[type].delete(name);
        this.versions[type].delete(name);
      }
    }
  }

  get isWarm(): boolean {
    return this.#warmingClusters.size === 0 && this.#warmingListeners.size === 0;
  }

  /** Only clusters and listeners come as a whole. */
  #absent(type: HeldType, arrived: readonly EncodedResource[]): readonly string[] {
    if (type === "endpoint" || type === "route") return [];
    const names = new Set(arrived.map(({ name }) => name));
    return [...this.versions[type].keys()].filter((name) => !names.has(name));
  }

  #take(type: HeldType, resource: EncodedResource): void {
    const { name, version } = resource;
    const same = this.versions[type].get(name) === version;
    this.versions[type].set(name, version);
    switch (type) {
      case "cluster": {
        if (same) return;
        const cluster = decode("cluster", resource);
        if (isEds(cluster)) this.#warmingClusters.set(name, cluster);
        else {
          this.#warmingClusters.delete(name);
          this.held.cluster.set(name, cluster);
        }
        return;
      }
      case "endpoint":
        this.held.endpoint.set(name, decode("endpoint", resource));
        this.#warmCluster(name);
        return;
      case "listener":
        if (!same) this.#warmingListeners.set(name, decode("listener", resource));
        return;
      case "route":
        this.held.route.set(name, decode("route", resource));
        return;
    }
  }

  #remove(type: HeldType, name: string): void {
    // Envoy keeps a route configuration that it still names; endpoints that are gone are none.
    if (type === "route") return;
    this.versions[type].delete(name);
    this.held[type].delete(name);
    if (type === "cluster") this.#warmingClusters.delete(name);
    else if (type === "listener") this.#warmingListeners.delete(name);
    else this.#warmCluster(name);
  }

  #warmCluster(name: string): void {
    const cluster = this.#warmingClusters.get(name);
    if (cluster === undefined) return;
    this.#warmingClusters.delete(name);
    this.held.cluster.set(name, cluster);
  }

  #warmListeners(): void {
    for (const [name, listener] of this.#warmingListeners) {
      if (!routeNames(listener).every((route) => this.held.route.has(route))) continue;
      this.#warmingListeners.delete(name);
      this.held.listener.set(name, listener);
    }
  }
}

function heldType(type: ResourceType): HeldType | undefined {
  return HELD_TYPES.find((each) => each === type);
}

function isEds({ clusterDiscoveryType: type }: Cluster): boolean {
  return type?.$case === "type" && type.value === Cluster_DiscoveryType.EDS;
}

const routesByListener = new WeakMap<Listener, readonly string[]>();

export function routeNames(listener: Listener): readonly string[] {
  const known = routesByListener.get(listener);
  if (known !== undefined) return known;
  const chains = [
    ...listener.filterChains,
    ...(listener.defaultFilterChain === undefined ? [] : [listener.defaultFilterChain]),
  ];
  const names = chains.flatMap(({ filters }) =>
    filters.flatMap((filter) => {
      const config = typedConfig(filter);
      if (typeOf(config) !== "HttpConnectionManager") return [];
      const { routeSpecifier } = extension(config, HttpConnectionManager);
      return routeSpecifier?.$case === "rds" ? [routeSpecifier.value.routeConfigName] : [];
    }),
  );
  routesByListener.set(listener, names);
  return names;
}
