// Circuit breakers of one cluster and priority: plain numbers against limits, with Envoy's gauges.

import type { Gauge, Scope } from "../../observe/metrics.ts";
import type { BreakerConfig } from "../compile/cluster.ts";

export class Resource {
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

export class Breaker {
  readonly config: BreakerConfig;
  readonly connections: Resource;
  readonly pending: Resource;
  readonly requests: Resource;
  readonly retries: Resource;

  constructor(config: BreakerConfig, scope: Scope, priority: "default" | "high") {
    this.config = config;
    const gauge = (name: string) => scope.gauge(`circuit_breakers.${priority}.${name}`);
    const remaining = (name: string) => (config.trackRemaining ? gauge(name) : undefined);
    this.connections = new Resource(config.maxConnections, gauge("cx_open"), remaining("remaining_cx"));
    this.pending = new Resource(config.maxPendingRequests, gauge("rq_pending_open"), remaining("remaining_pending"));
    this.requests = new Resource(config.maxRequests, gauge("rq_open"), remaining("remaining_rq"));
    this.retries = new Resource(config.maxRetries, gauge("rq_retry_open"), remaining("remaining_retries"));
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
