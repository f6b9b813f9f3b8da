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

export class OutlierDetector {
  readonly config: OutlierConfig;
  successRateAverage = -1;
  successRateThreshold = -1;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #hosts: () => readonly MonitoredHost[];
  readonly #onChange: () => void;
  readonly #active: Gauge;
  readonly #overflow: Counter;
  readonly #total: Counter;
  readonly #enforcedTotal: Counter;
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
      readonly onChange: () => void;
    },
  ) {
    this.config = config;
    this.#clock = around.clock;
    this.#random = around.random;
    this.#hosts = around.hosts;
    this.#onChange = around.onChange;
    const { scope } = around;
    this.#active = scope.gauge("outlier_detection.ejections_active");
    this.#overflow = scope.counter("outlier_detection.ejections_overflow");
    this.#total = scope.counter("outlier_detection.ejections_total");
    this.#enforcedTotal = scope.counter("outlier_detection.ejections_enforced_total");
    scope.counter("outlier_detection.ejections_consecutive_5xx");
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
  onLocalOrigin(host: MonitoredHost, outcome: "success" | "connect-failure" | "timeout" | "reset"): void {
    const { monitor } = host;
    if (!this.config.splitLocalOrigin) {
      if (outcome !== "success") this.onResponse(host, outcome === "timeout" ? 504 : 503);
      return;
    }
    monitor.localRequests += 1;
    if (outcome === "success") {
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
    if (this.#random() * 100 >= this.config.enforcing[kind]) return true;
    const hosts = this.#hosts();
    const ejected = hosts.filter((one) => one.monitor.ejected).length;
    const roomFor = (hosts.length * this.config.maxEjectionPercent) / 100;
    const allowed = ejected + 1 <= roomFor || (ejected === 0 && this.config.alwaysEjectOneHost);
    if (!allowed) {
      this.#overflow.inc();
      return true;
    }
    this.#total.inc();
    this.#enforcedTotal.inc();
    this.#enforced.get(kind)?.inc();
    this.#eject(monitor);
    return true;
  }

  #eject(monitor: HostMonitor): void {
    const { config } = this;
    monitor.ejected = true;
    monitor.ejections += 1;
    monitor.ejectedAtMs = this.#clock.monotonicMs();
    const jitterMs = config.maxEjectionJitterMs * this.#random();
    monitor.ejectionMs = Math.min(config.baseEjectionMs * monitor.ejections, config.maxEjectionMs) + jitterMs;
    this.#active.add(1);
    this.#onChange();
  }

  #interval(): void {
    this.#timer = this.#clock.after(this.config.intervalMs, () => this.#interval());
    const nowMs = this.#clock.monotonicMs();
    let changed = false;
    for (const { monitor } of this.#hosts()) {
      if (monitor.ejected && nowMs - monitor.ejectedAtMs >= monitor.ejectionMs) {
        monitor.ejected = false;
        monitor.consecutive5xx = 0;
        monitor.consecutiveGateway = 0;
        monitor.consecutiveLocal = 0;
        this.#active.add(-1);
        changed = true;
      } else if (!monitor.ejected && monitor.ejections > 0) monitor.ejections -= 1;
    }
    this.#judgeRates("external");
    if (this.config.splitLocalOrigin) this.#judgeRates("local");
    for (const { monitor } of this.#hosts()) {
      monitor.requests = 0;
      monitor.successes = 0;
      monitor.localRequests = 0;
      monitor.localSuccesses = 0;
    }
    if (changed) this.#onChange();
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

  /** Per cent of good answers of every host that had a request in the interval. */
  #rates(origin: "external" | "local"): readonly Rate[] {
    const enough = this.config.successRateRequestVolume;
    const rates: Rate[] = [];
    for (const host of this.#hosts()) {
      const { monitor } = host;
      const volume = origin === "external" ? monitor.requests : monitor.localRequests;
      const good = origin === "external" ? monitor.successes : monitor.localSuccesses;
      const rate = volume === 0 ? -1 : (good * 100) / volume;
      const shown = volume >= enough ? rate : -1;
      if (origin === "external") monitor.successRate = shown;
      else monitor.localSuccessRate = shown;
      if (volume > 0) rates.push({ host, rate, volume });
    }
    return rates;
  }
}

interface Rate {
  readonly host: MonitoredHost;
  readonly rate: number;
  readonly volume: number;
}
