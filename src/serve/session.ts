// One proxy's side of the conversation: what it asked for, what it was sent, and what may be sent next.
// Make before break: clusters, then their endpoints, then listeners and routes; clusters go when no route is left.
// Secrets go whenever they may, since what waits for them is not served before; names are told when listeners take them.

import type { Clock, Timer } from "../base/clock.ts";
import { ASK_WAIT_MS, REFUSAL_LENGTH_MAX } from "./limits.ts";
import {
  type EncodedConfiguration,
  type EncodedResource,
  perType,
  type ResourceMap,
  type ResourceType,
  TYPES,
} from "./resource.ts";
import { between, type Difference, isNothing, NOTHING, type ResourceList, upsertsOf } from "./resource-list.ts";
import { stateVersion } from "./state-version.ts";
import { Subscription, type SubscriptionChange } from "./subscription.ts";
import { isTakenApart } from "./virtual-hosts.ts";

export interface Batch extends Difference {
  readonly type: ResourceType;
  /** Where the proxy is told the state of the world: of this type, once the batch arrived. */
  readonly state: () => StateOfType;
}

export interface StateOfType {
  readonly version: string;
  /** Undefined where only what changed need be told. */
  readonly all: readonly EncodedResource[] | undefined;
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
  readonly subscription: Subscription;
  nonce: string | undefined;
  lastSent: string;
  lastAcked: string;
  /** What the answer that is awaited will be about. */
  awaited: Difference;
  /** By name; until the proxy takes another version, or none is wanted any more. */
  readonly refused: Map<string, Refusal>;
}

/** What leads to clusters. */
const LEADING = ["listener", "route", "virtualHost", "extension"] as const;
const ROUTING = ["route", "virtualHost", "extension"] as const;

export class Session {
  readonly #clock: Clock;
  readonly #events: SessionEvents;
  readonly #types: Readonly<Record<ResourceType, TypeState>> = perType(newState);
  #target: EncodedConfiguration | undefined;
  #waitTimer: Timer | undefined;
  #waiting = false;
  #waitOver = false;
  /** The endpoints of which the proxy asked for every one. */
  #allAsked: ResourceList | undefined;
  #settled = -1;
  /** The state of the routes' names that virtual hosts follow. */
  #followed: number | undefined;
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

  subscribe(type: ResourceType, change: SubscriptionChange): void {
    this.#allAsked = undefined;
    this.#types[type].subscription.change(change, this.#target?.resources[type]);
    this.pump();
  }

  /** For the state of the world: exactly these names from now on. `state` is the version of what the proxy already has. */
  setNames(type: ResourceType, names: readonly string[], state = ""): void {
    const { subscription } = this.#types[type];
    const wanted = new Set(names);
    const had = new Set(subscription.names());
    const subscribe = names.filter((name) => !had.has(name));
    const unsubscribe = [...had].filter((name) => !wanted.has(name));
    if (subscription.started && subscribe.length === 0 && unsubscribe.length === 0) return;
    this.subscribe(type, { subscribe, unsubscribe, state });
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
    this.#answered(state);
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
    const refused = blamed(state.awaited.changed, message).map((resource) => ({ type, resource, message }));
    this.#answered(state);
    for (const each of refused) state.refused.set(each.resource.name, each);
    this.#events.onRefused(type, message, refused);
    this.pump();
  }

  /** Nothing was expected, or something else. The nonce of the last answer comes again with each change of the names. */
  #expired(type: ResourceType, nonce: string): void {
    if (nonce !== this.#types[type].lastSent) this.#events.onExpired?.(type);
  }

  #answered(state: TypeState): void {
    if (state.refused.size > 0) for (const { name } of state.awaited.changed) state.refused.delete(name);
    state.awaited = NOTHING;
  }

  refusals(): readonly Refusal[] {
    return TYPES.flatMap((type) => [...this.#types[type].refused.values()]);
  }

  status(type: ResourceType): TypeStatus {
    const { subscription, nonce, refused, lastSent, lastAcked } = this.#types[type];
    const [refusal] = refused.values();
    const nonces = { sentNonce: lastSent, ackedNonce: lastAcked };
    const base = { sent: subscription.size, refusal: refusal?.message, ...nonces };
    if (!subscription.started || (base.sent === 0 && nonce === undefined)) return { ...base, state: "NOT SENT" };
    if (refusal !== undefined) return { ...base, state: "ERROR" };
    const isDue = this.#target !== undefined && !this.#isQuiet(type, this.#target);
    return { ...base, state: isDue || nonce !== undefined ? "STALE" : "SYNCED" };
  }

  /** What the proxy has been sent and not told to remove. */
  sent(type: ResourceType): ResourceMap {
    return new Map([...this.#types[type].subscription.held()].map((resource) => [resource.name, resource]));
  }

  /** The names that it asked for; `*` is all. */
  watched(type: ResourceType): readonly string[] {
    const { subscription } = this.#types[type];
    return [...(subscription.wildcard ? ["*"] : []), ...subscription.names()];
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
    // A version of endpoints says of which cluster they are: none goes before its cluster.
    if (!this.#isDue("cluster", target, "upserts")) this.#send("endpoint", target, "all");
    this.#send("secret", target, "all");
    if (this.#clustersReady(target)) {
      this.#send("listener", target, "upserts");
      if (this.#isQuiet("listener", target, "upserts")) this.#sendRouting(target);
      if (this.#isQuiet("listener", target)) this.#send("nameTable", target, "all");
      if (this.#leadsNowhereOld(target) && this.#saidWhatLeads(target)) this.#send("cluster", target, "all");
    }
    if (!this.#waiting) this.#stopWaiting();
    this.#settle(target);
  }

  /**
   * Where a call moves from one listener to another, the other has its routes before the first one goes, or changes its
   * own: until the proxy asks for new ones, the listener that they are for doesn't serve.
   */
  #sendRouting(target: EncodedConfiguration): void {
    if (!this.#asksForRoutes(target) && !this.#waitOver && this.#replacesRouting(target)) {
      this.#wait();
      return;
    }
    this.#send("route", target, "all");
    this.#followRoutes(target);
    this.#send("virtualHost", target, "all");
    this.#send("extension", target, "all");
    if (!ROUTING.every((type) => this.#isQuiet(type, target)) || this.#isQuiet("listener", target)) return;
    if (this.#asksForRoutes(target) || this.#waitOver) this.#send("listener", target, "all");
    else this.#wait();
  }

  #asksForRoutes({ resources }: EncodedConfiguration): boolean {
    const { subscription } = this.#types.route;
    for (const { name } of resources.route.values()) if (!subscription.wants(name)) return false;
    return true;
  }

  #replacesRouting({ resources }: EncodedConfiguration): boolean {
    return ROUTING.some((type) => {
      const { subscription } = this.#types[type];
      return subscription.started && subscription.replaces(subscription.due(resources[type]));
    });
  }

  /** A virtual host is of use to a proxy that has its route configuration. */
  #followRoutes(target: EncodedConfiguration): void {
    const { route, virtualHost } = this.#types;
    const { changes } = route.subscription;
    if (!virtualHost.subscription.started || changes === this.#followed || !this.#isQuiet("route", target)) return;
    this.#followed = changes;
    virtualHost.subscription.follow([...route.subscription.names()].filter(isTakenApart));
  }

  /** Nothing of the proxy's can still lead to a cluster that is gone; one that it refused, it runs as it was. */
  #leadsNowhereOld(target: EncodedConfiguration): boolean {
    return LEADING.every((type) => this.#isQuiet(type, target) && this.#types[type].refused.size === 0);
  }

  /** A proxy that comes back asks for one type after the other: what it has not asked for yet may lead to old clusters. */
  #saidWhatLeads(target: EncodedConfiguration): boolean {
    const { listener, route } = this.#types;
    const hasRoutes = target.resources.route.size > 0;
    const said = listener.subscription.started && (route.subscription.started || !hasRoutes);
    if (said || this.#waitOver || !this.#isDue("cluster", target, "all")) return true;
    this.#wait();
    return false;
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
    if (!cluster.subscription.started || !listener.subscription.started) return;
    if (!TYPES.every((type) => this.#isQuiet(type, target))) return;
    this.#settled = target.sequence;
    this.#events.onSettled(target.sequence);
  }

  /** Every cluster that routes may name is there with its endpoints, or the proxy has been given time to ask. */
  #clustersReady(target: EncodedConfiguration): boolean {
    const { cluster, endpoint } = this.#types;
    const clusters = cluster.subscription;
    if (clusters.started && (cluster.nonce !== undefined || this.#isDue("cluster", target, "upserts"))) return false;
    if (endpoint.nonce !== undefined) return false;
    if (!clusters.started || this.#waitOver || endpoint.subscription.wildcard) return true;
    if (this.#asksForAll(target.resources.endpoint)) return true;
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

  #asksForAll(endpoints: ResourceList): boolean {
    const { cluster, endpoint } = this.#types;
    const before = this.#allAsked;
    if (before === endpoints) return true;
    const unsure = before === undefined ? endpoints.values() : between(before, endpoints).changed;
    for (const { name } of unsure) if (!endpoint.subscription.wants(name) && !cluster.refused.has(name)) return false;
    this.#allAsked = endpoints;
    return true;
  }

  #isQuiet(type: ResourceType, target: EncodedConfiguration, part: "upserts" | "all" = "all"): boolean {
    return this.#types[type].nonce === undefined && !this.#isDue(type, target, part);
  }

  #isDue(type: ResourceType, target: EncodedConfiguration, part: "upserts" | "all"): boolean {
    const { subscription } = this.#types[type];
    if (!subscription.started) return false;
    const difference = subscription.due(target.resources[type]);
    return !isNothing(part === "all" ? difference : upsertsOf(difference));
  }

  #send(type: ResourceType, target: EncodedConfiguration, part: "upserts" | "all"): void {
    const state = this.#types[type];
    const { subscription } = state;
    if (!subscription.started || state.nonce !== undefined) return;
    const wanted = target.resources[type];
    const due = subscription.due(wanted);
    const going = part === "all" ? due : upsertsOf(due);
    if (isNothing(going) && !subscription.owed) return;
    const sending = { due, going, sequence: target.sequence };
    const nonce = this.#events.send({ ...going, type, state: () => stateAfter(subscription, wanted, sending) });
    if (nonce === undefined) return;
    state.nonce = nonce;
    state.lastSent = nonce;
    state.awaited = going;
    subscription.sent(wanted, due, part);
    // A proxy that takes a changed cluster waits for its endpoints anew, but need not ask: it never stopped wanting them.
    if (type === "cluster") this.#types.endpoint.subscription.again(going.changed);
  }
}

interface Sending {
  readonly sequence: number;
  readonly due: Difference;
  readonly going: Difference;
}

function stateAfter(subscription: Subscription, wanted: ResourceList, { due, going, sequence }: Sending): StateOfType {
  if (!subscription.wildcard && due === going) return { version: String(sequence), all: undefined };
  const version = stateVersion(wanted);
  if (due === going) return { version, all: [...wanted.values()] };
  const staying = new Set(due.removed);
  const old = [...subscription.held()].filter(({ name }) => staying.has(name));
  return { version: `${version}+${old.length}`, all: [...wanted.values(), ...old] };
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

function newState(type: ResourceType): TypeState {
  return {
    subscription: new Subscription(type),
    nonce: undefined,
    lastSent: "",
    lastAcked: "",
    awaited: NOTHING,
    refused: new Map(),
  };
}
