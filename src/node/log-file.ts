// A container's output on disk: one line a record, with a timestamp, as container runtimes write it.
// `2026-01-02T03:04:05.678000000Z stdout F text`; F is a whole line, P one that goes on in the next record.

import { closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Clock } from "../base/clock.ts";
import { LOG_FILE_BYTES_MAX, LOG_INSTANCES_MAX, LOG_LINE_BYTES_MAX } from "./limits.ts";

export interface LogLocation {
  readonly root: string;
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

export function logDirectory(location: LogLocation): string {
  return join(location.root, location.namespace, location.pod, location.container);
}

/** The log of one run of a container. Readers that follow it are woken by `onWrite`. */
export class LogFile {
  readonly path: string;
  readonly #clock: Clock;
  readonly #listeners = new Set<() => void>();
  #descriptor: number | undefined;
  #bytes = 0;
  #openSources = 0;

  constructor(path: string, clock: Clock) {
    this.path = path;
    this.#clock = clock;
    this.#descriptor = openSync(path, "a", 0o600);
  }

  get closed(): boolean {
    return this.#descriptor === undefined;
  }

  /** Takes everything that the stream says, until it ends. */
  attach(name: "stdout" | "stderr", stream: Readable): void {
    let rest = Buffer.alloc(0);
    this.#openSources += 1;
    stream.on("data", (chunk: Buffer) => {
      rest = this.#lines(name, rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
    });
    let ended = false;
    const finish = () => {
      if (ended) return;
      ended = true;
      if (rest.length > 0) this.#write(this.#record(name, "P", rest));
      this.#openSources -= 1;
    };
    stream.once("end", finish);
    stream.once("close", finish);
    stream.once("error", finish);
  }

  /** Returns the way to stop listening. */
  onWrite(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    for (const listener of this.#listeners) listener();
  }

  /** Writes the whole lines of `data`, and cuts what is too long for one; returns what is left over. */
  #lines(name: string, data: Buffer): Buffer<ArrayBuffer> {
    const records: Buffer[] = [];
    let start = 0;
    for (;;) {
      const end = data.indexOf(10, start);
      const stop = end < 0 ? data.length : end;
      if (stop - start > LOG_LINE_BYTES_MAX) {
        records.push(this.#record(name, "P", data.subarray(start, start + LOG_LINE_BYTES_MAX)));
        start += LOG_LINE_BYTES_MAX;
        continue;
      }
      if (end < 0) break;
      records.push(this.#record(name, "F", data.subarray(start, end)));
      start = end + 1;
    }
    if (records.length > 0) this.#write(Buffer.concat(records));
    return Buffer.from(data.subarray(start));
  }

  #record(name: string, tag: "F" | "P", line: Buffer): Buffer {
    const time = new Date(this.#clock.wallMs()).toISOString().replace("Z", "000000Z");
    return Buffer.concat([Buffer.from(`${time} ${name} ${tag} `), line, Buffer.from("\n")]);
  }

  #write(data: Buffer): void {
    if (this.#descriptor === undefined) return;
    if (this.#bytes + data.length > LOG_FILE_BYTES_MAX && this.#bytes > 0) this.#rotate();
    writeSync(this.#descriptor, data);
    this.#bytes += data.length;
    for (const listener of this.#listeners) listener();
  }

  #rotate(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    renameSync(this.path, `${this.path}.old`);
    this.#descriptor = openSync(this.path, "a", 0o600);
    this.#bytes = 0;
  }
}

/** Begins the log of the run with this number, and lets go of runs that are too old. */
export function openLog(location: LogLocation, run: number, clock: Clock): LogFile {
  const directory = logDirectory(location);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(directory)) {
    const other = Number(name.split(".")[0]);
    if (other <= run - LOG_INSTANCES_MAX || other > run) rmSync(join(directory, name), { force: true });
  }
  rmSync(join(directory, `${run}.log.old`), { force: true });
  return new LogFile(join(directory, `${run}.log`), clock);
}

/** A deleted pod's logs go with it; its namespace's directory when it was the last. */
export function removeLogs(root: string, namespace: string, pod: string): void {
  rmSync(join(root, namespace, pod), { recursive: true, force: true });
  const left = join(root, namespace);
  if (existsSync(left) && readdirSync(left).length === 0) rmSync(left, { recursive: true, force: true });
}
