// Picking a host: the priority first, then the locality, then the policy among the hosts that are left.

import type { Clock } from "../../base/clock.ts";
import type { Hash64 } from "../../base/hash.ts";
import type { Random } from "../../base/random.ts";
import type { Counter } from "../../observe/metrics.ts";
import type { Balancing, LbConfig, SlowStart } from "../compile/lb.ts";
import type { MetadataMatch } from "../compile/subset.ts";
import { type Choice, type ChoiceOptions, type Group, makeChoice, type Source } from "./choice.ts";
import { buildMaglev, buildRing, type HashPick } from "./hash.ts";
import type { Host } from "./host.ts";
import type { PriorityTrail } from "./priority-trail.ts";

export interface PickContext {
  /** Undefined: the route has no hash policy, or its sources are absent. */
  readonly hash: Hash64 | undefined;
  /** Hosts to avoid, and how often to look for another. */
  readonly avoid: readonly Host[];
  readonly attemptsMax: number;
  /** The address that a header of the request names, where the cluster follows it. */
  readonly override?: { readonly host: string; readonly port: number } | undefined;
  /** Priorities that earlier tries of the request led to, where it goes on with others. */
  readonly trail?: PriorityTrail | undefined;
  /** The subset that the route asks for. */
  readonly metadata?: MetadataMatch | undefined;
}

export interface BalancerOptions {
  readonly lb: LbConfig;
  readonly balancing: Balancing;
  readonly random: Random;
  readonly clock: Clock;
  readonly panics: Counter;
  /** Of a locality's weight, the part that counts here; 1 but for subsets that are told to scale it. */
  readonly localityScale?: ChoiceOptions["localityScale"];
}

export class LoadBalancer {
  readonly #options: BalancerOptions;
  readonly #slowStart: SlowStart | undefined;
  readonly #hashes: boolean;
  readonly #weightOf: ((host: Host) => number) | undefined;
  #hosts: readonly Host[] = [];
  #choice: Choice | undefined;
  #detour: { readonly of: Choice; readonly key: string; readonly choice: Choice | undefined } | undefined;
  /** When the last host that is starting slowly has its full weight. */
  #settledMs = Number.POSITIVE_INFINITY;
  #cursors = new Map<string, { next: number }>();

  constructor(options: BalancerOptions) {
    this.#options = options;
    const { lb } = options;
    this.#slowStart = lb.kind === "round-robin" || lb.kind === "least-request" ? lb.slowStart : undefined;
    this.#hashes = lb.kind === "ring-hash" || lb.kind === "maglev";
    this.#weightOf = weighing(lb, (host) => this.#ramp(host));
  }

  get hosts(): readonly Host[] {
    return this.#hosts;
  }

  /** Hosts, or the health of some, are not what they were. */
  update(hosts: readonly Host[]): void {
    this.#hosts = hosts;
    this.#choice = undefined;
  }

  pick(context: PickContext): Host | undefined {
    let choice = this.#choice;
    if (choice === undefined || this.#settled()) {
      choice = this.#make();
      this.#choice = choice;
    }
    if (context.trail !== undefined) choice = this.#beyond(choice, context.trail);
    const hash = this.#hashes ? (context.hash ?? this.#anyHash()) : undefined;
    let host = this.#once(choice, hash, 0);
    for (let attempt = 1; attempt <= context.attemptsMax; attempt += 1) {
      if (host === undefined || !context.avoid.includes(host)) break;
      host = this.#once(choice, hash, attempt);
    }
    return host;
  }

  /** The choice without the priorities of earlier tries: made for retries alone, and kept until hosts change. */
  #beyond(choice: Choice, trail: PriorityTrail): Choice {
    const { excluded } = trail;
    if (excluded.size === 0) return choice;
    const key = [...excluded].sort((a, b) => a - b).join();
    if (this.#detour?.of !== choice || this.#detour.key !== key) {
      this.#detour = { of: choice, key, choice: makeChoice(this.#hosts, this.#choiceOptions(new Map()), excluded) };
    }
    const detour = this.#detour.choice;
    if (detour === undefined) trail.restart();
    return detour ?? choice;
  }

  #settled(): boolean {
    return this.#settledMs !== Number.POSITIVE_INFINITY && this.#options.clock.monotonicMs() >= this.#settledMs;
  }

  #make(): Choice {
    this.#settledMs = this.#slowStart === undefined ? Number.POSITIVE_INFINITY : this.#slowUntil(this.#slowStart);
    const before = this.#cursors;
    this.#cursors = new Map();
    return makeChoice(this.#hosts, this.#choiceOptions(before, this.#cursors));
  }

  #choiceOptions(before: ChoiceOptions["before"], cursors: ChoiceOptions["cursors"] = new Map()): ChoiceOptions {
    const { balancing, random, localityScale } = this.#options;
    return {
      ...balancing,
      weightOf: this.#weightOf,
      changing: this.#settledMs !== Number.POSITIVE_INFINITY,
      localityScale: localityScale ?? (() => 1),
      hashes: this.#hashes,
      startAt: (count) => Math.floor(random() * count),
      before,
      cursors,
    };
  }

  #slowUntil(config: SlowStart): number {
    const nowMs = this.#options.clock.monotonicMs();
    const ends = this.#hosts
      .map((host) => (host.healthySinceMs ?? Number.NEGATIVE_INFINITY) + config.windowMs)
      .filter((endMs) => endMs > nowMs);
    return ends.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...ends);
  }

  /** What part of its weight a host has so soon after it became healthy. */
  #ramp(host: Host): number {
    const config = this.#slowStart;
    const sinceMs = host.healthySinceMs;
    if (config === undefined || sinceMs === undefined || host.health !== "healthy") return 1;
    const forMs = this.#options.clock.monotonicMs() - sinceMs;
    if (forMs >= config.windowMs) return 1;
    return Math.max((Math.max(1, forMs) / config.windowMs) ** (1 / config.aggression), config.shareMin);
  }

  #once(choice: Choice, hash: Hash64 | undefined, attempt: number): Host | undefined {
    const source = this.#source(choice, hash);
    if (source === undefined) return undefined;
    if (source.panic) this.#options.panics.value += 1;
    if (hash !== undefined) return this.#hashed(source, hash, attempt);
    const group = source.localities === undefined ? source.groups[0] : source.localities.pick();
    return group === undefined ? undefined : this.#turn(group);
  }

  #source(choice: Choice, hash: Hash64 | undefined): Source | undefined {
    const { turns } = choice;
    if (turns.length <= 1) return turns[0]?.source;
    const point = hash === undefined ? Math.floor(this.#options.random() * 100) + 1 : hundredth(hash) + 1;
    for (const turn of turns) if (point <= turn.upTo) return turn.source;
    return turns.at(-1)?.source;
  }

  #turn(group: Group): Host | undefined {
    const { hosts, turns } = group;
    if (turns !== undefined) return turns.pick();
    const { length } = hosts;
    if (length < 2) return hosts[0];
    const { lb } = this.#options;
    if (lb.kind === "round-robin") {
      const { cursor } = group;
      const next = cursor.next >= length ? 0 : cursor.next;
      cursor.next = next + 1;
      return hosts[next];
    }
    return lb.kind === "least-request" ? this.#leastRequest(hosts, lb.choices) : this.#any(hosts);
  }

  #any(hosts: readonly Host[]): Host | undefined {
    return hosts[Math.floor(this.#options.random() * hosts.length)];
  }

  #leastRequest(hosts: readonly Host[], choices: number): Host | undefined {
    let best: Host | undefined;
    for (let tries = 0; tries < choices; tries += 1) {
      const host = this.#any(hosts);
      if (best === undefined || (host !== undefined && host.stats.rq_active < best.stats.rq_active)) best = host;
    }
    return best;
  }

  #hashed(source: Source, hash: Hash64, attempt: number): Host | undefined {
    const { weighted, table } = source;
    if (weighted.length === 0) return undefined;
    table.pick ??= this.#buildTable(source);
    return weighted[table.pick(hash, attempt)]?.host;
  }

  #buildTable(source: Source): HashPick {
    const { lb, balancing } = this.#options;
    const keys = source.weighted.map(({ host, weight }) => ({
      key: hashKey(host, balancing.hashByHostname),
      weight,
    }));
    if (lb.kind === "maglev") return buildMaglev(keys, lb.tableSize);
    return buildRing(keys, lb.kind === "ring-hash" ? lb : { sizeMin: 1024, sizeMax: 1024, hash: "xx" });
  }

  #anyHash(): Hash64 {
    const { random } = this.#options;
    return { high: Math.floor(random() * 2 ** 32), low: Math.floor(random() * 2 ** 32) };
  }
}

/** A host's place in a table: by what its metadata says, else by its name where that is asked for, else by its address. */
function hashKey(host: Host, byHostname: boolean): string {
  const own: unknown = host.endpoint.metadata?.filterMetadata["envoy.lb"]?.["hash_key"];
  if (typeof own === "string" && own !== "") return own;
  return byHostname && host.endpoint.hostname !== "" ? host.endpoint.hostname : host.address;
}

function hundredth(hash: Hash64): number {
  // 2^32 leaves 96 when it is divided by 100.
  return ((hash.high % 100) * 96 + (hash.low % 100)) % 100;
}

function weighing(lb: LbConfig, ramp: (host: Host) => number): ((host: Host) => number) | undefined {
  if (lb.kind === "round-robin") return (host) => host.endpoint.weight * ramp(host);
  if (lb.kind !== "least-request") return undefined;
  const { bias } = lb;
  return (host) => (host.endpoint.weight / (host.stats.rq_active + 1) ** bias) * ramp(host);
}
