// One endpoint of a cluster while it lives: its pools, its counters, and what outlier detection knows of it.

import type { EndpointConfig } from "../compile/cluster.ts";
import { POOLS_PER_HOST_MAX } from "../limits.ts";
import type { TlsContexts } from "../socket/contexts.ts";
import type { UpstreamName } from "../socket/dial.ts";
import type { Cluster } from "./cluster.ts";
import { KeepAliveLimit } from "./keep-alive.ts";
import { HostMonitor, type LocalOutcome } from "./outlier.ts";
import { HostPool } from "./pool.ts";

/** Of connections that carry no HTTP: they are never shared with those that do, and offer no protocol. */
export const TUNNELLED: readonly string[] = [];

export class Host {
  endpoint: EndpointConfig;
  readonly cluster: Cluster;
  readonly monitor = new HostMonitor();
  readonly stats = {
    cx_active: 0,
    cx_connect_fail: 0,
    cx_total: 0,
    rq_active: 0,
    rq_error: 0,
    rq_success: 0,
    rq_timeout: 0,
    rq_total: 0,
    rq_pending: 0,
  };
  /** How long it lets connections be idle. */
  readonly keepAlive = new KeepAliveLimit();
  /** How to close each TCP connection, where a failing host's are closed. */
  sessions: Set<() => void> | undefined;
  /** What active health checks found; all false where there are none. */
  readonly checked = { failing: false, timedOut: false, degraded: false, pending: false, immediate: false };
  /** Gone from discovery, and kept as long as its checks pass. */
  leaving = false;
  /** Since when it has been healthy; undefined: it never began, so that it does not start slowly. */
  healthySinceMs: number | undefined;
  readonly #pools = new Map<string, HostPool>();
  /** The pool asked for last, by the list's identity: nearly always the next request's too. */
  #recent:
    | { readonly alpn: readonly string[] | undefined; readonly priority: string; readonly pool: HostPool }
    | undefined;
  readonly tls: TlsContexts | undefined;

  constructor(endpoint: EndpointConfig, cluster: Cluster) {
    this.endpoint = endpoint;
    this.cluster = cluster;
    this.tls = cluster.tlsFor(endpoint);
  }

  get address(): string {
    return this.endpoint.address;
  }

  get health(): "healthy" | "degraded" | "unhealthy" {
    const told = this.endpoint.health;
    if (this.checked.failing || this.monitor.ejected || told === "unhealthy" || told === "draining") return "unhealthy";
    return told === "degraded" || this.checked.degraded ? "degraded" : "healthy";
  }

  get healthy(): boolean {
    return this.health === "healthy";
  }

  /** Counts neither as a host nor as a sick one: it is new and has not been checked, or asked not to be called. */
  get excluded(): boolean {
    return this.checked.pending || this.checked.immediate;
  }

  pool(alpn: readonly string[] | undefined, priority: "default" | "high", name: UpstreamName | undefined): HostPool {
    const recent = this.#recent;
    if (recent !== undefined && recent.alpn === alpn && recent.priority === priority && name === undefined)
      return recent.pool;
    const pool = this.#findPool(alpn, priority, name);
    if (name === undefined) this.#recent = { alpn, priority, pool };
    return pool;
  }

  #findPool(
    alpn: readonly string[] | undefined,
    priority: "default" | "high",
    name: UpstreamName | undefined,
  ): HostPool {
    const announcement = name?.announcement?.toString("latin1") ?? "";
    const plain =
      announcement === "" &&
      alpn !== TUNNELLED &&
      ((alpn === undefined && name === undefined) || this.tls === undefined);
    const key = plain
      ? priority
      : `${priority} ${alpn?.join() ?? "-"} ${name?.sni ?? ""} ${name?.verified ?? ""} ${announcement}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      // The lists of protocols come from configuration, so that there are few; a flood of them closes the oldest pool.
      if (this.#pools.size >= POOLS_PER_HOST_MAX) {
        for (const [oldest, one] of this.#pools) {
          one.drain();
          this.#pools.delete(oldest);
          this.#recent = undefined;
          break;
        }
      }
      pool = new HostPool(this, this.cluster.breaker(priority), { tls: this.tls, alpn, name });
      this.#pools.set(key, pool);
    }
    return pool;
  }

  onResponse(status: number): void {
    if (status < 500) this.stats.rq_success += 1;
    else this.stats.rq_error += 1;
    this.cluster.outlier?.onResponse(this, this.#judged(status));
  }

  /** As outlier detection sees it, where the cluster says which statuses are errors. */
  #judged(status: number): number {
    const errors = this.cluster.config.errorStatuses;
    if (errors === undefined) return status;
    if (!errors.has(status)) return 200;
    return status < 500 ? 500 : status;
  }

  onLocalOrigin(outcome: LocalOutcome): void {
    if (outcome === "timeout") this.stats.rq_timeout += 1;
    this.cluster.outlier?.onLocalOrigin(this, outcome);
  }

  sweep(nowMs: number): void {
    for (const pool of this.#pools.values()) pool.sweep(nowMs);
  }

  /** It has become unhealthy: what comes when it is well again begins on new connections. */
  fail(): void {
    this.renew();
    if (!this.cluster.config.closesOnFailure) return;
    for (const close of this.sessions ?? []) close();
  }

  /** What stands is not used for another request; new connections are made. */
  renew(): void {
    for (const pool of this.#pools.values()) pool.renew();
  }

  drain(): void {
    for (const pool of this.#pools.values()) pool.drain();
  }
}
