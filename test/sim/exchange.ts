// A control plane and its clients with all that lies between them: messages wait in order on each stream and are
// delivered one at a time, by chance, while the mesh is edited. After each, every call that all configurations since the
// last quiet moment allow must still be possible.

import { VirtualClock } from "../../src/base/clock.ts";
import type { Random } from "../../src/base/random.ts";
import type { EncodedConfiguration } from "../../src/serve/resource.ts";
import { type Batch, Session, type StateOfType } from "../../src/serve/session.ts";
import type { ProxyNode } from "../../src/translate/proxy.ts";
import type { Outcome, SimCall } from "./call.ts";
import { HELD_TYPES, type HeldType, HoldingClient, heldOf } from "./client.ts";
import type { Held } from "./held.ts";
import { simulate } from "./simulate.ts";

export interface ExchangeOptions {
  readonly proxy: ProxyNode;
  readonly variant: "delta" | "sotw";
  readonly random: Random;
  readonly calls: readonly SimCall[];
}

const ASK_WAIT_MS = 1_000;

const NOTHING: Held = { listener: new Map(), route: new Map(), cluster: new Map(), endpoint: new Map() };

interface Message {
  readonly batch: Batch;
  readonly nonce: string;
  /** Where it is told the state of the world. */
  readonly state: StateOfType | undefined;
}

/** One client's stream. */
export class Exchange {
  readonly proxy: ProxyNode;
  readonly variant: "delta" | "sotw";
  readonly problems: string[] = [];
  /** How often the server went on only because a second had passed. */
  waited = 0;
  readonly #options: ExchangeOptions;
  readonly #clock = new VirtualClock();
  readonly #client = new HoldingClient();
  #session: Session;
  #nonce = 0;
  #toClient: Message[] = [];
  /** Of the state of the world that it has. */
  readonly #stateVersions = new Map<HeldType, string>();
  #toServer: (() => void)[] = [];
  #asked = { endpoint: new Set<string>(), route: new Set<string>() };
  #target: EncodedConfiguration | undefined;
  /** What the proxy may run: the last that it ran wholly, and all since. */
  #since: Held[] = [NOTHING];
  #promised = true;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.proxy = options.proxy;
    this.variant = options.variant;
    this.#session = this.#connect();
  }

  get isQuiet(): boolean {
    return this.#toClient.length === 0 && this.#toServer.length === 0;
  }

  setTarget(target: EncodedConfiguration): void {
    this.#target = target;
    this.#since.push(heldOf(target));
    this.#session.setTarget(target);
  }

  /** One message of either direction. */
  step(): void {
    const both = this.#toClient.length > 0 && this.#toServer.length > 0;
    const down = both ? this.#options.random() < 0.5 : this.#toClient.length > 0;
    if (down) this.#deliver();
    else this.#toServer.shift()?.();
    this.#check();
  }

  /** Until nothing is under way; false where the proxy never gets all of it. */
  settle(): boolean {
    for (let waits = 0; waits < 3; waits++) {
      for (let steps = 0; !this.isQuiet; steps++) {
        if (steps > 10_000) throw new Error("the exchange never ends");
        this.step();
      }
      if (this.#session.settledSequence === this.#target?.sequence && this.#client.isWarm) {
        this.#since = this.#since.slice(-1);
        this.#promised = true;
        return true;
      }
      this.waited += 1;
      this.#clock.advance(ASK_WAIT_MS);
    }
    return false;
  }

  /** For a failure's message. */
  describe(): string {
    const states = HELD_TYPES.map((type) => `${type} ${this.#session.status(type).state}`);
    const warm = this.#client.isWarm ? [] : ["something still warms"];
    return [this.proxy.id, this.variant, ...states, ...warm, ...this.differences()].join(", ");
  }

  /** The stream breaks: what was on it is lost, what the client holds is not. */
  reconnect(): void {
    // The state of the world doesn't say what the proxy still uses, so nothing can be kept for it.
    if (this.variant === "sotw") this.#promised = false;
    this.#session.close();
    this.#toClient = [];
    this.#toServer = [];
    this.#session = this.#connect();
    if (this.#target !== undefined) this.#session.setTarget(this.#target);
  }

  /** Where what the client holds is not what it should. */
  differences(): readonly string[] {
    const wanted = this.#target?.resources;
    if (wanted === undefined) return [];
    return HELD_TYPES.flatMap((type) => {
      const versions = this.#client.versions[type];
      // Routes that no listener names are nobody's.
      const should =
        type === "route" ? this.#client.wanted("route") : [...wanted[type].values()].map(({ name }) => name);
      const names = new Set([...versions.keys(), ...should]);
      return [...names].flatMap((name) => {
        const [has, due] = [versions.get(name), wanted[type].get(name)?.version];
        return has === due ? [] : [`${type} ${name}: has ${has}, should have ${due}`];
      });
    });
  }

  #connect(): Session {
    const session: Session = new Session(this.#clock, {
      send: (batch) => {
        const nonce = String(++this.#nonce);
        this.#toClient.push({ batch, nonce, state: this.variant === "sotw" ? batch.state() : undefined });
        return nonce;
      },
      onSettled: () => undefined,
      onRefused: () => undefined,
    });
    const names = (type: HeldType): readonly string[] =>
      type === "endpoint" || type === "route" ? [...this.#client.wanted(type)] : [];
    this.#asked = { endpoint: new Set(names("endpoint")), route: new Set(names("route")) };
    for (const type of HELD_TYPES) {
      const subscribe = names(type);
      if ((type === "endpoint" || type === "route") && subscribe.length === 0) continue;
      const known = Object.fromEntries(this.#client.versions[type]);
      this.#toServer.push(() => {
        if (this.variant === "delta") session.subscribe(type, { subscribe, unsubscribe: [], known });
        else session.setNames(type, subscribe, this.#stateVersions.get(type) ?? "");
      });
    }
    return session;
  }

  #deliver(): void {
    const message = this.#toClient.shift();
    if (message === undefined) return;
    const { batch, nonce, state } = message;
    this.#client.receive(batch, state);
    const session = this.#session;
    const { type } = batch;
    const held = HELD_TYPES.find((each) => each === type);
    if (held !== undefined && state !== undefined) this.#stateVersions.set(held, state.version);
    const acknowledge = (): void => session.acknowledge(type, nonce);
    // Some ask for what follows from an answer before they acknowledge it.
    const asksFirst = this.#options.random() < 0.5;
    if (!asksFirst) this.#toServer.push(acknowledge);
    this.#ask(session);
    if (asksFirst) this.#toServer.push(acknowledge);
  }

  #ask(session: Session): void {
    for (const type of ["endpoint", "route"] as const) {
      const wanted = this.#client.wanted(type);
      const before = this.#asked[type];
      const subscribe = [...wanted].filter((name) => !before.has(name));
      const unsubscribe = [...before].filter((name) => !wanted.has(name));
      if (subscribe.length === 0 && unsubscribe.length === 0) continue;
      this.#asked[type] = new Set(wanted);
      const names = [...wanted];
      this.#toServer.push(() => {
        if (this.variant === "sotw") session.setNames(type, names, "");
        else session.subscribe(type, { subscribe, unsubscribe, known: {} });
      });
    }
    this.#client.forget();
  }

  #check(): void {
    if (this.#problemsFull() || !this.#promised) return;
    for (const call of this.#options.calls) {
      const before = this.#since.map((held) => outcomeOf(call, held));
      if (before.some(fails)) continue;
      // A port that comes or goes: without it the call leaves the mesh, where nobody promises anything.
      const past = before.filter(passesThrough).length;
      if (past > 0 && past < before.length) continue;
      const now = simulate(call, this.#client.held);
      const bypassed = past === 0 && passesThrough(now);
      if (!fails(now) && !bypassed) continue;
      if (this.#lostItsEndpoints(now)) continue;
      const text = bypassed ? "went past the mesh" : `failed: ${now.error}`;
      this.problems.push(
        `${this.proxy.id} ${this.variant}: ${JSON.stringify(call)} ${text}: ${JSON.stringify(now)}; allowed was ${JSON.stringify(before.map(shortly))}`,
      );
      if (this.#problemsFull()) return;
    }
  }

  /** Endpoints that are gone are taken away at once, whatever leads to them. */
  #lostItsEndpoints({ cluster, clusters, error }: Outcome): boolean {
    if (error?.startsWith("no endpoint") !== true) return false;
    const names = cluster === undefined ? Object.keys(clusters ?? {}) : [cluster];
    return this.#since.some(({ endpoint }) => names.some((name) => endpoint.get(name)?.endpoints.length === 0));
  }

  #problemsFull(): boolean {
    return this.problems.length >= 3;
  }
}

const outcomes = new WeakMap<Held, Map<SimCall, Outcome>>();

function outcomeOf(call: SimCall, held: Held): Outcome {
  const known = outcomes.get(held) ?? new Map<SimCall, Outcome>();
  outcomes.set(held, known);
  const outcome = known.get(call) ?? simulate(call, held);
  known.set(call, outcome);
  return outcome;
}

function fails({ error, status = 200 }: Outcome): boolean {
  return error !== undefined || status >= 500;
}

function passesThrough({ cluster }: Outcome): boolean {
  return cluster === "PassthroughCluster";
}

function shortly({ listener, virtualHost, cluster, clusters }: Outcome): unknown {
  return { listener, virtualHost, cluster, clusters };
}
