// Time as a parameter, so that tests can turn it by hand.

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Milliseconds since the Unix epoch: for certificates, timestamps, anything a person compares with a watch. */
  wallMs(): number;
  /** Milliseconds that never jump: for durations and deadlines. */
  monotonicMs(): number;
  /** Calls `run` once after `delayMs`. The timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
}

/** The longest delay that a Node timer takes; beyond it, it would fire at once. */
const TIMER_DELAY_MAX_MS = 2 ** 31 - 1;

/** While one event is handled, its instant; outside, or before anybody asked, negative. */
let instantMs = -1;
let handling = false;

/** Begins an event: until `endEvent`, monotonic time of the system's clock stands still, and asking for it costs nothing. */
export function beginEvent(): void {
  handling = true;
  instantMs = -1;
}

export function endEvent(): void {
  handling = false;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs() {
    if (!handling) return performance.now();
    if (instantMs < 0) instantMs = performance.now();
    return instantMs;
  },
  after(delayMs, run) {
    const handle = setTimeout(run, Math.min(delayMs, TIMER_DELAY_MAX_MS));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** A clock that moves only when told to. Timers due at the same instant run in the order they were set. */
export class VirtualClock implements Clock {
  #nowMs: number;
  #sequence = 0;
  #pending: { dueMs: number; sequence: number; run: () => void }[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, run: () => void): Timer {
    const entry = { dueMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, run };
    this.#pending.push(entry);
    return {
      cancel: () => {
        this.#pending = this.#pending.filter((other) => other !== entry);
      },
    };
  }

  /** Moves time on, running every timer that falls due on the way, those set by other timers too. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const next = this.#pending
        .filter((entry) => entry.dueMs <= endMs)
        .sort((a, b) => a.dueMs - b.dueMs || a.sequence - b.sequence)[0];
      if (next === undefined) break;
      this.#pending = this.#pending.filter((entry) => entry !== next);
      this.#nowMs = next.dueMs;
      next.run();
    }
    this.#nowMs = endMs;
  }
}
