// The connections to one host for one kind of transport: idle ones in an array, waiting requests in order, both bounded by the cluster's breakers.

import type { Socket } from "node:net";
import { PRECONNECTS_MAX, SHORT_IDLE_MS } from "../limits.ts";
import type { TlsContexts } from "../socket/contexts.ts";
import { type DialFailure, dial, type UpstreamName } from "../socket/dial.ts";
import type { Peer } from "../socket/identity.ts";
import type { Breaker } from "./breaker.ts";
import { UpstreamConnection } from "./connection.ts";
import type { Host } from "./host.ts";

export type PoolFailure =
  | { readonly kind: "overflow"; readonly message: string }
  | { readonly kind: DialFailure; readonly message: string };

export interface PoolWaiter {
  onConnection(connection: UpstreamConnection): void;
  onPoolFailure(failure: PoolFailure): void;
}

const OVERFLOW: PoolFailure = { kind: "overflow", message: "" };

export interface PoolTransport {
  readonly tls: TlsContexts | undefined;
  readonly alpn: readonly string[] | undefined;
  readonly name: UpstreamName | undefined;
}

export class HostPool {
  readonly host: Host;
  readonly #breaker: Breaker;
  readonly #tls: TlsContexts | undefined;
  readonly #alpn: readonly string[] | undefined;
  readonly #name: UpstreamName | undefined;
  #tlsVersion: number;
  readonly #idle: UpstreamConnection[] = [];
  readonly #waiting = new Set<PoolWaiter>();
  readonly #connecting = new Set<Socket>();
  #connections = 0;
  #draining = false;
  /** Goes up when those that stand are to be used no more. */
  #epoch = 0;

  constructor(host: Host, breaker: Breaker, transport: PoolTransport) {
    this.host = host;
    this.#breaker = breaker;
    this.#tls = transport.tls;
    this.#alpn = transport.alpn;
    this.#name = transport.name;
    this.#tlsVersion = transport.tls?.version ?? 0;
  }

  /** A connection at once where one is idle; otherwise undefined, and the waiter hears of it. */
  acquire(waiter: PoolWaiter): UpstreamConnection | undefined {
    const { stats } = this.host.cluster;
    if (!this.#breaker.requests.available) {
      stats.counters.upstream_rq_pending_overflow.value += 1;
      waiter.onPoolFailure(OVERFLOW);
      return undefined;
    }
    const idle = this.#takeIdle();
    if (idle !== undefined) {
      if (this.host.cluster.config.preconnectRatio > 1) this.#preconnect();
      return idle;
    }
    if (!this.#breaker.pending.available) {
      stats.counters.upstream_rq_pending_overflow.value += 1;
      waiter.onPoolFailure(OVERFLOW);
      return undefined;
    }
    this.#breaker.pending.take();
    this.#waiting.add(waiter);
    stats.counters.upstream_rq_pending_total.value += 1;
    stats.gauges.upstream_rq_pending_active.value += 1;
    this.host.stats.rq_pending += 1;
    this.#connectForWaiting();
    if (this.host.cluster.config.preconnectRatio > 1) this.#preconnect();
    return undefined;
  }

  cancel(waiter: PoolWaiter): void {
    if (this.#forget(waiter)) this.host.cluster.stats.counters.upstream_rq_cancelled.value += 1;
  }

  release(connection: UpstreamConnection, reusable: boolean): void {
    const { config, stats } = this.host.cluster;
    const nowMs = this.host.cluster.around.clock.monotonicMs();
    let keep =
      reusable && !this.#draining && connection.epoch === this.#epoch && this.#tlsVersion === (this.#tls?.version ?? 0);
    if (config.maxRequestsPerConnection > 0 && connection.requests >= config.maxRequestsPerConnection) {
      stats.counters.upstream_cx_max_requests.value += 1;
      keep = false;
    }
    if (config.maxConnectionDurationMs > 0 && nowMs - connection.openedMs >= config.maxConnectionDurationMs) {
      stats.counters.upstream_cx_max_duration_reached.value += 1;
      keep = false;
    }
    if (!keep) {
      connection.destroy();
      return;
    }
    const next = this.#nextWaiter();
    if (next !== undefined) {
      next.onConnection(connection);
      return;
    }
    connection.idleSinceMs = nowMs;
    const idleMs = this.#idleLimitMs();
    connection.usableUntilMs = idleMs < SHORT_IDLE_MS ? nowMs + idleMs : Number.POSITIVE_INFINITY;
    if (config.maxConnectionDurationMs > 0)
      connection.usableUntilMs = Math.min(
        connection.usableUntilMs,
        connection.openedMs + config.maxConnectionDurationMs,
      );
    this.#idle.push(connection);
  }

  onConnectionClosed(connection: UpstreamConnection, side: "local" | "remote", active: boolean): void {
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    const { around, stats } = this.host.cluster;
    if (at !== -1 && side === "remote") {
      const nowMs = around.clock.monotonicMs();
      this.host.keepAlive.onClosedIdle(nowMs - connection.idleSinceMs, nowMs);
    }
    stats.counters.upstream_cx_destroy.value += 1;
    if (side === "local") stats.counters.upstream_cx_destroy_local.value += 1;
    else stats.counters.upstream_cx_destroy_remote.value += 1;
    if (active) stats.counters.upstream_cx_destroy_with_active_rq.value += 1;
    this.#gaveUp();
    if (this.#waiting.size > 0) this.#connectForWaiting();
  }

  /** Closes what has been idle too long, and what was made with a certificate that has been replaced. */
  sweep(nowMs: number): void {
    const version = this.#tls?.version ?? 0;
    if (version !== this.#tlsVersion) {
      this.#tlsVersion = version;
      for (const connection of this.#idle.slice()) connection.destroy();
    }
    this.host.keepAlive.forget(nowMs);
    const idleMs = this.#idleLimitMs();
    for (const connection of this.#idle.slice()) this.#retire(connection, nowMs, idleMs);
  }

  /** True: it has been idle, or there, too long, and is closed. */
  #retire(connection: UpstreamConnection, nowMs: number, idleMs: number): boolean {
    const { config, stats } = this.host.cluster;
    const { maxConnectionDurationMs } = config;
    if (maxConnectionDurationMs > 0 && nowMs - connection.openedMs >= maxConnectionDurationMs)
      stats.counters.upstream_cx_max_duration_reached.value += 1;
    else if (nowMs - connection.idleSinceMs >= idleMs) stats.counters.upstream_cx_idle_timeout.value += 1;
    else return false;
    connection.destroy();
    return true;
  }

  #idleLimitMs(): number {
    const { idleTimeoutMs } = this.host.cluster.config;
    return Math.min(idleTimeoutMs === 0 ? Number.POSITIVE_INFINITY : idleTimeoutMs, this.host.keepAlive.limitMs);
  }

  renew(): void {
    this.#epoch += 1;
    for (const connection of this.#idle.slice()) connection.destroy();
  }

  /** The host is gone: idle connections close, used ones when their request ends. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#idle.slice()) connection.destroy();
  }

  #takeIdle(): UpstreamConnection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return undefined;
      if (connection.closed) continue;
      if (connection.usableUntilMs === Number.POSITIVE_INFINITY) return connection;
      const nowMs = this.host.cluster.around.clock.monotonicMs();
      if (nowMs < connection.usableUntilMs || !this.#retire(connection, nowMs, this.#idleLimitMs())) return connection;
    }
  }

  /** Who waited may wait no more in vain: others have taken what the breaker allows meanwhile. */
  #nextWaiter(): PoolWaiter | undefined {
    for (const waiter of this.#waiting) {
      this.#forget(waiter);
      if (this.#breaker.requests.available) return waiter;
      this.host.cluster.stats.counters.upstream_rq_pending_overflow.value += 1;
      waiter.onPoolFailure(OVERFLOW);
    }
    return undefined;
  }

  #forget(waiter: PoolWaiter): boolean {
    if (!this.#waiting.delete(waiter)) return false;
    this.#breaker.pending.give();
    this.host.cluster.stats.gauges.upstream_rq_pending_active.value -= 1;
    this.host.stats.rq_pending -= 1;
    return true;
  }

  #connectForWaiting(): void {
    while (this.#connecting.size < this.#waiting.size) {
      if (!this.#mayConnect()) {
        this.host.cluster.stats.counters.upstream_cx_overflow.value += 1;
        // A host without any connection gets one in spite of the limit, or its requests would wait for ever.
        if (this.#connections > 0) return;
      }
      this.#connect();
    }
  }

  #mayConnect(): boolean {
    return this.#breaker.connections.available && this.host.stats.cx_active < this.#breaker.config.hostConnectionsMax;
  }

  /** So many connections for each request that there is a spare one for the next. */
  #preconnect(): void {
    if (!this.host.healthy) return;
    const ratio = this.host.cluster.config.preconnectRatio;
    for (let made = 0; made < PRECONNECTS_MAX; made += 1) {
      const spare = this.#connecting.size + this.#idle.length;
      const active = this.#connections - spare;
      if ((this.#waiting.size + active) * ratio <= spare + active || !this.#mayConnect()) return;
      this.#connect();
    }
  }

  #connect(): void {
    const { cluster } = this.host;
    const { around, config, stats } = cluster;
    this.#connections += 1;
    this.#breaker.connections.take();
    stats.counters.upstream_cx_total.value += 1;
    stats.counters.upstream_cx_http1_total.value += 1;
    stats.gauges.upstream_cx_active.value += 1;
    this.host.stats.cx_total += 1;
    this.host.stats.cx_active += 1;
    const startMs = around.clock.monotonicMs();
    const epoch = this.#epoch;
    const { host, port, path } = this.host.endpoint;
    const target = {
      host,
      port,
      path,
      tls: this.#tls,
      alpnProtocols: this.#alpn,
      name: this.#name,
      timeoutMs: config.connectTimeoutMs,
      localAddress: cluster.sourceFor(host),
      keepAlive: config.keepAlive,
    };
    const listener = {
      onConnected: (ready: Socket, peer: Peer | undefined) => {
        this.#connecting.delete(socket);
        stats.connectMs.observe(around.clock.monotonicMs() - startMs);
        if (this.#tls !== undefined) stats.ssl.handshake.value += 1;
        const connection = new UpstreamConnection(ready, this, peer, around.clock.monotonicMs());
        connection.epoch = epoch;
        this.#connected(connection);
      },
      onFailed: (kind: DialFailure, message: string) => {
        this.#connecting.delete(socket);
        this.#failed({ kind, message });
      },
    };
    const socket: Socket = dial(target, listener, { clock: around.clock, sessions: cluster.sessions });
    this.#connecting.add(socket);
  }

  #connected(connection: UpstreamConnection): void {
    this.host.onLocalOrigin("success");
    const waiter = this.#nextWaiter();
    if (waiter !== undefined) waiter.onConnection(connection);
    else this.release(connection, true);
  }

  #failed(failure: PoolFailure): void {
    const { counters, ssl } = this.host.cluster.stats;
    counters.upstream_cx_connect_fail.value += 1;
    if (failure.kind === "timeout") counters.upstream_cx_connect_timeout.value += 1;
    if (failure.kind === "tls") {
      ssl.connectionError.value += 1;
      if (failure.message.includes("VERIFY")) ssl.failVerify.value += 1;
    }
    this.host.stats.cx_connect_fail += 1;
    this.#gaveUp();
    const waiting = [...this.#waiting];
    for (const waiter of waiting) this.#forget(waiter);
    for (const waiter of waiting) {
      counters.upstream_rq_pending_failure_eject.value += 1;
      // Of each request, as Envoy counts: a connection that nobody waited for says less.
      this.host.onLocalOrigin(failure.kind === "timeout" ? "timeout" : "connect-failure");
      waiter.onPoolFailure(failure);
    }
  }

  #gaveUp(): void {
    this.#connections -= 1;
    this.#breaker.connections.give();
    this.host.cluster.stats.gauges.upstream_cx_active.value -= 1;
    this.host.stats.cx_active -= 1;
  }
}
