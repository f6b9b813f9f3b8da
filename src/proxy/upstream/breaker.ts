// Circuit breakers of one cluster and priority: plain numbers against limits, with Envoy's gauges. Where several workers
// serve, the numbers lie in memory that they share.

import type { Gauge, Scope } from "../../observe/metrics.ts";
import type { BreakerConfig } from "../compile/breaker.ts";

/** What is limited: how much of it is taken, and whether there is more. */
export interface Limited {
  readonly count: number;
  readonly available: boolean;
  take(): void;
  give(): void;
}

/** The cells of one cluster in the memory that workers share: four for each priority. */
export interface SharedCells {
  readonly cells: Int32Array;
  readonly at: number;
}

class Resource implements Limited {
  count = 0;
  limit: number;
  readonly #open: Gauge;
  readonly #remaining: Gauge | undefined;

  constructor(limit: number, open: Gauge, remaining: Gauge | undefined) {
    this.limit = limit;
    this.#open = open;
    this.#remaining = remaining;
    this.#show();
  }

  get available(): boolean {
    return this.count < this.limit;
  }

  take(): void {
    this.count += 1;
    this.#show();
  }

  give(): void {
    this.count -= 1;
    this.#show();
  }

  #show(): void {
    this.#open.value = this.count < this.limit ? 0 : 1;
    if (this.#remaining !== undefined) this.#remaining.value = Math.max(0, this.limit - this.count);
  }
}

/** As Envoy's over its threads: a limit may be passed by as many as look at the same instant. */
class SharedResource implements Limited {
  readonly #cells: Int32Array;
  readonly #at: number;
  readonly #limit: number;
  readonly #open: Gauge;
  readonly #remaining: Gauge | undefined;

  constructor(
    shared: SharedCells,
    limit: number,
    gauges: { readonly open: Gauge; readonly remaining: Gauge | undefined },
  ) {
    this.#cells = shared.cells;
    this.#at = shared.at;
    this.#limit = limit;
    this.#open = gauges.open;
    this.#remaining = gauges.remaining;
    this.#show(this.count);
  }

  get count(): number {
    return Atomics.load(this.#cells, this.#at);
  }

  get available(): boolean {
    return this.count < this.#limit;
  }

  take(): void {
    this.#show(Atomics.add(this.#cells, this.#at, 1) + 1);
  }

  give(): void {
    this.#show(Atomics.sub(this.#cells, this.#at, 1) - 1);
  }

  #show(count: number): void {
    this.#open.value = count < this.#limit ? 0 : 1;
    if (this.#remaining !== undefined) this.#remaining.value = Math.max(0, this.#limit - count);
  }
}

/** Cells of one cluster: both priorities. */
export const CELLS_PER_CLUSTER = 8;

export class Breaker {
  readonly config: BreakerConfig;
  readonly connections: Limited;
  readonly pending: Limited;
  readonly requests: Limited;
  readonly retries: Limited;

  constructor(config: BreakerConfig, scope: Scope, priority: "default" | "high", shared?: SharedCells) {
    this.config = config;
    const gauge = (name: string) => scope.gauge(`circuit_breakers.${priority}.${name}`);
    const remaining = (name: string) => (config.trackRemaining ? gauge(name) : undefined);
    const base = (shared?.at ?? 0) + (priority === "high" ? CELLS_PER_CLUSTER / 2 : 0);
    const limited = (
      index: number,
      limit: number,
      names: { readonly open: string; readonly remaining: string },
    ): Limited => {
      const gauges = { open: gauge(names.open), remaining: remaining(names.remaining) };
      if (shared === undefined) return new Resource(limit, gauges.open, gauges.remaining);
      return new SharedResource({ cells: shared.cells, at: base + index }, limit, gauges);
    };
    this.connections = limited(0, config.maxConnections, { open: "cx_open", remaining: "remaining_cx" });
    this.pending = limited(1, config.maxPendingRequests, { open: "rq_pending_open", remaining: "remaining_pending" });
    this.requests = limited(2, config.maxRequests, { open: "rq_open", remaining: "remaining_rq" });
    this.retries = limited(3, config.maxRetries, { open: "rq_retry_open", remaining: "remaining_retries" });
    gauge("cx_pool_open");
  }

  /** Whether one more retry may run: by the budget where there is one, else by the limit. */
  get retryAvailable(): boolean {
    const budget = this.config.retryBudget;
    if (budget === undefined) return this.retries.available;
    const active = this.requests.count + this.pending.count;
    return this.retries.count < Math.max(budget.minConcurrency, Math.floor(active * budget.share));
  }
}
