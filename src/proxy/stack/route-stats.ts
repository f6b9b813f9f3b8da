// Counters of the routes that name some (`stat_prefix`): tries, what came of them, and the answers in the end.

import type { Counter, Registry } from "../../observe/metrics.ts";

export class RouteStats {
  readonly total: Counter;
  readonly retry: Counter;
  readonly retryLimitExceeded: Counter;
  readonly retryOverflow: Counter;
  readonly retrySuccess: Counter;
  readonly timeout: Counter;
  readonly #completed: Counter;
  readonly #time;
  readonly #registry: Registry;
  readonly #place: string;
  readonly #labels: Readonly<Record<string, string>>;

  constructor(registry: Registry, virtualHost: string, prefix: string) {
    this.#registry = registry;
    this.#place = `vhost.${virtualHost}.route.${prefix}.`;
    this.#labels = { envoy_virtual_host: virtualHost, envoy_route: prefix };
    const place = { statPrefix: this.#place, namePrefix: "envoy_vhost_route_", labels: this.#labels };
    const scope = registry.scope(place);
    this.total = scope.counter("upstream_rq_total");
    this.retry = scope.counter("upstream_rq_retry");
    this.retryLimitExceeded = scope.counter("upstream_rq_retry_limit_exceeded");
    this.retryOverflow = scope.counter("upstream_rq_retry_overflow");
    this.retrySuccess = scope.counter("upstream_rq_retry_success");
    this.timeout = scope.counter("upstream_rq_timeout");
    this.#completed = scope.counter("upstream_rq_completed");
    this.#time = scope.histogram("upstream_rq_time");
  }

  response(status: number, ms: number): void {
    this.#completed.value += 1;
    this.#time.observe(ms);
    this.#coded(`${Math.floor(status / 100)}xx`, "upstream_rq_xx", {
      envoy_response_code_class: String(Math.floor(status / 100)),
    }).inc();
    this.#coded(String(status), "upstream_rq", { envoy_response_code: String(status) }).inc();
  }

  #coded(dotted: string, name: string, label: Readonly<Record<string, string>>): Counter {
    const statPrefix = `${this.#place}upstream_rq_${dotted}`;
    const labels = { ...this.#labels, ...label };
    return this.#registry.scope({ statPrefix, namePrefix: `envoy_vhost_route_${name}`, labels }).counter("");
  }
}
