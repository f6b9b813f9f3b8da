// Spans on their way to the disk: bounded, written in batches; what can't be kept is dropped and counted, and the store serves on.

import type { Clock, Timer } from "../base/clock.ts";
import { boundedSpan, type RawSpan } from "./bounded.ts";
import type { SpanDatabase } from "./database.ts";
import { AGE_LOOK_MS, REMOVED_SHARE, SPANS_WAITING_MAX, SPANS_WRITTEN_MAX, WRITE_AFTER_MS } from "./limits.ts";
import { oldestMs } from "./questions.ts";
import type { StoredSpan, TraceStats } from "./trace.ts";

export type Protocol = "otlp-http" | "otlp-grpc" | "zipkin" | "jaeger";
type Dropped = "queue" | "disk" | "id";

export interface IntakeAround {
  readonly clock: Clock;
  readonly database: SpanDatabase;
  readonly retryMs: number;
  /** Once, until it works again. */
  readonly warn: (message: string) => void;
}

export class Intake {
  readonly #around: IntakeAround;
  readonly #received = new Map<Protocol, number>();
  readonly #dropped: Record<Dropped, number> = { queue: 0, disk: 0, id: 0 };
  readonly #ageTimer: NodeJS.Timeout;
  #waiting: StoredSpan[] = [];
  #timer: Timer | undefined;
  #malformed = 0;
  #problem = "";
  #retryMs = 0;

  constructor(around: IntakeAround) {
    this.#around = around;
    this.#expire();
    this.#ageTimer = setInterval(() => this.#expire(), AGE_LOOK_MS).unref();
  }

  /** How many of them there is no room for. */
  take(spans: readonly RawSpan[], protocol: Protocol): number {
    this.#received.set(protocol, (this.#received.get(protocol) ?? 0) + spans.length);
    let full = 0;
    for (const raw of spans) {
      const span = boundedSpan(raw);
      if (span === undefined) this.#dropped.id += 1;
      else if (this.#waiting.length >= SPANS_WAITING_MAX) full += 1;
      else this.#waiting.push(span);
    }
    this.#dropped.queue += full;
    this.#writeSoon();
    return full;
  }

  onMalformed(): void {
    this.#malformed += 1;
  }

  /** Everything that waits, before something is asked. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    while (this.#waiting.length > 0) this.#write(this.#waiting.splice(0, SPANS_WRITTEN_MAX));
  }

  stats(): TraceStats {
    const { database } = this.#around;
    return {
      spans: database.spans,
      bytes: database.bytes,
      oldestMs: oldestMs(database),
      received: Object.fromEntries(this.#received),
      dropped: { ...this.#dropped },
      malformed: this.#malformed,
      removed: database.removed,
      problem: this.#problem,
    };
  }

  close(): void {
    clearInterval(this.#ageTimer);
    this.flush();
  }

  #writeSoon(): void {
    if (this.#waiting.length === 0 || this.#timer !== undefined) return;
    this.#timer = this.#around.clock.after(WRITE_AFTER_MS, () => {
      this.#timer = undefined;
      this.#write(this.#waiting.splice(0, SPANS_WRITTEN_MAX));
      this.#writeSoon();
    });
  }

  #write(spans: readonly StoredSpan[]): void {
    const { clock, database, warn } = this.#around;
    if (clock.monotonicMs() < this.#retryMs) {
      this.#dropped.disk += spans.length;
      return;
    }
    try {
      database.add(spans, clock.wallMs());
      if (this.#problem !== "") warn("the trace store writes again");
      this.#problem = "";
    } catch (error) {
      this.#dropped.disk += spans.length;
      this.#onFailed(error instanceof Error ? error.message : String(error));
    }
  }

  /** What is there can still be read; the oldest of it makes room where that is all that it takes. */
  #onFailed(message: string): void {
    const { clock, database, retryMs, warn } = this.#around;
    if (this.#problem === "") warn(`the trace store can't write, so that spans are dropped: ${message}`);
    this.#problem = message;
    this.#retryMs = clock.monotonicMs() + retryMs;
    try {
      database.removeOldest(REMOVED_SHARE);
    } catch (error) {
      this.#problem = `${message}; ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #expire(): void {
    try {
      this.#around.database.expire(this.#around.clock.wallMs());
    } catch (error) {
      this.#onFailed(error instanceof Error ? error.message : String(error));
    }
  }
}
