// The counters of one cluster, resolved once, so that a request only adds.

import type { Counter, Registry, Scope } from "../../observe/metrics.ts";

function clusterScope(registry: Registry, name: string): Scope {
  return registry.scope({
    statPrefix: `cluster.${name}.`,
    namePrefix: "envoy_cluster_",
    labels: { envoy_cluster_name: name, cluster_name: name },
  });
}

const COUNTERS = [
  "upstream_cx_total",
  "upstream_cx_http1_total",
  "upstream_cx_connect_fail",
  "upstream_cx_connect_timeout",
  "upstream_cx_overflow",
  "upstream_cx_destroy",
  "upstream_cx_destroy_local",
  "upstream_cx_destroy_remote",
  "upstream_cx_destroy_with_active_rq",
  "upstream_cx_idle_timeout",
  "upstream_cx_max_requests",
  "upstream_cx_max_duration_reached",
  "upstream_cx_none_healthy",
  "upstream_cx_protocol_error",
  "upstream_cx_rx_bytes_total",
  "upstream_cx_tx_bytes_total",
  "upstream_rq_total",
  "upstream_rq_completed",
  "upstream_rq_pending_total",
  "upstream_rq_pending_overflow",
  "upstream_rq_pending_failure_eject",
  "upstream_rq_cancelled",
  "upstream_rq_timeout",
  "upstream_rq_per_try_timeout",
  "upstream_rq_rx_reset",
  "upstream_rq_tx_reset",
  "upstream_rq_retry",
  "upstream_rq_retry_success",
  "upstream_rq_retry_overflow",
  "upstream_rq_retry_limit_exceeded",
  "upstream_rq_retry_backoff_exponential",
  "upstream_rq_retry_backoff_ratelimited",
  "upstream_rq_maintenance_mode",
  "upstream_rq_max_duration_reached",
  "membership_change",
  "update_success",
  "update_attempt",
  "update_failure",
  "update_empty",
  "lb_healthy_panic",
  "retry_or_shadow_abandoned",
] as const;
const GAUGES = [
  "upstream_cx_active",
  "upstream_rq_active",
  "upstream_rq_pending_active",
  "membership_total",
  "membership_healthy",
  "membership_degraded",
  "membership_excluded",
] as const;

export type CounterName = (typeof COUNTERS)[number];

export class ClusterStats {
  readonly scope: Scope;
  readonly #registry: Registry;
  readonly #name: string;
  readonly #codes = new Map<number, Counter>();
  readonly #classes: Scope[] = [];
  readonly counters: Readonly<Record<CounterName, Counter>>;
  readonly gauges;
  readonly rqTime;
  readonly connectMs;
  readonly ssl;
  readonly #xx: readonly Counter[];

  constructor(registry: Registry, name: string) {
    const scope = clusterScope(registry, name);
    this.scope = scope;
    this.#registry = registry;
    this.#name = name;
    this.counters = toRecord(COUNTERS, (counter) => scope.counter(counter));
    this.gauges = toRecord(GAUGES, (gauge) => scope.gauge(gauge));
    this.rqTime = scope.histogram("upstream_rq_time");
    this.connectMs = scope.histogram("upstream_cx_connect_ms");
    this.ssl = {
      handshake: scope.counter("ssl.handshake"),
      connectionError: scope.counter("ssl.connection_error"),
      failVerify: scope.counter("ssl.fail_verify_error"),
      sessionReused: scope.counter("ssl.session_reused"),
    };
    this.#xx = [1, 2, 3, 4, 5].map((digit) =>
      this.#coded(`${digit}xx`, "upstream_rq_xx", "envoy_response_code_class", String(digit)),
    );
  }

  response(status: number): void {
    this.counters.upstream_rq_completed.value += 1;
    const group = this.#xx[Math.floor(status / 100) - 1];
    if (group !== undefined) group.value += 1;
    let code = this.#codes.get(status);
    if (code === undefined) {
      code = this.#coded(String(status), "upstream_rq", "envoy_response_code", String(status));
      this.#codes.set(status, code);
    }
    code.value += 1;
  }

  dispose(): void {
    this.scope.dispose();
    for (const scope of this.#classes) scope.dispose();
  }

  /** Envoy's dotted names carry the code, its Prometheus names have it as a label. */
  #coded(dotted: string, name: string, label: string, value: string): Counter {
    const scope = this.#registry.scope({
      statPrefix: `cluster.${this.#name}.upstream_rq_${dotted}`,
      namePrefix: `envoy_cluster_${name}`,
      labels: { envoy_cluster_name: this.#name, cluster_name: this.#name, [label]: value },
    });
    this.#classes.push(scope);
    return scope.counter("");
  }
}

function toRecord<Name extends string, Value>(
  names: readonly Name[],
  make: (name: Name) => Value,
): Record<Name, Value> {
  const entries = names.map((name): readonly [Name, Value] => [name, make(name)]);
  return entries.reduce(
    (record, [name, value]) => Object.assign(record, { [name]: value }),
    emptyRecord<Name, Value>(),
  );
}

function emptyRecord<Name extends string, Value>(): Record<Name, Value> {
  return Object.create(null);
}
