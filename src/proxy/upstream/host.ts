// One endpoint of a cluster while it lives: its pools, its counters, and what outlier detection knows of it.

import type { EndpointConfig } from "../compile/cluster.ts";
import { POOLS_PER_HOST_MAX } from "../limits.ts";
import type { TlsContexts } from "../socket/contexts.ts";
import type { Cluster } from "./cluster.ts";
import { HostMonitor } from "./outlier.ts";
import { HostPool } from "./pool.ts";

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
  lastUsedMs = 0;
  readonly #pools = new Map<string, HostPool>();
  readonly tls: TlsContexts | undefined;

  constructor(endpoint: EndpointConfig, cluster: Cluster) {
    this.endpoint = endpoint;
    this.cluster = cluster;
    this.tls = cluster.tlsFor(endpoint);
  }

  get address(): string {
    return this.endpoint.address;
  }

  get healthy(): boolean {
    return this.endpoint.health === "healthy" && !this.monitor.ejected;
  }

  pool(alpn: readonly string[] | undefined, priority: "default" | "high"): HostPool {
    const key = alpn === undefined || this.tls === undefined ? priority : `${priority} ${alpn.join()}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      // The lists of protocols come from configuration, so that there are few; a flood of them closes the oldest pool.
      if (this.#pools.size >= POOLS_PER_HOST_MAX) {
        for (const [oldest, one] of this.#pools) {
          one.drain();
          this.#pools.delete(oldest);
          break;
        }
      }
      pool = new HostPool(this, this.cluster.breaker(priority), { tls: this.tls, alpn });
      this.#pools.set(key, pool);
    }
    return pool;
  }

  onResponse(status: number): void {
    if (status < 500) this.stats.rq_success += 1;
    else this.stats.rq_error += 1;
    this.cluster.outlier?.onResponse(this, status);
  }

  onLocalOrigin(outcome: "success" | "connect-failure" | "timeout" | "reset"): void {
    if (outcome === "timeout") this.stats.rq_timeout += 1;
    this.cluster.outlier?.onLocalOrigin(this, outcome);
  }

  sweep(nowMs: number): void {
    for (const pool of this.#pools.values()) pool.sweep(nowMs);
  }

  drain(): void {
    for (const pool of this.#pools.values()) pool.drain();
  }
}
