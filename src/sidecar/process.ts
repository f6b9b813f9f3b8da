// What a proxy process is made of, whichever way it was started.

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { LogRoot } from "../observe/log.ts";

export interface Process {
  readonly clock: Clock;
  readonly random: Random;
  readonly logs: LogRoot;
  /** On the monotonic clock, whose zero is the start of the process. */
  readonly startedAtMs: number;
}

export interface Running {
  /** Drains, then closes. */
  stop(): Promise<void>;
}
