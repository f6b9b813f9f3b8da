// Active health checks of a cluster: a host is sick until its first check passes, and then what its checks say it is. Loaded only
// where a cluster asks for them.

import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { Counter, Gauge, Scope } from "../../observe/metrics.ts";
import type { HealthCheckConfig } from "../compile/health-check.ts";
import type { TlsContexts } from "../socket/contexts.ts";
import type { SessionCache } from "../socket/dial.ts";
import type { Host } from "./host.ts";
import { Probe, type ProbeResult } from "./probe.ts";

export interface HealthAround {
  readonly clock: Clock;
  readonly random: Random;
  readonly scope: Scope;
  readonly sessions: SessionCache;
  readonly clusterName: string;
  /** The cluster has been called at least once. */
  readonly hasTraffic: () => boolean;
  /** What secures a check of this host. */
  readonly tlsOf: (host: Host) => TlsContexts | undefined;
  /** A result came: `changed` when the host's health is not what it was. */
  readonly onResult: (host: Host, result: { readonly passed: boolean; readonly changed: boolean }) => void;
}

type Transition = "unchanged" | "pending" | "changed";

class Session {
  readonly host: Host;
  readonly probe: Probe;
  timer: { cancel(): void } | undefined;
  first = true;
  passes = 0;
  failures = 0;

  constructor(host: Host, probe: Probe) {
    this.host = host;
    this.probe = probe;
  }
}

export class HealthChecker {
  readonly #config: HealthCheckConfig;
  readonly #around: HealthAround;
  readonly #sessions = new Map<Host, Session>();
  readonly #counters: Readonly<Record<"attempt" | "success" | "failure" | "network", Counter>>;
  readonly #healthy: Gauge;
  readonly #degraded: Gauge;

  constructor(config: HealthCheckConfig, around: HealthAround) {
    this.#config = config;
    this.#around = around;
    const counter = (name: string) => around.scope.counter(`health_check.${name}`);
    this.#counters = {
      attempt: counter("attempt"),
      success: counter("success"),
      failure: counter("failure"),
      network: counter("network_failure"),
    };
    counter("passive_failure");
    counter("verify_cluster");
    this.#healthy = around.scope.gauge("health_check.healthy");
    this.#degraded = around.scope.gauge("health_check.degraded");
  }

  /** The hosts of the cluster are these now. */
  setHosts(hosts: readonly Host[]): void {
    const wanted = new Set(hosts);
    for (const [host, session] of this.#sessions) {
      if (wanted.has(host)) continue;
      session.timer?.cancel();
      session.probe.close();
      this.#sessions.delete(host);
    }
    for (const host of hosts) {
      if (this.#sessions.has(host) || host.endpoint.check?.disabled === true) continue;
      const session = new Session(host, this.#makeProbe(host));
      this.#sessions.set(host, session);
      const { initialJitterMs } = this.#config;
      if (initialJitterMs === 0) this.#check(session);
      else this.#checkAfter(session, this.#around.random() * initialJitterMs);
    }
    this.#show();
  }

  close(): void {
    this.setHosts([]);
  }

  #makeProbe(host: Host): Probe {
    const { checker, timeoutMs, altPort, alpnProtocols, reuseConnection } = this.#config;
    const { clock, sessions, clusterName, tlsOf } = this.#around;
    const { endpoint } = host;
    const target = {
      host: endpoint.check?.host ?? endpoint.host,
      port: endpoint.check?.port || altPort || endpoint.port,
      path: endpoint.path,
      tls: tlsOf(host),
      alpnProtocols,
      name: undefined,
      timeoutMs,
      localAddress: host.cluster.sourceFor(endpoint.host),
      keepAlive: undefined,
    };
    const named = checker.kind === "http" ? checker.host : "";
    const authority = endpoint.check?.hostname || named || clusterName;
    return new Probe({ checker, target, authority, keep: reuseConnection, clock, sessions });
  }

  #checkAfter(session: Session, delayMs: number): void {
    session.timer = this.#around.clock.after(delayMs, () => this.#check(session));
  }

  #check(session: Session): void {
    this.#counters.attempt.value += 1;
    session.probe.run((result) => {
      const passed = result.kind === "success";
      const transition = passed ? this.#pass(session, result.degraded) : this.#fail(session, result);
      session.first = false;
      this.#checkAfter(session, this.#intervalMs(passed, transition));
      this.#show();
      this.#around.onResult(session.host, { passed, changed: transition === "changed" });
    });
  }

  #pass(session: Session, degraded: boolean): Transition {
    const { checked } = session.host;
    this.#counters.success.value += 1;
    session.failures = 0;
    let transition: Transition = "unchanged";
    if (checked.failing) {
      session.passes += 1;
      // The first result ever counts at once, so that a start is not held up.
      if (session.first || session.passes >= this.#config.healthyThreshold) {
        checked.failing = false;
        checked.timedOut = false;
        checked.immediate = false;
        transition = "changed";
      } else transition = "pending";
    }
    if (checked.pending || checked.degraded !== degraded) transition = "changed";
    checked.pending = false;
    checked.degraded = degraded;
    return transition;
  }

  #fail(session: Session, result: Exclude<ProbeResult, { kind: "success" }>): Transition {
    const { checked } = session.host;
    this.#counters.failure.value += 1;
    if (result.kind !== "failure") this.#counters.network.value += 1;
    session.passes = 0;
    let transition: Transition = "unchanged";
    if (!checked.failing) {
      session.failures += 1;
      // An answer that is neither expected nor to be borne with needs no second one.
      const atOnce = result.kind === "failure" && !result.retriable;
      if (atOnce || session.failures >= this.#config.unhealthyThreshold) {
        checked.failing = true;
        transition = "changed";
      } else transition = "pending";
    }
    checked.timedOut = checked.failing && result.kind === "timeout";
    if (result.kind === "failure" && result.leave) checked.immediate = true;
    if (checked.pending) transition = "changed";
    checked.pending = false;
    return transition;
  }

  #intervalMs(passed: boolean, transition: Transition): number {
    const { intervalJitterMs, intervalJitterPercent } = this.#config;
    const baseMs = this.#baseMs(passed, transition);
    const { random } = this.#around;
    return baseMs + (random() * baseMs * intervalJitterPercent) / 100 + random() * intervalJitterMs;
  }

  #baseMs(passed: boolean, transition: Transition): number {
    const config = this.#config;
    const edge = transition === "pending";
    if (!this.#around.hasTraffic()) return passed && !edge ? config.noTrafficHealthyMs : config.noTrafficMs;
    if (passed) return edge ? config.healthyEdgeMs : config.intervalMs;
    return edge ? config.unhealthyEdgeMs : config.unhealthyMs;
  }

  #show(): void {
    let healthy = 0;
    let degraded = 0;
    for (const host of this.#sessions.keys()) {
      if (!host.checked.failing) healthy += 1;
      if (host.checked.degraded) degraded += 1;
    }
    this.#healthy.value = healthy;
    this.#degraded.value = degraded;
  }
}
