// Outlier detection: counts what hosts answer, ejects the sick ones for a while, never too many of them.

import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Counter, Gauge, Scope } from "../../observe/metrics.ts";
import type { DetectionKind, OutlierConfig } from "../compile/outlier.ts";

/** What is known of one host. Numbers of the interval begin anew with each. */
export class HostMonitor {
  ejected = false;
  ejectedAtMs = 0;
  /** How many times in a row: the ejection's length grows with it. */
  ejections = 0;
  ejectionMs = 0;
  consecutive5xx = 0;
  consecutiveGateway = 0;
  consecutiveLocal = 0;
  requests = 0;
  successes = 0;
  localRequests = 0;
  localSuccesses = 0;
  successRate = -1;
  localSuccessRate = -1;
}

/** `success-final`: a connection, where nothing more is heard of the host (TCP). */
export type LocalOutcome = "success" | "success-final" | "connect-failure" | "timeout" | "reset";

const LOCAL_STATUS: Readonly<Record<Exclude<LocalOutcome, "success">, number>> = {
  "success-final": 200,
  "connect-failure": 503,
  timeout: 504,
  reset: 503,
};

export interface MonitoredHost {
  readonly monitor: HostMonitor;
}

const KINDS: readonly DetectionKind[] = [
  "consecutive_5xx",
  "consecutive_gateway_failure",
  "consecutive_local_origin_failure",
  "success_rate",
  "local_origin_success_rate",
  "failure_percentage",
  "local_origin_failure_percentage",
];

const DEPRECATED: readonly DetectionKind[] = ["consecutive_5xx", "success_rate"];

export class OutlierDetector {
  readonly config: OutlierConfig;
  successRateAverage = -1;
  successRateThreshold = -1;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #hosts: () => readonly MonitoredHost[];
  readonly #onChange: (monitor: HostMonitor, ejected: boolean) => void;
  readonly #onEjected: ((monitor: HostMonitor) => void) | undefined;
  readonly #active: Gauge;
  readonly #overflow: Counter;
  readonly #total: Counter;
  readonly #enforcedTotal: Counter;
  /** Envoy's older names, which tools still read. */
  readonly #deprecated: ReadonlyMap<DetectionKind, Counter>;
  readonly #detected: ReadonlyMap<DetectionKind, Counter>;
  readonly #enforced: ReadonlyMap<DetectionKind, Counter>;
  #timer: { cancel(): void };

  constructor(
    config: OutlierConfig,
    around: {
      readonly clock: Clock;
      readonly random: Random;
      readonly scope: Scope;
      readonly hosts: () => readonly MonitoredHost[];
      readonly onChange: (monitor: HostMonitor, ejected: boolean) => void;
      /** By what was counted here: other workers hear of it. */
      readonly onEjected?: (monitor: HostMonitor) => void;
    },
  ) {
    this.config = config;
    this.#clock = around.clock;
    this.#random = around.random;
    this.#hosts = around.hosts;
    this.#onChange = around.onChange;
    this.#onEjected = around.onEjected;
    const { scope } = around;
    this.#active = scope.gauge("outlier_detection.ejections_active");
    this.#overflow = scope.counter("outlier_detection.ejections_overflow");
    this.#total = scope.counter("outlier_detection.ejections_total");
    this.#enforcedTotal = scope.counter("outlier_detection.ejections_enforced_total");
    this.#deprecated = new Map(DEPRECATED.map((kind) => [kind, scope.counter(`outlier_detection.ejections_${kind}`)]));
    this.#detected = new Map(
      KINDS.map((kind) => [kind, scope.counter(`outlier_detection.ejections_detected_${kind}`)]),
    );
    this.#enforced = new Map(
      KINDS.map((kind) => [kind, scope.counter(`outlier_detection.ejections_enforced_${kind}`)]),
    );
    this.#timer = this.#clock.after(config.intervalMs, () => this.#interval());
  }

  close(): void {
    this.#timer.cancel();
    this.#active.value = 0;
  }

  /** An active check found the host well. */
  onCheckPassed(host: MonitoredHost): void {
    if (this.config.checksUneject && host.monitor.ejected) this.#uneject(host.monitor);
  }

  /** The host has left the cluster. */
  onGone(host: MonitoredHost): void {
    if (!host.monitor.ejected) return;
    host.monitor.ejected = false;
    this.#active.add(-1);
  }

  /** An answer of the host itself. */
  onResponse(host: MonitoredHost, status: number): void {
    const { monitor } = host;
    const { config } = this;
    monitor.requests += 1;
    if (status < 500) {
      monitor.successes += 1;
      monitor.consecutive5xx = 0;
      monitor.consecutiveGateway = 0;
      if (!config.splitLocalOrigin) monitor.consecutiveLocal = 0;
      return;
    }
    const gateway = status === 502 || status === 503 || status === 504;
    if (gateway) {
      monitor.consecutiveGateway += 1;
      if (monitor.consecutiveGateway >= config.consecutiveGatewayFailure) {
        if (this.#detect(host, "consecutive_gateway_failure")) monitor.consecutiveGateway = 0;
      }
    } else monitor.consecutiveGateway = 0;
    monitor.consecutive5xx += 1;
    if (monitor.consecutive5xx >= config.consecutive5xx) {
      if (this.#detect(host, "consecutive_5xx")) monitor.consecutive5xx = 0;
    }
  }

  /** What happened on the way: connects, time-outs, resets. Without the split they count as 5xx of the host. */
  onLocalOrigin(host: MonitoredHost, outcome: LocalOutcome): void {
    const { monitor } = host;
    if (!this.config.splitLocalOrigin) {
      if (outcome !== "success") this.onResponse(host, LOCAL_STATUS[outcome]);
      return;
    }
    monitor.localRequests += 1;
    if (outcome === "success" || outcome === "success-final") {
      monitor.localSuccesses += 1;
      monitor.consecutiveLocal = 0;
      return;
    }
    monitor.consecutiveLocal += 1;
    if (monitor.consecutiveLocal >= this.config.consecutiveLocalOriginFailure) {
      if (this.#detect(host, "consecutive_local_origin_failure")) monitor.consecutiveLocal = 0;
    }
  }

  /** False: too few requests yet to judge the host, so that the count goes on. */
  #detect(host: MonitoredHost, kind: DetectionKind): boolean {
    const { monitor } = host;
    if (monitor.ejected) return true;
    const seen = monitor.requests + (this.config.splitLocalOrigin ? monitor.localRequests : 0);
    if (seen < this.config.minRequestVolume) return false;
    this.#detected.get(kind)?.inc();
    this.#deprecated.get(kind)?.inc();
    const hosts = this.#hosts();
    const ejected = hosts.filter((one) => one.monitor.ejected).length;
    const allowed =
      (100 * (ejected + 1)) / hosts.length <= this.config.maxEjectionPercent ||
      (ejected === 0 && this.config.alwaysEjectOneHost);
    if (!allowed) {
      this.#overflow.inc();
      return true;
    }
    if (this.#deprecated.has(kind)) this.#total.inc();
    if (Math.floor(this.#random() * 100) >= this.config.enforcing[kind]) return true;
    this.#enforcedTotal.inc();
    this.#enforced.get(kind)?.inc();
    this.#eject(monitor);
    this.#onEjected?.(monitor);
    return true;
  }

  /** By another worker, which has counted and judged. */
  ejectElsewhere(monitor: HostMonitor, ms: number): void {
    if (monitor.ejected) return;
    this.#eject(monitor);
    monitor.ejectionMs = ms;
  }

  #eject(monitor: HostMonitor): void {
    const { baseEjectionMs, maxEjectionMs, maxEjectionJitterMs } = this.config;
    monitor.ejected = true;
    monitor.ejectedAtMs = this.#clock.monotonicMs();
    // Counted no further than it takes effect, so that it goes down as soon as the host is well.
    if (monitor.ejections * baseEjectionMs < maxEjectionMs + baseEjectionMs) monitor.ejections += 1;
    monitor.ejectionMs =
      Math.min(baseEjectionMs * monitor.ejections, maxEjectionMs) + maxEjectionJitterMs * this.#random();
    this.#active.add(1);
    this.#onChange(monitor, true);
  }

  #uneject(monitor: HostMonitor): void {
    monitor.ejected = false;
    monitor.consecutive5xx = 0;
    monitor.consecutiveGateway = 0;
    monitor.consecutiveLocal = 0;
    this.#active.add(-1);
    this.#onChange(monitor, false);
  }

  #interval(): void {
    this.#timer = this.#clock.after(this.config.intervalMs, () => this.#interval());
    const nowMs = this.#clock.monotonicMs();
    for (const { monitor } of this.#hosts()) {
      if (!monitor.ejected) monitor.ejections = Math.max(0, monitor.ejections - 1);
      else if (nowMs - monitor.ejectedAtMs >= monitor.ejectionMs) this.#uneject(monitor);
    }
    this.#judgeRates("external");
    if (this.config.splitLocalOrigin) this.#judgeRates("local");
    for (const { monitor } of this.#hosts()) {
      monitor.requests = 0;
      monitor.successes = 0;
      monitor.localRequests = 0;
      monitor.localSuccesses = 0;
    }
  }

  #judgeRates(origin: "external" | "local"): void {
    const rates = this.#rates(origin);
    this.#judgeSuccessRate(rates, origin);
    const { config } = this;
    const failing = rates.filter((one) => one.volume >= config.failurePercentageRequestVolume);
    if (failing.length < config.failurePercentageMinimumHosts) return;
    const kind = origin === "external" ? "failure_percentage" : "local_origin_failure_percentage";
    for (const { host, rate } of failing) if (100 - rate >= config.failurePercentageThreshold) this.#detect(host, kind);
  }

  #judgeSuccessRate(rates: readonly Rate[], origin: "external" | "local"): void {
    const { config } = this;
    if (origin === "external") {
      this.successRateAverage = -1;
      this.successRateThreshold = -1;
    }
    const judged = rates.filter((one) => one.volume >= config.successRateRequestVolume);
    if (judged.length < Math.max(1, config.successRateMinimumHosts)) return;
    const mean = judged.reduce((sum, one) => sum + one.rate, 0) / judged.length;
    const variance = judged.reduce((sum, one) => sum + (one.rate - mean) ** 2, 0) / judged.length;
    const threshold = mean - config.successRateStdevFactor * Math.sqrt(variance);
    if (origin === "external") {
      this.successRateAverage = mean;
      this.successRateThreshold = threshold;
    }
    const kind = origin === "external" ? "success_rate" : "local_origin_success_rate";
    for (const { host, rate } of judged) if (rate < threshold) this.#detect(host, kind);
  }

  /** Per cent of good answers of every host that is in use and had a request in the interval. */
  #rates(origin: "external" | "local"): readonly Rate[] {
    const { successRateRequestVolume, failurePercentageRequestVolume } = this.config;
    const enough = Math.min(successRateRequestVolume, failurePercentageRequestVolume);
    const rates: Rate[] = [];
    for (const host of this.#hosts()) {
      const { monitor } = host;
      const volume = origin === "external" ? monitor.requests : monitor.localRequests;
      const good = origin === "external" ? monitor.successes : monitor.localSuccesses;
      const rate = volume === 0 ? -1 : (good * 100) / volume;
      const shown = volume >= enough && !monitor.ejected ? rate : -1;
      if (origin === "external") monitor.successRate = shown;
      else monitor.localSuccessRate = shown;
      if (volume > 0 && !monitor.ejected) rates.push({ host, rate, volume });
    }
    return rates;
  }
}

interface Rate {
  readonly host: MonitoredHost;
  readonly rate: number;
  readonly volume: number;
}
