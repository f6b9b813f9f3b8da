// What happens when an invariant breaks: the connection that it broke on is given up and the process goes on; where they
// break again and again, it ends, because nobody knows any more what it would do.

import type { Log } from "../observe/log.ts";
import { serving } from "../proxy/stack/serving.ts";
import { FAULT_WINDOW_MS, FAULTS_MAX } from "./limits.ts";

export interface FaultAround {
  readonly log: Log;
  readonly monotonicMs: () => number;
  /** Before that, nothing is worth going on for. */
  isServing(): boolean;
  end(): void;
}

export class Faults {
  readonly #around: FaultAround;
  /** Times of the last faults, at most FAULTS_MAX of them. */
  #times: number[] = [];

  constructor(around: FaultAround) {
    this.#around = around;
  }

  onUncaught(error: unknown): void {
    const { log, monotonicMs, isServing, end } = this.#around;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    log.error(`broken invariant: ${text}`);
    serving.giveUp();
    if (!isServing()) {
      end();
      return;
    }
    const nowMs = monotonicMs();
    this.#times = [...this.#times.filter((time) => nowMs - time < FAULT_WINDOW_MS), nowMs];
    if (this.#times.length < FAULTS_MAX) return;
    log.error(
      `${FAULTS_MAX} broken invariants within ${FAULT_WINDOW_MS / 1000} s: the process ends. Next: see the stacks above`,
    );
    end();
  }
}
