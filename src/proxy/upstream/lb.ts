// Picking a host: priorities and panic first, localities where they have weights, then the policy among the hosts that are left.

import type { Random } from "../../base/random.ts";
import type { LbConfig } from "../compile/cluster.ts";
import { buildMaglev, buildRing, type HashPick } from "./hash.ts";
import type { Host } from "./host.ts";

export interface PickContext {
  /** Undefined: the route has no hash policy, or its sources are absent. */
  readonly hash: number | undefined;
  /** Hosts to avoid, and how often to look for another. */
  readonly avoid: readonly Host[];
  readonly attemptsMax: number;
  /** The address that a header of the request names, where the cluster follows it. */
  readonly override?: { readonly host: string; readonly port: number } | undefined;
}

/** Hosts that a request may go to, as one immutable picture; made anew when hosts or their health change. */
export interface Choice {
  /** By priority: what share of the load it gets, and among which hosts. */
  readonly levels: readonly Level[];
  readonly panic: boolean;
}

interface Level {
  readonly share: number;
  readonly groups: readonly Group[];
  readonly totalWeight: number;
}

interface Group {
  readonly weight: number;
  readonly hosts: readonly Host[];
  readonly equalWeights: boolean;
  readonly weightTotal: number;
  readonly state: { next: number; hash: HashPick | undefined };
}

export function makeChoice(
  hosts: readonly Host[],
  options: { readonly panicShare: number; readonly localityWeighted: boolean },
): Choice {
  const overprovisioning = hosts[0]?.endpoint.overprovisioning ?? 1.4;
  const usable = hosts.filter((host) => host.endpoint.health !== "draining");
  const priorities = [...new Set(usable.map((host) => host.endpoint.priority))].sort((a, b) => a - b);
  const health = priorities.map((priority) => {
    const all = usable.filter((host) => host.endpoint.priority === priority);
    const good = all.filter((host) => host.healthy);
    const degraded = all.filter((host) => host.endpoint.health === "degraded" && !host.monitor.ejected);
    return { all, good: good.length > 0 ? good : degraded, share: good.length / Math.max(all.length, 1) };
  });
  const available = Math.min(
    1,
    health.reduce((sum, level) => sum + Math.min(1, level.share * overprovisioning), 0),
  );
  let left = 1;
  let panic = false;
  const levels: Level[] = [];
  for (const level of health) {
    const wanted =
      available === 0
        ? levels.length === 0
          ? 1
          : 0
        : Math.min(left, Math.min(1, level.share * overprovisioning) / available);
    left -= wanted;
    if (wanted <= 0) continue;
    const inPanic = level.share < options.panicShare && available < 1;
    if (inPanic) panic = true;
    const chosen = inPanic ? level.all : level.good;
    if (chosen.length === 0) continue;
    levels.push(makeLevel(chosen, wanted, options.localityWeighted));
  }
  return { levels, panic };
}

function makeLevel(hosts: readonly Host[], share: number, localityWeighted: boolean): Level {
  if (!localityWeighted) {
    const group = makeGroup(hosts, 1);
    return { share, groups: [group], totalWeight: 1 };
  }
  const byLocality = new Map<string, Host[]>();
  for (const host of hosts) {
    const { region, zone, subZone } = host.endpoint.locality;
    const key = `${region}/${zone}/${subZone}`;
    const list = byLocality.get(key);
    if (list === undefined) byLocality.set(key, [host]);
    else list.push(host);
  }
  const groups = [...byLocality.values()].map((list) => makeGroup(list, list[0]?.endpoint.localityWeight ?? 0));
  return { share, groups, totalWeight: groups.reduce((sum, group) => sum + group.weight, 0) };
}

function makeGroup(hosts: readonly Host[], weight: number): Group {
  const first = hosts[0]?.endpoint.weight ?? 1;
  return {
    weight,
    hosts,
    equalWeights: hosts.every((host) => host.endpoint.weight === first),
    weightTotal: hosts.reduce((sum, host) => sum + host.endpoint.weight, 0),
    state: { next: 0, hash: undefined },
  };
}

export class LoadBalancer {
  readonly #config: LbConfig;
  readonly #random: Random;

  constructor(config: LbConfig, random: Random) {
    this.#config = config;
    this.#random = random;
  }

  pick(choice: Choice, context: PickContext): Host | undefined {
    const level = this.#level(choice);
    if (level === undefined) return undefined;
    const group = this.#group(level);
    if (group === undefined) return undefined;
    let host = this.#pickHost(group, context, 0);
    for (let attempt = 1; attempt <= context.attemptsMax; attempt += 1) {
      if (host === undefined || !context.avoid.includes(host)) break;
      host = this.#pickHost(group, context, attempt);
    }
    return host;
  }

  #level(choice: Choice): Level | undefined {
    const { levels } = choice;
    if (levels.length <= 1) return levels[0];
    let point = this.#random() * levels.reduce((sum, level) => sum + level.share, 0);
    for (const level of levels) {
      point -= level.share;
      if (point < 0) return level;
    }
    return levels.at(-1);
  }

  #group(level: Level): Group | undefined {
    const { groups } = level;
    if (groups.length <= 1 || level.totalWeight === 0) return groups[0];
    let point = this.#random() * level.totalWeight;
    for (const group of groups) {
      point -= group.weight;
      if (point < 0) return group;
    }
    return groups.at(-1);
  }

  #pickHost(group: Group, context: PickContext, attempt: number): Host | undefined {
    const { hosts } = group;
    const only = hosts.length === 1 ? hosts[0] : undefined;
    if (only !== undefined) return only;
    switch (this.#config.kind) {
      case "round-robin":
        return group.equalWeights ? hosts[group.state.next++ % hosts.length] : this.#weighted(group);
      case "least-request":
        return this.#leastRequest(group, this.#config);
      case "ring-hash":
      case "maglev":
        return this.#hashed(group, context, attempt);
      case "random":
      case "original-dst":
        return group.equalWeights ? this.#any(hosts) : this.#weighted(group);
    }
  }

  #any(hosts: readonly Host[]): Host | undefined {
    return hosts[Math.floor(this.#random() * hosts.length)];
  }

  #weighted(group: Group): Host | undefined {
    let point = this.#random() * group.weightTotal;
    for (const host of group.hosts) {
      point -= host.endpoint.weight;
      if (point < 0) return host;
    }
    return group.hosts.at(-1);
  }

  #leastRequest(group: Group, config: Extract<LbConfig, { kind: "least-request" }>): Host | undefined {
    if (!group.equalWeights) return this.#leastLoaded(group, config.bias);
    let best: Host | undefined;
    for (let tries = 0; tries < config.choices; tries += 1) {
      const host = this.#any(group.hosts);
      if (best === undefined || (host !== undefined && host.stats.rq_active < best.stats.rq_active)) best = host;
    }
    return best;
  }

  /** Unequal weights: Envoy divides a host's weight by its active requests. */
  #leastLoaded(group: Group, bias: number): Host | undefined {
    const weights = group.hosts.map((host) => host.endpoint.weight / (host.stats.rq_active + 1) ** bias);
    let point = this.#random() * weights.reduce((sum, weight) => sum + weight, 0);
    for (const [index, weight] of weights.entries()) {
      point -= weight;
      if (point < 0) return group.hosts[index];
    }
    return group.hosts.at(-1);
  }

  #hashed(group: Group, context: PickContext, attempt: number): Host | undefined {
    const config = this.#config;
    if (group.state.hash === undefined) {
      const keys = group.hosts.map((host) => ({ key: host.address, weight: host.endpoint.weight }));
      group.state.hash =
        config.kind === "maglev"
          ? buildMaglev(keys, config.tableSize)
          : buildRing(
              keys,
              config.kind === "ring-hash" ? config.sizeMin : 1024,
              config.kind === "ring-hash" ? config.sizeMax : 1024,
            );
    }
    const hash = context.hash ?? Math.floor(this.#random() * 2 ** 32);
    return group.hosts[group.state.hash(hash, attempt)];
  }
}
