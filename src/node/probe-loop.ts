// When a container's probes are made and what their results add up to.

import type { Probe } from "../api/kubernetes/container.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { PROBE_EAGER_BASE_MS } from "./limits.ts";
import type { ProbeResult } from "./probe-check.ts";

export type ProbeKind = "startup" | "readiness" | "liveness";

export interface ProbeLoopOptions {
  readonly kind: ProbeKind;
  readonly probe: Probe;
  readonly clock: Clock;
  readonly check: (timeoutMs: number) => Promise<ProbeResult>;
  /** The verdict changed: enough successes or failures in a row. */
  readonly onVerdict: (healthy: boolean, message: string) => void;
  /** A single failure, for the event log. */
  readonly onFailure: (message: string) => void;
}

interface Timing {
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

/**
 * Checks at the probe's period, as the kubelet does, and until the first success also in between: what has just
 * started is known to be ready within a fraction of the period. Failures in between count for nothing.
 */
export class ProbeLoop {
  readonly #options: ProbeLoopOptions;
  readonly #timing: Timing;
  #timer: Timer | undefined;
  #stopped = false;
  #successes = 0;
  #failures = 0;
  #everSucceeded = false;
  #eagerMs = PROBE_EAGER_BASE_MS;
  #nextCountedMs: number;

  constructor(options: ProbeLoopOptions) {
    this.#options = options;
    this.#timing = timingOf(options.probe);
    this.#nextCountedMs = options.clock.monotonicMs() + this.#timing.initialDelayMs + this.#timing.periodMs;
    this.#schedule(this.#timing.initialDelayMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(delayMs, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    const startedMs = this.#options.clock.monotonicMs();
    const result = await this.#options.check(this.#timing.timeoutMs);
    if (this.#stopped) return;
    const counted = startedMs >= this.#nextCountedMs;
    if (counted) this.#nextCountedMs = startedMs + this.#timing.periodMs;
    if (result.kind === "success") this.#succeed();
    else if (counted || this.#everSucceeded || !this.#isEager()) this.#fail(result.message);
    this.#schedule(this.#delayAfter(startedMs));
  }

  #isEager(): boolean {
    return this.#options.kind !== "liveness" && !this.#everSucceeded;
  }

  #delayAfter(startedMs: number): number {
    const spentMs = this.#options.clock.monotonicMs() - startedMs;
    if (!this.#isEager()) return Math.max(0, this.#timing.periodMs - spentMs);
    const delayMs = Math.min(this.#eagerMs, this.#timing.periodMs);
    this.#eagerMs = Math.min(this.#eagerMs * 1.25, this.#timing.periodMs);
    return delayMs;
  }

  #succeed(): void {
    this.#everSucceeded = true;
    this.#failures = 0;
    this.#successes += 1;
    if (this.#successes === this.#timing.successThreshold) this.#options.onVerdict(true, "");
  }

  #fail(message: string): void {
    this.#successes = 0;
    this.#failures += 1;
    this.#options.onFailure(message);
    if (this.#failures === this.#timing.failureThreshold) this.#options.onVerdict(false, message);
  }
}

function timingOf(probe: Probe): Timing {
  return {
    initialDelayMs: (probe.initialDelaySeconds ?? 0) * 1000,
    periodMs: Math.max(1, probe.periodSeconds ?? 10) * 1000,
    timeoutMs: Math.max(1, probe.timeoutSeconds ?? 1) * 1000,
    successThreshold: Math.max(1, probe.successThreshold ?? 1),
    failureThreshold: Math.max(1, probe.failureThreshold ?? 3),
  };
}
