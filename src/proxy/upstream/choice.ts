// The hosts that requests may go to, as one immutable picture: priorities with their shares, localities with theirs, and in each
// the hosts whose turn it can be. Made anew when hosts or their health change, never for a request.

import type { Balancing } from "../compile/lb.ts";
import { EdfScheduler } from "./edf.ts";
import type { HashPick } from "./hash.ts";
import type { Host } from "./host.ts";
import { type LevelCounts, loadsWithout, priorityLoads } from "./priority.ts";

export interface Choice {
  /** One for each priority (and health) that gets load. */
  readonly turns: readonly Turn[];
}

/** Points of a hundred up to here lead to this source. */
interface Turn {
  readonly upTo: number;
  readonly source: Source;
}

export interface Source {
  readonly panic: boolean;
  readonly groups: readonly Group[];
  /** More than one locality takes turns by weight; undefined: there is only one group. */
  readonly localities: EdfScheduler<Group> | undefined;
  /** For consistent hashing: every host with its part of the whole. */
  readonly weighted: readonly { readonly host: Host; readonly weight: number }[];
  readonly table: { pick: HashPick | undefined };
}

export interface Group {
  readonly hosts: readonly Host[];
  /** What part of its source's turns it gets. */
  readonly weight: number;
  /** The next turn, kept while hosts come and go. */
  readonly cursor: { next: number };
  /** Hosts differ in weight: they take turns by it. */
  readonly turns: EdfScheduler<Host> | undefined;
}

export interface ChoiceOptions extends Pick<Balancing, "localityWeighted" | "panicPercent" | "failOnPanic"> {
  /** A host's weight at this moment, where hosts may differ; undefined: hosts take plain turns. */
  readonly weightOf: ((host: Host) => number) | undefined;
  /** Some weight is changing with time, so that even equal hosts differ. */
  readonly changing: boolean;
  /** Of the weight of a host's locality, the part that counts here, where it has so many hosts. */
  readonly localityScale: (host: Host, count: number) => number;
  readonly hashes: boolean;
  /** Where a new cursor stands, below the number of hosts. */
  readonly startAt: (count: number) => number;
  /** Cursors of the picture before; those that are still in use are found in `cursors` afterwards. */
  readonly before: ReadonlyMap<string, { next: number }>;
  readonly cursors: Map<string, { next: number }>;
}

const DEFAULT_OVERPROVISIONING = 140;

/** `excluded`: priorities that are passed over; undefined where the others have nothing. */
export function makeChoice(hosts: readonly Host[], options: ChoiceOptions): Choice;
export function makeChoice(
  hosts: readonly Host[],
  options: ChoiceOptions,
  excluded: ReadonlySet<number>,
): Choice | undefined;
export function makeChoice(
  hosts: readonly Host[],
  options: ChoiceOptions,
  excluded?: ReadonlySet<number>,
): Choice | undefined {
  const levels = byPriority(hosts);
  const policy = hosts[0]?.endpoint.policy;
  const counts = levels.map((level) => countLevel(level, policy?.weightedPriorityHealth ?? false));
  const { panicPercent } = options;
  const overprovisioningPercent = policy?.overprovisioningPercent ?? DEFAULT_OVERPROVISIONING;
  const loads =
    excluded === undefined
      ? priorityLoads(counts, { panicPercent, overprovisioningPercent })
      : loadsWithout(excluded, counts, overprovisioningPercent);
  if (loads === undefined) return undefined;
  const turns: Turn[] = [];
  let upTo = 0;
  const add = (index: number, load: number, health: "healthy" | "degraded") => {
    const level = levels[index];
    if (load === 0 || level === undefined) return;
    upTo += load;
    const panic = loads.panic[index] ?? false;
    turns.push({ upTo, source: makeSource(level, { health, panic, name: `${index} ${health}` }, options) });
  };
  for (const [index, load] of loads.healthy.entries()) add(index, load, "healthy");
  for (const [index, load] of loads.degraded.entries()) add(index, load, "degraded");
  return { turns };
}

/** Every number from 0 on has its place, so that a gap is an empty priority. */
function byPriority(hosts: readonly Host[]): readonly (readonly Host[])[] {
  const levels: Host[][] = [];
  for (const host of hosts) {
    while (levels.length <= host.endpoint.priority) levels.push([]);
    levels[host.endpoint.priority]?.push(host);
  }
  return levels;
}

function countLevel(hosts: readonly Host[], weighted: boolean): LevelCounts {
  const one = { total: 0, healthy: 0, degraded: 0 };
  const weights = { total: 0, healthy: 0, degraded: 0 };
  for (const host of hosts) {
    if (host.excluded) continue;
    one.total += 1;
    weights.total += host.endpoint.weight;
    const { health } = host;
    if (health === "unhealthy") continue;
    one[health] += 1;
    weights[health] += host.endpoint.weight;
  }
  return { ...one, measure: weighted ? weights : one };
}

function makeSource(
  level: readonly Host[],
  which: { readonly health: "healthy" | "degraded"; readonly panic: boolean; readonly name: string },
  options: ChoiceOptions,
): Source {
  const fails = which.panic && options.failOnPanic;
  const eligible = fails ? [] : which.panic ? level : level.filter((host) => host.health === which.health);
  const table = { pick: undefined };
  if (options.localityWeighted && !which.panic) {
    const localities = byLocality(level, eligible, { name: which.name, options });
    if (localities.groups.length > 0) return { panic: false, ...localities, table };
  }
  const weighted = options.hashes ? eligible.map((host) => ({ host, weight: host.endpoint.weight })) : [];
  const groups = [makeGroup(eligible, 1, which.name, options)];
  return { panic: which.panic, groups, localities: undefined, weighted, table };
}

/** A locality's weight shrinks as its hosts fail, once more of them do than were provided in excess. */
function byLocality(
  level: readonly Host[],
  eligible: readonly Host[],
  about: { readonly name: string; readonly options: ChoiceOptions },
): Pick<Source, "groups" | "localities" | "weighted"> {
  const { name, options } = about;
  const all = groupBy(level);
  const groups: Group[] = [];
  const weighted: { host: Host; weight: number }[] = [];
  for (const [locality, hosts] of groupBy(eligible)) {
    const [first] = hosts;
    const counted = (all.get(locality) ?? []).filter((host) => !host.excluded);
    if (first === undefined || counted.length === 0) continue;
    const own = first.endpoint.localityWeight * options.localityScale(first, all.get(locality)?.length ?? 0);
    const over = first.endpoint.policy.overprovisioningPercent / 100;
    const weight = own * Math.min(1, (over * hosts.length) / counted.length);
    if (weight <= 0) continue;
    groups.push(makeGroup(hosts, weight, `${name} ${locality}`, options));
    if (!options.hashes) continue;
    const sum = hosts.reduce((total, host) => total + host.endpoint.weight, 0);
    // Envoy's tables take the locality's own weight: shrinking it would move keys.
    for (const host of hosts) weighted.push({ host, weight: (own * host.endpoint.weight) / sum });
  }
  const localities =
    groups.length > 1 ? new EdfScheduler(groups, (group) => group.weight, options.startAt(groups.length)) : undefined;
  return { groups, localities, weighted };
}

function groupBy(hosts: readonly Host[]): ReadonlyMap<string, readonly Host[]> {
  const groups = new Map<string, Host[]>();
  for (const host of hosts) {
    const { region, zone, subZone } = host.endpoint.locality;
    const key = `${region}/${zone}/${subZone}`;
    const list = groups.get(key);
    if (list === undefined) groups.set(key, [host]);
    else list.push(host);
  }
  return groups;
}

function makeGroup(hosts: readonly Host[], weight: number, name: string, options: ChoiceOptions): Group {
  const cursor = options.before.get(name) ?? { next: options.startAt(Math.max(1, hosts.length)) };
  options.cursors.set(name, cursor);
  const first = hosts[0]?.endpoint.weight;
  const equal = !options.changing && hosts.every((host) => host.endpoint.weight === first);
  const turns =
    equal || hosts.length < 2 || options.weightOf === undefined
      ? undefined
      : new EdfScheduler(hosts, options.weightOf, cursor.next % hosts.length);
  return { hosts, weight, cursor, turns };
}
