// Access-log lines to their files, with a bound on what waits for a slow one.

import { createWriteStream, type WriteStream } from "node:fs";
import type { Clock } from "../../base/clock.ts";
import type { AccessRecord } from "../../observe/access-record.ts";
import type { Counter, Registry } from "../../observe/metrics.ts";
import type { AccessLogConfig } from "../compile/access-log.ts";
import { ACCESS_LOG_BYTES_MAX, ACCESS_LOG_RETRY_MS } from "../limits.ts";
import type { LogCollectors } from "./log-collectors.ts";

export class AccessLogWriter {
  readonly #streams = new Map<string, WriteStream | NodeJS.WriteStream>();
  /** Files that failed, and when they are tried again. */
  readonly #failed = new Map<string, number>();
  readonly #dropped: Counter;
  readonly #collectors: LogCollectors;
  readonly #clock: Clock;
  readonly #onWritten = (error: Error | null | undefined) => {
    if (error !== null && error !== undefined) this.#dropped.inc();
  };

  constructor(registry: Registry, clock: Clock, collectors: LogCollectors) {
    this.#collectors = collectors;
    this.#clock = clock;
    const scope = registry.scope({ statPrefix: "access_log.", namePrefix: "weft_access_log_", labels: {} });
    this.#dropped = scope.counter("lines_dropped");
  }

  write(logs: readonly AccessLogConfig[], record: AccessRecord): void {
    for (const log of logs) {
      if (!log.accepts(record)) continue;
      if (log.kind === "collected") {
        this.#collectors.add(log.sink, record);
        continue;
      }
      const stream = this.#stream(log.path);
      if (stream === undefined || stream.writableLength > ACCESS_LOG_BYTES_MAX) this.#dropped.inc();
      else stream.write(log.format(record), this.#onWritten);
    }
  }

  close(): void {
    for (const stream of this.#streams.values()) {
      if (stream !== process.stdout && stream !== process.stderr) stream.end();
    }
    this.#streams.clear();
    this.#collectors.close();
  }

  /** What collectors are still to be told. */
  settle(): Promise<void> {
    return this.#collectors.settle();
  }

  #stream(path: string): WriteStream | NodeJS.WriteStream | undefined {
    let stream = this.#streams.get(path);
    if (stream !== undefined) return stream;
    const retryMs = this.#failed.get(path);
    if (retryMs !== undefined && this.#clock.monotonicMs() < retryMs) return undefined;
    if (path === "/dev/stdout") stream = process.stdout;
    else if (path === "/dev/stderr") stream = process.stderr;
    else {
      const file = createWriteStream(path, { flags: "a" });
      file.on("error", (error) => {
        // Told once, however long it lasts.
        if (!this.#failed.has(path)) process.stderr.write(`access log ${path}: ${error.message}\n`);
        this.#failed.set(path, this.#clock.monotonicMs() + ACCESS_LOG_RETRY_MS);
        this.#streams.delete(path);
      });
      stream = file;
    }
    this.#streams.set(path, stream);
    return stream;
  }
}
