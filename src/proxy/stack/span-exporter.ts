// Finished spans of one backend, on their way there.

import type { Clock } from "../../base/clock.ts";
import type { Registry } from "../../observe/metrics.ts";
import type { Span } from "../../observe/span.ts";
import { SPANS_REPORTED_MAX, SPANS_WAIT_MS, SPANS_WAITING_MAX } from "../limits.ts";
import { Batches, type BatchStats, type Transport } from "./batches.ts";

const BOUNDS = { waitingMax: SPANS_WAITING_MAX, reportedMax: SPANS_REPORTED_MAX, waitMs: SPANS_WAIT_MS };

export class SpanExporter {
  readonly #clock: Clock;
  readonly #batches: Batches<Span>;
  /** Wall time less monotonic time, in milliseconds; the wall's clock shows whole ones, so the largest seen is the nearest. */
  #offsetMs: number;

  constructor(
    name: string,
    transport: Transport<Span>,
    around: { readonly clock: Clock; readonly registry: Registry },
  ) {
    this.#clock = around.clock;
    this.#offsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    const stats = statsOf(around.registry, name);
    this.#batches = new Batches(transport, { clock: around.clock, stats, bounds: BOUNDS }, () => this.#readClock());
  }

  /** Microseconds since the epoch. */
  wallUs(monotonicMs: number): number {
    return (monotonicMs + this.#offsetMs) * 1000;
  }

  add(span: Span): void {
    this.#batches.add(span);
  }

  settle(): Promise<void> {
    return this.#batches.settle();
  }

  close(): void {
    this.#batches.close();
  }

  /** More than a grain lower: somebody has set the clock. */
  #readClock(): void {
    const offsetMs = this.#clock.wallMs() - this.#clock.monotonicMs();
    if (offsetMs > this.#offsetMs || offsetMs < this.#offsetMs - 1) this.#offsetMs = offsetMs;
  }
}

function statsOf(registry: Registry, name: string): BatchStats {
  const scope = registry.scope({ statPrefix: `tracing.${name}.`, namePrefix: `envoy_tracing_${name}_`, labels: {} });
  return {
    sent: scope.counter("spans_sent"),
    timerFlushed: scope.counter("timer_flushed"),
    dropped: scope.counter("spans_dropped"),
    reportsSent: scope.counter("reports_sent"),
    reportsFailed: scope.counter("reports_dropped"),
    reportsNowhere: scope.counter("reports_skipped_no_cluster"),
  };
}
