// One proxy's side of the conversation: what it asked for, what it was sent, and what may be sent next.
// Make before break: clusters, then their endpoints, then listeners and routes; clusters go when no route is left.

import type { Clock, Timer } from "../base/clock.ts";
import { ENDPOINT_WAIT_MS, NAMES_MAX, REFUSAL_LENGTH_MAX } from "./limits.ts";
import { type EncodedConfiguration, type EncodedResource, type ResourceType, TYPES } from "./resource.ts";

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

export interface SessionEvents {
  /** Sends and returns the nonce that the answer will carry; undefined when the stream can't take it now. */
  readonly send: (batch: Batch) => string | undefined;
  /** Called when the proxy runs everything of a configuration, or refused a part of it. */
  readonly onSettled: (sequence: number) => void;
  readonly onRefused: (type: ResourceType, message: string) => void;
}

export interface TypeStatus {
  readonly sent: number;
  readonly state: "SYNCED" | "STALE" | "NOT SENT" | "ERROR";
  readonly refusal: string | undefined;
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
  nonce: string | undefined;
  refusal: string | undefined;
}

export class Session {
  readonly #clock: Clock;
  readonly #events: SessionEvents;
  readonly #types: Record<ResourceType, TypeState>;
  #target: EncodedConfiguration | undefined;
  #endpointTimer: Timer | undefined;
  #endpointWaitOver = false;
  #settled = -1;
  #closed = false;

  constructor(clock: Clock, events: SessionEvents) {
    this.#clock = clock;
    this.#events = events;
    this.#types = { cluster: newState(), endpoint: newState(), listener: newState(), route: newState() };
  }

  get settledSequence(): number {
    return this.#settled;
  }

  get configuration(): EncodedConfiguration | undefined {
    return this.#target;
  }

  setTarget(target: EncodedConfiguration): void {
    this.#target = target;
    this.#endpointWaitOver = false;
    this.pump();
  }

  subscribe(type: ResourceType, change: Subscription): void {
    const state = this.#types[type];
    const first = !state.subscribed;
    state.subscribed = true;
    if (first && change.subscribe.length === 0 && (type === "cluster" || type === "listener")) state.wildcard = true;
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
    if (first) state.known = new Map(Object.entries(change.known));
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
    if (state.nonce !== nonce) return;
    state.nonce = undefined;
    state.refusal = undefined;
    this.pump();
  }

  refuse(type: ResourceType, nonce: string, message: string): void {
    const state = this.#types[type];
    if (state.nonce !== nonce) return;
    state.nonce = undefined;
    state.refusal = message.slice(0, REFUSAL_LENGTH_MAX);
    this.#events.onRefused(type, state.refusal);
    this.pump();
  }

  refusals(): readonly { readonly type: ResourceType; readonly message: string }[] {
    return TYPES.flatMap((type) => {
      const message = this.#types[type].refusal;
      return message === undefined ? [] : [{ type, message }];
    });
  }

  status(type: ResourceType): TypeStatus {
    const state = this.#types[type];
    const base = { sent: state.sent.size, refusal: state.refusal };
    if (!state.subscribed || (state.sent.size === 0 && state.nonce === undefined))
      return { ...base, state: "NOT SENT" };
    if (state.refusal !== undefined) return { ...base, state: "ERROR" };
    return { ...base, state: state.nonce === undefined ? "SYNCED" : "STALE" };
  }

  close(): void {
    this.#closed = true;
    this.#endpointTimer?.cancel();
  }

  /** Sends all that may be sent now; called again after each answer. */
  pump(): void {
    const target = this.#target;
    if (target === undefined || this.#closed) return;
    this.#send("cluster", target, "upserts");
    this.#send("endpoint", target, "all");
    if (this.#clustersReady(target)) {
      this.#send("listener", target, "all");
      this.#send("route", target, "all");
      if (this.#isQuiet("listener", target) && this.#isQuiet("route", target)) this.#send("cluster", target, "all");
    }
    this.#settle(target);
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
    if (!cluster.subscribed || this.#endpointWaitOver || endpoint.wildcard) return true;
    const unasked = [...target.resources.endpoint.keys()].some((name) => !endpoint.names.has(name));
    if (!unasked) return true;
    this.#endpointTimer ??= this.#clock.after(ENDPOINT_WAIT_MS, () => {
      this.#endpointTimer = undefined;
      this.#endpointWaitOver = true;
      this.pump();
    });
    return false;
  }

  #isQuiet(type: ResourceType, target: EncodedConfiguration): boolean {
    const state = this.#types[type];
    if (state.nonce !== undefined) return false;
    if (!state.subscribed) return true;
    const { changed, removed } = diff(state, target, type);
    return changed.length === 0 && removed.length === 0;
  }

  #send(type: ResourceType, target: EncodedConfiguration, part: "upserts" | "all"): void {
    const state = this.#types[type];
    if (!state.subscribed || state.nonce !== undefined) return;
    const { changed, removed } = diff(state, target, type);
    const going = part === "all" ? removed : [];
    if (changed.length === 0 && going.length === 0) return;
    const all = new Map(state.sent);
    for (const resource of changed) all.set(resource.name, resource);
    for (const name of going) all.delete(name);
    const nonce = this.#events.send({ type, changed, removed: going, all: [...all.values()] });
    if (nonce === undefined) return;
    state.nonce = nonce;
    state.sent = all;
    for (const { name } of changed) state.asked.delete(name);
    for (const name of going) {
      state.asked.delete(name);
      state.known.delete(name);
    }
  }
}

function newState(): TypeState {
  return {
    subscribed: false,
    wildcard: false,
    names: new Set(),
    sent: new Map(),
    known: new Map(),
    asked: new Set(),
    nonce: undefined,
    refusal: undefined,
  };
}

interface Difference {
  readonly changed: readonly EncodedResource[];
  readonly removed: readonly string[];
}

/** Between what the proxy has and what it should have of the names that it asked for. */
function diff(state: TypeState, target: EncodedConfiguration, type: ResourceType): Difference {
  const wanted = target.resources[type];
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
