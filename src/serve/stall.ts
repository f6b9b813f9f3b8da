// Whether a client takes what is on its way to it.

import type { Clock, Timer } from "../base/clock.ts";
import { STALLED_AFTER_MS } from "./limits.ts";

export class Stall {
  readonly #clock: Clock;
  readonly #onStalled: () => void;
  #open = 0;
  #timer: Timer | undefined;

  /** `onStalled`: once nothing of what began has ended for too long. */
  constructor(clock: Clock, onStalled: () => void) {
    this.#clock = clock;
    this.#onStalled = onStalled;
  }

  began(): void {
    this.#open += 1;
    if (this.#timer === undefined) this.#watch();
  }

  ended(): void {
    this.#open -= 1;
    this.stop();
    if (this.#open > 0) this.#watch();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #watch(): void {
    this.#timer = this.#clock.after(STALLED_AFTER_MS, this.#onStalled);
  }
}
