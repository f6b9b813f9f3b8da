// The listeners that are served: each warmed before it takes over, the replaced one drained.

import type { Socket } from "node:net";
import { ok, type Result } from "../../base/result.ts";
import type { ListenerConfig } from "../compile/listener.ts";
import { plainIp, type SocketTarget, targetText } from "../compile/value.ts";
import { originalDestination } from "../socket/original-dst.ts";
import type { SecretSource } from "../socket/secret.ts";
import { Acceptor } from "../stack/acceptor.ts";
import { Drain, type DrainLife } from "../stack/drain.ts";
import type { Core } from "../stack/runtime.ts";
import { type Listening, ListeningSocket } from "./listening.ts";

interface Running {
  config: ListenerConfig;
  acceptor: Acceptor;
  sockets: readonly ListeningSocket[];
  draining: boolean;
}

/** A listener, or a new version of one, that waits for what it refers to. */
export interface Warming {
  readonly config: ListenerConfig;
  readonly sinceMs: number;
  heldUpBy: string;
}

export interface ListenerEvents {
  onActive(name: string, missing: readonly string[]): void;
  onBindFailed(name: string, message: string): void;
}

export interface DrainRequest {
  /** Those of the listeners whose traffic comes from outside; where nothing is said of a listener, it may. */
  readonly inboundOnly: boolean;
  /** The process ends once nothing is active: connections without a request are ended. */
  readonly ending: boolean;
  readonly stopAccepting: "now" | "after" | "never";
}

export class Listeners {
  readonly #core: Core;
  readonly #secrets: SecretSource;
  readonly #events: ListenerEvents;
  readonly #life: DrainLife;
  readonly #listening: Listening;
  readonly #running = new Map<string, Running>();
  readonly #warming = new Map<string, Warming>();
  readonly #old = new Set<Acceptor>();
  readonly #sockets = new Map<string, ListeningSocket>();
  #stopped = false;
  /** Set while health checks are made to fail: every connection ends after its next answer. */
  #failing = false;

  constructor(
    core: Core,
    secrets: SecretSource,
    events: ListenerEvents & { readonly life: DrainLife; readonly listening: Listening },
  ) {
    this.#life = events.life;
    this.#listening = events.listening;
    this.#core = core;
    this.#secrets = secrets;
    this.#events = events;
  }

  /** Takes over when nothing holds it up; until then the version in force goes on. */
  set(config: ListenerConfig): void {
    this.#warming.set(config.name, { config, sinceMs: this.#core.clock.monotonicMs(), heldUpBy: "" });
  }

  remove(name: string): void {
    this.#warming.delete(name);
    const running = this.#running.get(name);
    if (running === undefined) return;
    this.#running.delete(name);
    this.#retire(running.acceptor);
    for (const socket of running.sockets) this.#release(socket);
  }

  /** Starts every warming listener whose references are there. */
  async startWarm(holdUp: (warming: Warming, acceptor: Acceptor) => string | undefined): Promise<void> {
    for (const [name, warming] of [...this.#warming]) {
      const { config } = warming;
      const acceptor = new Acceptor(config, this.#core, this.#secrets);
      const reason = holdUp(warming, acceptor);
      if (reason !== undefined) {
        warming.heldUpBy = reason;
        acceptor.close();
        continue;
      }
      this.#warming.delete(name);
      await this.#activate(config, acceptor);
    }
  }

  warming(): readonly ListenerConfig[] {
    return [...this.#warming.values()].map(({ config }) => config);
  }

  /** Each with why it doesn't serve yet. */
  heldUp(): readonly string[] {
    return [...this.#warming].map(([name, { heldUpBy }]) => `listener ${name}: ${heldUpBy}`);
  }

  active(): readonly { readonly config: ListenerConfig; readonly address: string; readonly draining: boolean }[] {
    return [...this.#running.values()].map((one) => ({
      config: one.config,
      address: one.sockets[0] === undefined ? addressOf(one.config) : boundAddress(one.sockets[0]),
      draining: one.draining,
    }));
  }

  has(name: string): boolean {
    return this.#running.has(name) || this.#warming.has(name);
  }

  boundPort(name: string): number {
    return this.#running.get(name)?.sockets[0]?.boundPort ?? 0;
  }

  drain(request: DrainRequest): void {
    for (const running of this.#running.values()) {
      if (request.inboundOnly && running.config.direction === "outbound") continue;
      running.draining = true;
      running.acceptor.drain(this.#drain(request.ending));
      const stop = () => {
        for (const socket of running.sockets) socket.close();
      };
      if (request.stopAccepting === "now") stop();
      else if (request.stopAccepting === "after") this.#core.clock.after(this.#life.ms, stop);
    }
  }

  /** As Envoy: while its health check fails, a server asks its clients to go. */
  fail(failing: boolean): void {
    this.#failing = failing;
    const drain = failing ? new Drain({ ms: 0, strategy: "immediate" }, this.#core, { closesIdle: false }) : undefined;
    for (const { acceptor, draining } of this.#running.values()) if (!draining) acceptor.drain(drain);
  }

  sweep(nowMs: number): void {
    for (const running of this.#running.values()) running.acceptor.sweep(nowMs);
    for (const acceptor of this.#old) {
      acceptor.sweep(nowMs);
      if (acceptor.activeConnections === 0) {
        this.#old.delete(acceptor);
        acceptor.close();
      }
    }
  }

  get activeConnections(): number {
    let count = 0;
    for (const running of this.#running.values()) count += running.acceptor.activeConnections;
    for (const acceptor of this.#old) count += acceptor.activeConnections;
    return count;
  }

  get drainingCount(): number {
    return this.#old.size;
  }

  /** What a process that ends waits for: the connections of what drains, and the requests of the rest. */
  get undrained(): number {
    let count = 0;
    for (const { acceptor, draining } of this.#running.values()) {
      count += draining ? acceptor.activeConnections : acceptor.busyConnections;
    }
    for (const acceptor of this.#old) count += acceptor.activeConnections;
    return count;
  }

  close(): void {
    this.#stopped = true;
    for (const socket of this.#sockets.values()) socket.close();
    for (const running of this.#running.values()) running.acceptor.closeAll();
    for (const acceptor of this.#old) acceptor.closeAll();
    this.#running.clear();
    this.#old.clear();
  }

  async #activate(config: ListenerConfig, acceptor: Acceptor): Promise<void> {
    const sockets: ListeningSocket[] = [];
    for (const target of this.#bindable(config)) {
      const bound = await this.#bind(config, target);
      if (this.#stopped) return;
      if (!bound.ok) {
        acceptor.close();
        this.#events.onBindFailed(config.name, bound.error);
        return;
      }
      sockets.push(bound.value);
    }
    const before = this.#running.get(config.name);
    for (const socket of sockets) socket.onSocket = (accepted) => this.#dispatch(acceptor, accepted);
    this.#running.set(config.name, { config, acceptor, sockets, draining: false });
    if (this.#failing) this.fail(true);
    if (before !== undefined) {
      this.#retire(before.acceptor);
      for (const socket of before.sockets) if (!sockets.includes(socket)) this.#release(socket);
    }
    this.#events.onActive(
      config.name,
      acceptor.contexts().flatMap((contexts) => (contexts.ready ? [] : contexts.missing)),
    );
  }

  #bindable(config: ListenerConfig): readonly SocketTarget[] {
    const { kind } = this.#listening;
    if (!config.bindToPort || kind === "none") return [];
    if (kind === "own" || this.#listening.first) return config.addresses;
    return config.addresses.filter((target) => target.kind === "tcp");
  }

  /** The socket that already serves the address, or a new one. */
  async #bind(config: ListenerConfig, target: SocketTarget): Promise<Result<ListeningSocket, string>> {
    const any = target.kind === "tcp" && target.port === 0;
    const known = any ? this.#socketOf(config.name) : this.#sockets.get(targetText(target));
    if (known !== undefined) return ok(known);
    const name = any ? `${targetText(target)} ${config.name}` : targetText(target);
    const handover = this.#listening.kind === "own" ? this.#listening.handover : undefined;
    const socket = new ListeningSocket(target, name, handover);
    const port = await this.#portFor(config.name, target);
    const bound = await socket.listen({ port, backlog: config.backlog, reusePort: this.#listening.kind === "shared" });
    if (!bound.ok) return bound;
    if (any && this.#listening.kind === "shared" && this.#listening.first) {
      this.#listening.bound(config.name, bound.value);
    }
    if (this.#stopped) socket.close();
    else this.#sockets.set(name, socket);
    return ok(socket);
  }

  #portFor(listener: string, target: SocketTarget): number | Promise<number> {
    if (target.kind === "pipe") return 0;
    const elsewhere = target.port === 0 && this.#listening.kind === "shared" && !this.#listening.first;
    return elsewhere ? this.#listening.portOf(listener) : target.port;
  }

  #socketOf(name: string): ListeningSocket | undefined {
    return this.#running.get(name)?.sockets[0];
  }

  /** A listener that follows the original destination hands the connection to the listener of that address, if there is one. */
  #dispatch(acceptor: Acceptor, socket: Socket): void {
    if (!acceptor.config.useOriginalDst) {
      acceptor.accept(socket, undefined);
      return;
    }
    const destination = originalDestination(socket);
    const own = socket.localPort ?? 0;
    if (
      destination === undefined ||
      (destination.port === own && destination.host === plainIp(socket.localAddress ?? ""))
    ) {
      acceptor.accept(socket, undefined);
      return;
    }
    const next = this.#byAddress(destination.host, destination.port, acceptor);
    (next ?? acceptor).accept(socket, destination);
  }

  #byAddress(host: string, port: number, from: Acceptor): Acceptor | undefined {
    let wildcard: Acceptor | undefined;
    for (const { acceptor, config } of this.#running.values()) {
      if (acceptor === from) continue;
      for (const target of config.addresses) {
        if (target.kind !== "tcp" || target.port !== port) continue;
        if (target.host === host) return acceptor;
        if (target.host === "0.0.0.0" || target.host === "::") wildcard = acceptor;
      }
    }
    return wildcard;
  }

  /** Existing connections go on for the drain time, each closing after the answer it is at. */
  #retire(acceptor: Acceptor): void {
    acceptor.drain(this.#drain(false));
    this.#old.add(acceptor);
    this.#core.clock.after(this.#life.ms, () => {
      if (this.#old.has(acceptor)) acceptor.closeAll();
    });
  }

  #drain(closesIdle: boolean): Drain {
    return new Drain(this.#life, this.#core, { closesIdle });
  }

  #release(socket: ListeningSocket): void {
    socket.close();
    for (const [key, one] of this.#sockets) if (one === socket) this.#sockets.delete(key);
  }
}

function addressOf(config: ListenerConfig): string {
  const target = config.addresses[0];
  return target === undefined ? "" : targetText(target);
}

function boundAddress(socket: ListeningSocket): string {
  const { target } = socket;
  return target.kind === "pipe" ? target.path : targetText({ ...target, port: socket.boundPort });
}
