// One proxy's side of the conversation: what it asked for, what it was sent, and what may be sent next.
// Make before break: clusters, then their endpoints, then listeners and routes; clusters go when no route is left.
// Secrets go whenever they may, since what waits for them is not served before; names are told when listeners take them.

import type { Clock, Timer } from "../base/clock.ts";
import { ASK_WAIT_MS, NAMES_MAX, REFUSAL_LENGTH_MAX } from "./limits.ts";
import {
  type EncodedConfiguration,
  type EncodedResource,
  type EncodedResources,
  perType,
  type ResourceType,
  TYPES,
  WILDCARDS,
} from "./resource.ts";

export interface Batch {
  readonly type: ResourceType;
  readonly changed: readonly EncodedResource[];
  readonly removed: readonly string[];
  /** Everything that the proxy has of the type once this arrived: what the state of the world lists. */
  readonly all: readonly EncodedResource[];
}

export interface Subscription {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Versions that a reconnecting proxy already has. */
  readonly known: Readonly<Record<string, string>>;
}

/** What a proxy would not take, and still runs without. */
export interface Refusal {
  readonly type: ResourceType;
  readonly resource: EncodedResource;
  readonly message: string;
}

export interface SessionEvents {
  /** Sends and returns the nonce that the answer will carry; undefined when the stream can't take it now. */
  readonly send: (batch: Batch) => string | undefined;
  /** Called when the proxy runs everything of a configuration, or refused a part of it. */
  readonly onSettled: (sequence: number) => void;
  readonly onRefused: (type: ResourceType, message: string, refused: readonly Refusal[]) => void;
  readonly onExpired?: (type: ResourceType) => void;
}

export interface TypeStatus {
  readonly sent: number;
  readonly state: "SYNCED" | "STALE" | "NOT SENT" | "ERROR";
  readonly refusal: string | undefined;
  /** Of the last answer that was sent, and of the last that was acknowledged. */
  readonly sentNonce: string;
  readonly ackedNonce: string;
}

interface TypeState {
  subscribed: boolean;
  wildcard: boolean;
  names: Set<string>;
  sent: Map<string, EncodedResource>;
  /** Versions of a former stream, until the first difference is made. */
  known: Map<string, string>;
  /** Names to send again although their version is known: the proxy asked anew. */
  asked: Set<string>;
  /** It asked for all of the type and waits for an answer, also where there is nothing. */
  owed: boolean;
  /** The resources that the proxy has all it asked for of: only what differs from them is looked at. */
  current: EncodedResources | undefined;
  nonce: string | undefined;
  lastSent: string;
  lastAcked: string;
  /** What the answer that is awaited will be about. */
  awaited: readonly EncodedResource[];
  /** By name; until the proxy takes another version, or none is wanted any more. */
  refused: Map<string, Refusal>;
}

/** What leads to clusters. */
const LEADING = ["listener", "route", "extension"] as const;
const ROUTING = ["route", "extension"] as const;

export class Session {
  readonly #clock: Clock;
  readonly #events: SessionEvents;
  readonly #types: Readonly<Record<ResourceType, TypeState>> = perType(newState);
  #target: EncodedConfiguration | undefined;
  #waitTimer: Timer | undefined;
  #waiting = false;
  #waitOver = false;
  /** The endpoints of which the proxy asked for every one. */
  #allAsked: EncodedResources | undefined;
  #settled = -1;
  #closed = false;

  constructor(clock: Clock, events: SessionEvents) {
    this.#clock = clock;
    this.#events = events;
  }

  get settledSequence(): number {
    return this.#settled;
  }

  get configuration(): EncodedConfiguration | undefined {
    return this.#target;
  }

  setTarget(target: EncodedConfiguration): void {
    this.#target = target;
    this.#waitOver = false;
    this.pump();
  }

  subscribe(type: ResourceType, change: Subscription): void {
    const state = this.#types[type];
    const first = !state.subscribed;
    state.current = undefined;
    this.#allAsked = undefined;
    state.subscribed = true;
    if (first && change.subscribe.length === 0 && WILDCARDS[type]) state.wildcard = true;
    for (const name of change.subscribe) {
      if (name === "*") state.wildcard = true;
      else if (state.names.size < NAMES_MAX) {
        state.names.add(name);
        if (change.known[name] === undefined) state.asked.add(name);
      }
    }
    for (const name of change.unsubscribe) {
      state.names.delete(name);
      state.asked.delete(name);
      if (name === "*") state.wildcard = false;
      if (!state.wildcard) state.sent.delete(name);
    }
    if (first) {
      state.known = new Map(Object.entries(change.known));
      state.owed = state.wildcard && (type === "cluster" || type === "listener");
    }
    this.pump();
  }

  /** For the state of the world: exactly these names from now on. */
  setNames(type: ResourceType, names: readonly string[]): void {
    const state = this.#types[type];
    const wanted = new Set(names);
    const subscribe = names.filter((name) => !state.names.has(name));
    const unsubscribe = [...state.names].filter((name) => !wanted.has(name));
    if (state.subscribed && subscribe.length === 0 && unsubscribe.length === 0) return;
    this.subscribe(type, { subscribe, unsubscribe, known: {} });
  }

  isAwaiting(type: ResourceType, nonce: string): boolean {
    return this.#types[type].nonce === nonce;
  }

  acknowledge(type: ResourceType, nonce: string): void {
    const state = this.#types[type];
    if (state.nonce !== nonce) {
      this.#expired(type, nonce);
      return;
    }
    state.nonce = undefined;
    state.lastAcked = nonce;
    for (const { name } of state.awaited) state.refused.delete(name);
    this.pump();
  }

  refuse(type: ResourceType, nonce: string, text: string): void {
    const state = this.#types[type];
    if (state.nonce !== nonce) {
      this.#expired(type, nonce);
      return;
    }
    state.nonce = undefined;
    const message = text.slice(0, REFUSAL_LENGTH_MAX);
    const refused = blamed(state.awaited, message).map((resource) => ({ type, resource, message }));
    for (const { name } of state.awaited) state.refused.delete(name);
    for (const each of refused) state.refused.set(each.resource.name, each);
    this.#events.onRefused(type, message, refused);
    this.pump();
  }

  /** Nothing was expected, or something else. The nonce of the last answer comes again with each change of the names. */
  #expired(type: ResourceType, nonce: string): void {
    if (nonce !== this.#types[type].lastSent) this.#events.onExpired?.(type);
  }

  refusals(): readonly Refusal[] {
    return TYPES.flatMap((type) => [...this.#types[type].refused.values()]);
  }

  status(type: ResourceType): TypeStatus {
    const state = this.#types[type];
    const [refusal] = state.refused.values();
    const nonces = { sentNonce: state.lastSent, ackedNonce: state.lastAcked };
    const base = { sent: state.sent.size, refusal: refusal?.message, ...nonces };
    if (!state.subscribed || (state.sent.size === 0 && state.nonce === undefined))
      return { ...base, state: "NOT SENT" };
    if (refusal !== undefined) return { ...base, state: "ERROR" };
    const isDue = this.#target !== undefined && !this.#isQuiet(type, this.#target);
    return { ...base, state: isDue || state.nonce !== undefined ? "STALE" : "SYNCED" };
  }

  /** What the proxy has been sent and not told to remove. */
  sent(type: ResourceType): EncodedResources {
    return this.#types[type].sent;
  }

  /** The names that it asked for; `*` is all. */
  watched(type: ResourceType): readonly string[] {
    const { wildcard, names } = this.#types[type];
    return wildcard ? ["*", ...names] : [...names];
  }

  close(): void {
    this.#closed = true;
    this.#stopWaiting();
  }

  /** Sends all that may be sent now; called again after each answer. */
  pump(): void {
    const target = this.#target;
    if (target === undefined || this.#closed) return;
    this.#forgetRefusals(target);
    this.#waiting = false;
    this.#send("cluster", target, "upserts");
    this.#send("endpoint", target, "all");
    this.#send("secret", target, "all");
    if (this.#clustersReady(target)) {
      this.#send("listener", target, "upserts");
      if (this.#isQuiet("listener", target, "upserts")) this.#sendRouting(target);
      if (this.#isQuiet("listener", target)) this.#send("nameTable", target, "all");
      if (this.#leadsNowhereOld(target)) this.#send("cluster", target, "all");
    }
    if (!this.#waiting) this.#stopWaiting();
    this.#settle(target);
  }

  /** Where a call moves from one listener to another, the other has its routes before the first one goes. */
  #sendRouting(target: EncodedConfiguration): void {
    for (const type of ROUTING) this.#send(type, target, "all");
    if (!ROUTING.every((type) => this.#isQuiet(type, target)) || this.#isQuiet("listener", target)) return;
    const { route } = this.#types;
    const asked = route.wildcard || [...target.resources.route.keys()].every((name) => route.names.has(name));
    if (asked || this.#waitOver) this.#send("listener", target, "all");
    else this.#wait();
  }

  /** Nothing of the proxy's can still lead to a cluster that is gone; one that it refused, it runs as it was. */
  #leadsNowhereOld(target: EncodedConfiguration): boolean {
    return LEADING.every((type) => this.#isQuiet(type, target) && this.#types[type].refused.size === 0);
  }

  /** What is no longer wanted can't be in the way. */
  #forgetRefusals(target: EncodedConfiguration): void {
    for (const type of TYPES) {
      const { refused } = this.#types[type];
      for (const name of refused.keys()) if (!target.resources[type].has(name)) refused.delete(name);
    }
  }

  #settle(target: EncodedConfiguration): void {
    if (this.#settled === target.sequence) return;
    const { cluster, listener } = this.#types;
    if (!cluster.subscribed || !listener.subscribed) return;
    if (!TYPES.every((type) => this.#isQuiet(type, target))) return;
    this.#settled = target.sequence;
    this.#events.onSettled(target.sequence);
  }

  /** Every cluster that routes may name is there with its endpoints, or the proxy has been given time to ask. */
  #clustersReady(target: EncodedConfiguration): boolean {
    const { cluster, endpoint } = this.#types;
    if (cluster.subscribed && (cluster.nonce !== undefined || diff(cluster, target, "cluster").changed.length > 0))
      return false;
    if (endpoint.nonce !== undefined) return false;
    if (!cluster.subscribed || this.#waitOver || endpoint.wildcard) return true;
    if (this.#allAsked === target.resources.endpoint) return true;
    const unasked = [...target.resources.endpoint.keys()].some(
      (name) => !endpoint.names.has(name) && !cluster.refused.has(name),
    );
    if (!unasked) {
      this.#allAsked = target.resources.endpoint;
      return true;
    }
    this.#wait();
    return false;
  }

  #wait(): void {
    this.#waiting = true;
    this.#waitTimer ??= this.#clock.after(ASK_WAIT_MS, () => {
      this.#waitTimer = undefined;
      this.#waitOver = true;
      this.pump();
    });
  }

  #stopWaiting(): void {
    this.#waitTimer?.cancel();
    this.#waitTimer = undefined;
  }

  #isQuiet(type: ResourceType, target: EncodedConfiguration, part: "upserts" | "all" = "all"): boolean {
    const state = this.#types[type];
    if (state.nonce !== undefined) return false;
    if (!state.subscribed) return true;
    const { changed, removed } = diff(state, target, type);
    return changed.length === 0 && (part === "upserts" || removed.length === 0);
  }

  /** A proxy that takes a changed cluster waits for its endpoints anew, but need not ask: it never stopped wanting them. */
  #endpointsAgain(changed: readonly EncodedResource[]): void {
    const { endpoint } = this.#types;
    for (const { name } of changed) {
      if (!endpoint.names.has(name)) continue;
      endpoint.asked.add(name);
      endpoint.current = undefined;
    }
  }

  #send(type: ResourceType, target: EncodedConfiguration, part: "upserts" | "all"): void {
    const state = this.#types[type];
    if (!state.subscribed || state.nonce !== undefined) return;
    const { changed, removed } = diff(state, target, type);
    const going = part === "all" ? removed : [];
    if (changed.length === 0 && going.length === 0 && !state.owed) return;
    const all = new Map(state.sent);
    for (const resource of changed) all.set(resource.name, resource);
    for (const name of going) all.delete(name);
    const nonce = this.#events.send({ type, changed, removed: going, all: [...all.values()] });
    if (nonce === undefined) return;
    state.nonce = nonce;
    state.lastSent = nonce;
    state.owed = false;
    state.awaited = changed;
    state.sent = all;
    state.current = part === "all" || removed.length === 0 ? target.resources[type] : undefined;
    if (type === "cluster") this.#endpointsAgain(changed);
    for (const { name } of changed) state.asked.delete(name);
    for (const name of going) {
      state.asked.delete(name);
      state.known.delete(name);
    }
  }
}

/** The resources that the message names; all that were sent where it names none of them. */
function blamed(sent: readonly EncodedResource[], message: string): readonly EncodedResource[] {
  const named = sent.filter(({ name }) => message.includes(name));
  // A name within another's is only meant where it stands by itself.
  const whole = named.filter(({ name }) => {
    const longer = named.filter((other) => other.name !== name && other.name.includes(name));
    return longer.reduce((text, other) => text.replaceAll(other.name, ""), message).includes(name);
  });
  return whole.length > 0 ? whole : sent;
}

function newState(): TypeState {
  return {
    subscribed: false,
    wildcard: false,
    names: new Set(),
    sent: new Map(),
    known: new Map(),
    asked: new Set(),
    owed: false,
    current: undefined,
    nonce: undefined,
    lastSent: "",
    lastAcked: "",
    awaited: [],
    refused: new Map(),
  };
}

interface Difference {
  readonly changed: readonly EncodedResource[];
  readonly removed: readonly string[];
}

const NOTHING: Difference = { changed: [], removed: [] };

/** Between what the proxy has and what it should have of the names that it asked for. */
function diff(state: TypeState, target: EncodedConfiguration, type: ResourceType): Difference {
  const wanted = target.resources[type];
  if (state.current === wanted) return NOTHING;
  const difference = state.current === undefined ? wholeDiff(state, wanted) : narrowDiff(state, state.current, wanted);
  if (difference.changed.length === 0 && difference.removed.length === 0) state.current = wanted;
  return difference;
}

/** The proxy has all of `current`, so only what differs from that can be due. */
function narrowDiff(state: TypeState, current: EncodedResources, wanted: EncodedResources): Difference {
  const changed: EncodedResource[] = [];
  const removed: string[] = [];
  for (const name of namesThatDiffer(current, wanted)) {
    const resource = wanted.get(name);
    if (resource === undefined) {
      if (state.wildcard && (state.sent.has(name) || state.known.has(name))) removed.push(name);
    } else if (state.wildcard || state.names.has(name)) {
      if (state.sent.get(name)?.version !== resource.version) changed.push(resource);
    }
  }
  return { changed, removed };
}

function wholeDiff(state: TypeState, wanted: EncodedResources): Difference {
  const changed: EncodedResource[] = [];
  const consider = (resource: EncodedResource): void => {
    const has = state.sent.get(resource.name)?.version ?? state.known.get(resource.name);
    if (has !== resource.version || state.asked.has(resource.name)) changed.push(resource);
    else if (!state.sent.has(resource.name)) state.sent.set(resource.name, resource);
  };
  if (state.wildcard) for (const resource of wanted.values()) consider(resource);
  else {
    for (const name of state.names) {
      const resource = wanted.get(name);
      if (resource !== undefined) consider(resource);
    }
  }
  const held = new Set([...state.sent.keys(), ...state.known.keys()]);
  // Endpoints and routes go with the cluster or listener that they belong to: the proxy stops asking for them.
  const removed = state.wildcard ? [...held].filter((name) => !wanted.has(name)) : [];
  // A name that leads nowhere is answered once, so that the proxy doesn't wait for it.
  for (const name of state.asked) if (!wanted.has(name) && !held.has(name)) removed.push(name);
  return { changed, removed };
}

/** The same for every proxy that goes from one to the other, so it is worked out once. */
const differences = new WeakMap<EncodedResources, WeakMap<EncodedResources, readonly string[]>>();

function namesThatDiffer(from: EncodedResources, to: EncodedResources): readonly string[] {
  const known = differences.get(from) ?? new WeakMap<EncodedResources, readonly string[]>();
  differences.set(from, known);
  const names = known.get(to) ?? compare(from, to);
  known.set(to, names);
  return names;
}

function compare(from: EncodedResources, to: EncodedResources): readonly string[] {
  const names: string[] = [];
  for (const [name, resource] of to) if (from.get(name)?.version !== resource.version) names.push(name);
  for (const name of from.keys()) if (!to.has(name)) names.push(name);
  return names;
}
