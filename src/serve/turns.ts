// Large responses take turns, so that a thousand proxies that connect at once don't need a thousand times the memory.

import type { Clock } from "../base/clock.ts";
import { IN_FLIGHT_BYTES_MAX, LARGE_RESPONSE_BYTES, SLOW_AFTER_MS } from "./limits.ts";

export class Turns {
  readonly #clock: Clock;
  #inFlight = 0;
  /** In the order in which they came, with what they want to send. */
  readonly #waiting = new Map<() => void, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What to call when the response is on its way; undefined: not now, `onTurn` is called when it may be tried again. */
  take(bytes: number, onTurn: () => void): (() => void) | undefined {
    if (bytes < LARGE_RESPONSE_BYTES) return nothing;
    if (!this.#fits(bytes)) {
      this.#waiting.set(onTurn, bytes);
      return undefined;
    }
    this.#inFlight += bytes;
    let done = false;
    const release = (): void => {
      if (done) return;
      done = true;
      timer.cancel();
      this.#inFlight -= bytes;
      this.#next();
    };
    const timer = this.#clock.after(SLOW_AFTER_MS, release);
    return release;
  }

  forget(onTurn: () => void): void {
    this.#waiting.delete(onTurn);
  }

  #next(): void {
    for (const [onTurn, bytes] of this.#waiting) {
      if (!this.#fits(bytes)) return;
      this.#waiting.delete(onTurn);
      onTurn();
    }
  }

  #fits(bytes: number): boolean {
    return this.#inFlight === 0 || this.#inFlight + bytes <= IN_FLIGHT_BYTES_MAX;
  }
}

function nothing(): void {
  // Small ones don't count.
}
