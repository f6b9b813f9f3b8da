// The clusters that requests find by name: a new one takes over when its endpoints are known.

import type { ClusterConfig, EndpointConfig } from "../compile/cluster.ts";
import { WARMING_MS_MAX } from "../limits.ts";
import { Cluster, type UpstreamAround } from "../upstream/cluster.ts";

export class Clusters {
  readonly #around: UpstreamAround;
  readonly #active = new Map<string, Cluster>();
  readonly #warming = new Map<string, Cluster>();
  readonly #endpoints = new Map<string, readonly EndpointConfig[]>();
  readonly #onWarm: (name: string) => void;

  constructor(around: UpstreamAround, onWarm: (name: string) => void) {
    this.#around = around;
    this.#onWarm = onWarm;
  }

  get(name: string): Cluster | undefined {
    return this.#active.get(name);
  }

  set(config: ClusterConfig): void {
    this.#warming.get(config.name)?.close();
    this.#warming.delete(config.name);
    const cluster: Cluster = new Cluster(config, this.#around, () => queueMicrotask(() => this.#promote(cluster)));
    this.#warming.set(config.name, cluster);
    const known = this.#endpoints.get(config.edsName);
    if (config.discovery === "eds" && known !== undefined) cluster.setEndpoints(known);
    if (cluster.warm) this.#promote(cluster);
    else this.#around.clock.after(WARMING_MS_MAX, () => cluster.giveUpWarming());
  }

  setEndpoints(edsName: string, endpoints: readonly EndpointConfig[]): void {
    this.#endpoints.set(edsName, endpoints);
    for (const cluster of this.all()) {
      if (cluster.config.discovery !== "eds" || cluster.config.edsName !== edsName) continue;
      cluster.stats.counters.update_success.value += 1;
      cluster.setEndpoints(endpoints);
    }
  }

  removeEndpoints(edsName: string): void {
    this.#endpoints.delete(edsName);
  }

  remove(name: string): void {
    for (const map of [this.#active, this.#warming]) {
      const cluster = map.get(name);
      map.delete(name);
      cluster?.close();
      cluster?.stats.dispose();
    }
  }

  /** Names of load assignments that the clusters refer to. */
  wantedEndpoints(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { config } of this.all()) if (config.discovery === "eds") names.add(config.edsName);
    return names;
  }

  wantedSecrets(): readonly string[] {
    const names: string[] = [];
    for (const cluster of this.all()) {
      for (const { config } of cluster.contexts()) {
        if (config.certificateName !== undefined) names.push(config.certificateName);
        if (config.trustName !== undefined) names.push(config.trustName);
      }
    }
    return names;
  }

  active(): readonly Cluster[] {
    return [...this.#active.values()];
  }

  get warmingCount(): number {
    return this.#warming.size;
  }

  /** Some cluster that needs no control plane is being resolved or checked: the first listeners wait for it, as in Envoy. */
  get beginning(): boolean {
    for (const { config } of this.#warming.values()) if (config.discovery !== "eds") return true;
    return false;
  }

  all(): readonly Cluster[] {
    return [...this.#active.values(), ...this.#warming.values()];
  }

  close(): void {
    for (const cluster of this.all()) cluster.close();
  }

  /** Requests that are under way on the old one finish there. */
  #promote(cluster: Cluster): void {
    const { name } = cluster.config;
    if (this.#warming.get(name) !== cluster) return;
    this.#warming.delete(name);
    this.#active.get(name)?.close();
    this.#active.set(name, cluster);
    this.#onWarm(name);
  }
}
