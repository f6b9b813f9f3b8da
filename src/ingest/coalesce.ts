// Bursts of changes to one call: after a quiet moment, at the latest after a bound, at once where it is urgent.

import type { Clock, Timer } from "../base/clock.ts";
import { BURST_MAX_MS, QUIET_MS } from "./limits.ts";

export class Coalescer {
  readonly #clock: Clock;
  readonly #run: (waitedMs: number) => void;
  #timer: Timer | undefined;
  #firstMs: number | undefined;
  #isUrgent = false;

  /** `run` is told how long the first of the changes has waited. */
  constructor(clock: Clock, run: (waitedMs: number) => void) {
    this.#clock = clock;
    this.#run = run;
  }

  touch(urgency: "soon" | "now"): void {
    const nowMs = this.#clock.monotonicMs();
    this.#firstMs ??= nowMs;
    // What follows an urgent change waits no longer than that one.
    this.#isUrgent ||= urgency === "now";
    const leftMs = Math.max(0, this.#firstMs + BURST_MAX_MS - nowMs);
    this.#timer?.cancel();
    this.#timer = this.#clock.after(this.#isUrgent ? 0 : Math.min(QUIET_MS, leftMs), () => {
      this.#timer = undefined;
      const waitedMs = this.#clock.monotonicMs() - (this.#firstMs ?? nowMs);
      this.#firstMs = undefined;
      this.#isUrgent = false;
      this.#run(waitedMs);
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
