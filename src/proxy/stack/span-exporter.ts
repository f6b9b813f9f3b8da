// Finished spans of one backend: kept within a bound, sent in batches beside the requests, never in their way.

import type { Clock, Timer } from "../../base/clock.ts";
import type { Counter, Registry } from "../../observe/metrics.ts";
import type { Span } from "../../observe/span.ts";
import {
  REPORTS_UNDER_WAY_MAX,
  SPANS_LOOK_MS,
  SPANS_REPORTED_MAX,
  SPANS_SETTLE_MS,
  SPANS_WAIT_MS,
  SPANS_WAITING_MAX,
} from "../limits.ts";

/** What became of a report: how many of its spans left, and whether there was anywhere to send it. */
export type Reported = { readonly kind: "sent"; readonly spans: number } | { readonly kind: "failed" | "nowhere" };

export interface SpanTransport {
  /** Called at most `REPORTS_UNDER_WAY_MAX` times without an end. */
  send(spans: readonly Span[], done: (result: Reported) => void): void;
  close(): void;
}

class ExporterStats {
  readonly spansSent: Counter;
  readonly timerFlushed: Counter;
  readonly spansDropped: Counter;
  readonly reportsSent: Counter;
  readonly reportsFailed: Counter;
  readonly reportsNowhere: Counter;

  constructor(registry: Registry, name: string) {
    const scope = registry.scope({ statPrefix: `tracing.${name}.`, namePrefix: `envoy_tracing_${name}_`, labels: {} });
    this.spansSent = scope.counter("spans_sent");
    this.timerFlushed = scope.counter("timer_flushed");
    this.spansDropped = scope.counter("spans_dropped");
    this.reportsSent = scope.counter("reports_sent");
    this.reportsFailed = scope.counter("reports_dropped");
    this.reportsNowhere = scope.counter("reports_skipped_no_cluster");
  }
}

export class SpanExporter {
  readonly #transport: SpanTransport;
  readonly #clock: Clock;
  readonly #stats: ExporterStats;
  #waiting: Span[] = [];
  #timer: Timer | undefined;
  #underWay = 0;
  /** Wall time less monotonic time, in milliseconds; the wall's clock shows whole ones, so the largest seen is the nearest. */
  #offsetMs: number;

  constructor(name: string, transport: SpanTransport, around: { readonly clock: Clock; readonly registry: Registry }) {
    this.#transport = transport;
    this.#clock = around.clock;
    this.#stats = new ExporterStats(around.registry, name);
    this.#offsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
  }

  /** Microseconds since the epoch. */
  wallUs(monotonicMs: number): number {
    return (monotonicMs + this.#offsetMs) * 1000;
  }

  add(span: Span): void {
    if (this.#waiting.length >= SPANS_WAITING_MAX) {
      this.#stats.spansDropped.value += 1;
      return;
    }
    this.#waiting.push(span);
    this.#timer ??= this.#clock.after(SPANS_WAIT_MS, () => {
      this.#timer = undefined;
      this.#stats.timerFlushed.value += 1;
      this.#readClock();
      this.flush();
    });
  }

  flush(): void {
    while (this.#waiting.length > 0 && this.#underWay < REPORTS_UNDER_WAY_MAX) {
      this.#report(this.#waiting.splice(0, SPANS_REPORTED_MAX));
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

  #report(spans: readonly Span[]): void {
    this.#underWay += 1;
    this.#transport.send(spans, (result) => {
      this.#underWay -= 1;
      const sent = result.kind === "sent" ? result.spans : 0;
      this.#stats.spansSent.value += sent;
      this.#stats.spansDropped.value += spans.length - sent;
      if (result.kind === "sent") this.#stats.reportsSent.value += 1;
      else if (result.kind === "failed") this.#stats.reportsFailed.value += 1;
      else this.#stats.reportsNowhere.value += 1;
      // Those that came while nothing could be sent.
      if (this.#timer === undefined) this.flush();
    });
  }

  /** More than a grain lower: somebody has set the clock. */
  #readClock(): void {
    const offsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    if (offsetMs > this.#offsetMs || offsetMs < this.#offsetMs - 1) this.#offsetMs = offsetMs;
  }
}
