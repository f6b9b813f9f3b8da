// Access-log lines to their files, with a bound on what waits for a slow one.

import { createWriteStream, type WriteStream } from "node:fs";
import type { AccessRecord } from "../../observe/access-record.ts";
import type { Counter, Registry } from "../../observe/metrics.ts";
import type { AccessLogConfig } from "../compile/access-log.ts";
import { ACCESS_LOG_BYTES_MAX } from "../limits.ts";

export class AccessLogWriter {
  readonly #streams = new Map<string, WriteStream | NodeJS.WriteStream>();
  readonly #dropped: Counter;

  constructor(registry: Registry) {
    const scope = registry.scope({ statPrefix: "access_log.", namePrefix: "weft_access_log_", labels: {} });
    this.#dropped = scope.counter("lines_dropped");
  }

  write(logs: readonly AccessLogConfig[], record: AccessRecord): void {
    for (const log of logs) {
      if (!log.accepts(record)) continue;
      const stream = this.#stream(log.path);
      if (stream.writableLength > ACCESS_LOG_BYTES_MAX) this.#dropped.inc();
      else stream.write(log.format(record));
    }
  }

  close(): void {
    for (const stream of this.#streams.values()) {
      if (stream !== process.stdout && stream !== process.stderr) stream.end();
    }
    this.#streams.clear();
  }

  #stream(path: string): WriteStream | NodeJS.WriteStream {
    let stream = this.#streams.get(path);
    if (stream !== undefined) return stream;
    if (path === "/dev/stdout") stream = process.stdout;
    else if (path === "/dev/stderr") stream = process.stderr;
    else {
      const file = createWriteStream(path, { flags: "a" });
      file.on("error", (error) => process.stderr.write(`access log ${path}: ${error.message}\n`));
      stream = file;
    }
    this.#streams.set(path, stream);
    return stream;
  }
}
