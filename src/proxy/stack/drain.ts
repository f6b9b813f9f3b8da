// A drain under way: which answers announce the end of their connection, and whether idle connections are ended too.

import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";

export interface DrainLife {
  /** How long connections may go on. */
  readonly ms: number;
  /** `gradual`: the longer it takes, the more answers say `connection: close`. `immediate`: all do. */
  readonly strategy: "gradual" | "immediate";
}

/** What Envoy does where its command line says nothing. */
export const ENVOY_DRAIN: DrainLife = { ms: 600_000, strategy: "gradual" };

export class Drain {
  /** Connections without a request end by themselves: the process waits for them. */
  readonly closesIdle: boolean;
  readonly #life: DrainLife;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #sinceMs: number;

  constructor(
    life: DrainLife,
    around: { readonly clock: Clock; readonly random: Random },
    options: { readonly closesIdle: boolean },
  ) {
    this.#life = life;
    this.#clock = around.clock;
    this.#random = around.random;
    this.#sinceMs = around.clock.monotonicMs();
    this.closesIdle = options.closesIdle;
  }

  /** Whether the answer that is being written is its connection's last one. */
  closesNow(): boolean {
    if (this.#life.strategy === "immediate" || this.#life.ms === 0) return true;
    return this.#random() < (this.#clock.monotonicMs() - this.#sinceMs) / this.#life.ms;
  }
}
