// How many certificates one identity may ask for in a minute: a broken client must not keep the others from theirs.

import type { Clock } from "../base/clock.ts";
import { CALLER_REQUESTS_MAX, CALLERS_REMEMBERED_MAX } from "./limits.ts";

const WINDOW_MS = 60_000;

export class CallerLimiter {
  readonly #clock: Clock;
  /** Of the window that is running. */
  readonly #counts = new Map<string, number>();
  #windowStartMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  admit(caller: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#windowStartMs >= WINDOW_MS || this.#counts.size >= CALLERS_REMEMBERED_MAX) {
      this.#counts.clear();
      this.#windowStartMs = nowMs;
    }
    const count = (this.#counts.get(caller) ?? 0) + 1;
    this.#counts.set(caller, count);
    return count <= CALLER_REQUESTS_MAX;
  }
}
