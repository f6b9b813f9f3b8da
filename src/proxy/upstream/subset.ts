// Picking among the hosts whose metadata a route asks for. The subsets are made when hosts change; a request only looks two texts up.

import type { Counter, Gauge, Scope } from "../../observe/metrics.ts";
import {
  type MetadataMatch,
  narrowMatch,
  type SubsetConfig,
  type SubsetSelector,
  subsetLabels,
} from "../compile/subset.ts";
import { SUBSETS_MAX } from "../limits.ts";
import type { Host } from "./host.ts";
import { type BalancerOptions, LoadBalancer, type PickContext } from "./lb.ts";

interface Selected {
  readonly selector: SubsetSelector;
  /** By the text of its values. */
  subsets: Map<string, LoadBalancer>;
}

export class SubsetBalancer {
  readonly #config: SubsetConfig;
  readonly #options: BalancerOptions;
  readonly #all: LoadBalancer;
  readonly #default: LoadBalancer;
  readonly #selected: readonly Selected[];
  readonly #byKeys: ReadonlyMap<string, readonly Selected[]>;
  readonly #stats: Readonly<Record<"created" | "removed" | "selected" | "fallback" | "panic", Counter>>;
  readonly #active: Gauge;
  /** Hosts of each priority's locality, of all subsets together. */
  #localities = new Map<string, number>();
  #hosts: readonly Host[] = [];

  constructor(config: SubsetConfig, options: BalancerOptions, scope: Scope) {
    this.#config = config;
    this.#options = options;
    this.#all = new LoadBalancer(options);
    this.#default = this.#subset();
    this.#selected = config.selectors.map((selector) => ({ selector, subsets: new Map() }));
    this.#byKeys = Map.groupBy(this.#selected, (one) => one.selector.keyText);
    this.#active = scope.gauge("lb_subsets_active");
    this.#stats = {
      created: scope.counter("lb_subsets_created"),
      removed: scope.counter("lb_subsets_removed"),
      selected: scope.counter("lb_subsets_selected"),
      fallback: scope.counter("lb_subsets_fallback"),
      panic: scope.counter("lb_subsets_fallback_panic"),
    };
  }

  update(hosts: readonly Host[]): void {
    this.#all.update(hosts);
    if (hosts !== this.#hosts) this.#index(hosts);
    this.#default.update(this.#default.hosts);
    for (const { subsets } of this.#selected) for (const subset of subsets.values()) subset.update(subset.hosts);
  }

  pick(context: PickContext): Host | undefined {
    const found = this.#find(context.metadata);
    if (found !== undefined) {
      this.#stats.selected.value += 1;
      return found.pick(context);
    }
    const own = context.metadata === undefined ? undefined : this.#byKeys.get(context.metadata.keyText)?.[0]?.selector;
    if (own !== undefined && own.fallback !== "cluster") return this.#fallBackAs(own, context);
    return this.#fallBack(this.#config.fallback, context);
  }

  /** The subset asked for, where it has hosts. */
  #find(match: MetadataMatch | undefined): LoadBalancer | undefined {
    if (match === undefined) return undefined;
    for (const one of this.#byKeys.get(match.keyText) ?? NONE) {
      const subset = one.subsets.get(match.valueText);
      if (subset !== undefined) return subset;
    }
    return undefined;
  }

  #fallBackAs(selector: SubsetSelector, context: PickContext): Host | undefined {
    switch (selector.fallback) {
      case "keys": {
        const { metadata } = context;
        const narrowed = metadata === undefined ? undefined : narrowMatch(metadata, selector.fallbackKeys);
        return this.pick({ ...context, metadata: narrowed });
      }
      case "any":
        return this.#all.pick(context);
      case "default":
        return this.#default.pick(context);
      case "none":
      case "cluster":
        return undefined;
    }
  }

  #fallBack(policy: SubsetConfig["fallback"], context: PickContext): Host | undefined {
    const fallback = policy === "any" ? this.#all : policy === "default" ? this.#default : undefined;
    const host = fallback?.pick(context);
    if (host !== undefined) {
      this.#stats.fallback.value += 1;
      return host;
    }
    if (!this.#config.panicAny) return undefined;
    this.#stats.panic.value += 1;
    return this.#all.pick(context);
  }

  #index(hosts: readonly Host[]): void {
    this.#hosts = hosts;
    this.#localities = new Map();
    const labelled = hosts.map((host) => {
      const place = localityKey(host);
      this.#localities.set(place, (this.#localities.get(place) ?? 0) + 1);
      return { host, labels: subsetLabels(host.endpoint.metadata, this.#config.listAsAny) };
    });
    const { defaultSubset } = this.#config;
    this.#default.update(
      labelled
        .filter(({ labels }) => defaultSubset.pairs.every(([key, value]) => labels.get(key)?.includes(value) === true))
        .map(({ host }) => host),
    );
    let active = 0;
    for (const one of this.#selected) {
      const members = new Map<string, Host[]>();
      for (const { host, labels } of labelled)
        for (const values of combinations(one.selector.keys, labels)) addTo(members, values, host);
      one.subsets = this.#renew(one, members);
      active += one.subsets.size;
    }
    this.#active.value = active;
  }

  /** A subset that goes on keeps its balancer, and so whose turn it is. */
  #renew(selected: Selected, members: ReadonlyMap<string, readonly Host[]>): Map<string, LoadBalancer> {
    const next = new Map<string, LoadBalancer>();
    for (const [values, hosts] of members) {
      const before = selected.subsets.get(values);
      const subset = before ?? this.#subset();
      if (before === undefined) this.#stats.created.value += 1;
      subset.update(selected.selector.singleHost ? hosts.slice(0, 1) : hosts);
      next.set(values, subset);
    }
    for (const values of selected.subsets.keys()) if (!next.has(values)) this.#stats.removed.value += 1;
    return next;
  }

  #subset(): LoadBalancer {
    const { localityWeightAware, scaleLocalityWeight } = this.#config;
    const { balancing } = this.#options;
    return new LoadBalancer({
      ...this.#options,
      balancing: { ...balancing, localityWeighted: balancing.localityWeighted && localityWeightAware },
      ...(scaleLocalityWeight
        ? { localityScale: (host: Host, count: number) => count / (this.#localities.get(localityKey(host)) ?? count) }
        : {}),
    });
  }
}

const NONE: readonly Selected[] = [];

function localityKey(host: Host): string {
  const { priority, locality } = host.endpoint;
  return `${priority} ${locality.region}/${locality.zone}/${locality.subZone}`;
}

function addTo(members: Map<string, Host[]>, values: string, host: Host): void {
  const list = members.get(values);
  if (list !== undefined) list.push(host);
  else if (members.size < SUBSETS_MAX) members.set(values, [host]);
}

/** The texts of all values that a host has for these keys: more than one where a list stands for its items, none where a key is absent. */
function combinations(keys: readonly string[], labels: ReadonlyMap<string, readonly string[]>): readonly string[] {
  let texts: readonly string[] = [];
  for (const [index, key] of keys.entries()) {
    const values = labels.get(key) ?? [];
    texts = index === 0 ? values : texts.flatMap((text) => values.map((value) => `${text}\n${value}`));
    if (texts.length > SUBSETS_MAX) return texts.slice(0, SUBSETS_MAX);
  }
  return texts;
}
