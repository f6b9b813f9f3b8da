// What is told to one backend beside the requests: kept within a bound, sent in batches, never in anybody's way.

import type { Clock, Timer } from "../../base/clock.ts";
import type { Counter } from "../../observe/metrics.ts";
import { REPORTS_UNDER_WAY_MAX, SPANS_LOOK_MS, SPANS_SETTLE_MS } from "../limits.ts";

/** What became of a report: how many of its items left, and whether there was anywhere to send it. */
export type Reported = { readonly kind: "sent"; readonly items: number } | { readonly kind: "failed" | "nowhere" };

export interface Transport<T> {
  /** Called at most `REPORTS_UNDER_WAY_MAX` times without an end. */
  send(items: readonly T[], done: (result: Reported) => void): void;
  close(): void;
}

export interface BatchStats {
  readonly sent: Counter;
  readonly dropped: Counter;
  readonly timerFlushed: Counter;
  readonly reportsSent: Counter;
  readonly reportsFailed: Counter;
  readonly reportsNowhere: Counter;
}

export interface BatchBounds {
  readonly waitingMax: number;
  readonly reportedMax: number;
  readonly waitMs: number;
}

export class Batches<T> {
  readonly #transport: Transport<T>;
  readonly #clock: Clock;
  readonly #stats: BatchStats;
  readonly #bounds: BatchBounds;
  readonly #onTimer: () => void;
  #waiting: T[] = [];
  #timer: Timer | undefined;
  #underWay = 0;

  constructor(
    transport: Transport<T>,
    around: { readonly clock: Clock; readonly stats: BatchStats; readonly bounds: BatchBounds },
    onTimer: () => void = () => undefined,
  ) {
    this.#transport = transport;
    this.#clock = around.clock;
    this.#stats = around.stats;
    this.#bounds = around.bounds;
    this.#onTimer = onTimer;
  }

  add(item: T): void {
    if (this.#waiting.length >= this.#bounds.waitingMax) {
      this.#stats.dropped.value += 1;
      return;
    }
    this.#waiting.push(item);
    this.#timer ??= this.#clock.after(this.#bounds.waitMs, () => {
      this.#timer = undefined;
      this.#stats.timerFlushed.value += 1;
      this.#onTimer();
      this.flush();
    });
  }

  flush(): void {
    while (this.#waiting.length > 0 && this.#underWay < REPORTS_UNDER_WAY_MAX) {
      this.#report(this.#waiting.splice(0, this.#bounds.reportedMax));
    }
  }

  /** Resolves when all that was told has left, or when that takes too long. */
  settle(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.flush();
    const over = this.#clock.monotonicMs() + SPANS_SETTLE_MS;
    return new Promise((resolve) => {
      const look = () => {
        if (this.#underWay === 0 || this.#clock.monotonicMs() >= over) resolve();
        else this.#clock.after(SPANS_LOOK_MS, look);
      };
      look();
    });
  }

  close(): void {
    this.#timer?.cancel();
    this.flush();
    this.#transport.close();
  }

  #report(items: readonly T[]): void {
    this.#underWay += 1;
    this.#transport.send(items, (result) => {
      this.#underWay -= 1;
      const sent = result.kind === "sent" ? result.items : 0;
      this.#stats.sent.value += sent;
      this.#stats.dropped.value += items.length - sent;
      if (result.kind === "sent") this.#stats.reportsSent.value += 1;
      else if (result.kind === "failed") this.#stats.reportsFailed.value += 1;
      else this.#stats.reportsNowhere.value += 1;
      // Those that came while nothing could be sent.
      if (this.#timer === undefined) this.flush();
    });
  }
}
