// Reading a container's log back: the last lines, since a time, with timestamps, and following it as it grows.

import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { Readable } from "node:stream";
import type { LogFile } from "./log-file.ts";

export interface LogSelection {
  readonly tailLines: number | undefined;
  /** Lines written at or after this instant. */
  readonly sinceMs: number | undefined;
  readonly timestamps: boolean;
  readonly limitBytes: number | undefined;
}

const READ_BYTES = 65_536;

/** Everything that is there now. */
export function readLog(path: string, selection: LogSelection): Buffer {
  return readUpTo(path, selection).text;
}

/** What is there, and then what comes, until the container's run ends or the reader goes away. */
export function followLog(path: string, file: LogFile | undefined, selection: LogSelection): Readable {
  const start = readUpTo(path, selection);
  const stream = new Readable({ read: () => undefined });
  if (start.text.length > 0) stream.push(start.text);
  if (file === undefined || file.closed) {
    stream.push(null);
    return stream;
  }
  const follower = new Follower(path, start.endOffset);
  const forward = () => {
    const text = render(follower.take(), { ...selection, tailLines: undefined, limitBytes: undefined });
    if (text.length > 0) stream.push(text);
    if (file.closed) stream.push(null);
  };
  const stop = file.onWrite(forward);
  stream.once("close", () => {
    stop();
    follower.close();
  });
  return stream;
}

/** Reads on from where it stopped, through a rotation too. */
class Follower {
  readonly #path: string;
  #descriptor: number;
  #inode: number;
  #offset: number;
  #rest = Buffer.alloc(0);

  constructor(path: string, offset: number) {
    this.#path = path;
    this.#descriptor = openSync(path, "r");
    this.#inode = statSync(path).ino;
    this.#offset = offset;
  }

  /** The whole records that are new. */
  take(): Buffer {
    const parts = [this.#rest, ...this.#readOn()];
    const stat = statSync(this.#path, { throwIfNoEntry: false });
    if (stat !== undefined && stat.ino !== this.#inode) {
      closeSync(this.#descriptor);
      this.#descriptor = openSync(this.#path, "r");
      this.#inode = stat.ino;
      this.#offset = 0;
      parts.push(...this.#readOn());
    }
    const all = Buffer.concat(parts);
    const end = all.lastIndexOf(10) + 1;
    this.#rest = Buffer.from(all.subarray(end));
    return all.subarray(0, end);
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #readOn(): Buffer[] {
    const parts: Buffer[] = [];
    for (;;) {
      const chunk = Buffer.allocUnsafe(READ_BYTES);
      const count = readSync(this.#descriptor, chunk, 0, READ_BYTES, this.#offset);
      if (count === 0) return parts;
      this.#offset += count;
      parts.push(chunk.subarray(0, count));
    }
  }
}

function readUpTo(path: string, selection: LogSelection): { readonly text: Buffer; readonly endOffset: number } {
  const rotated = existsSync(`${path}.old`) ? readFileSync(`${path}.old`) : Buffer.alloc(0);
  const current = existsSync(path) ? readFileSync(path) : Buffer.alloc(0);
  const endOffset = current.lastIndexOf(10) + 1;
  return { text: render(Buffer.concat([rotated, current.subarray(0, endOffset)]), selection), endOffset };
}

function render(records: Buffer, selection: LogSelection): Buffer {
  const lines: { readonly head: string; readonly rest: Buffer; readonly whole: boolean }[] = [];
  let start = 0;
  for (let end = records.indexOf(10, start); end >= 0; end = records.indexOf(10, start)) {
    const line = records.subarray(start, end);
    start = end + 1;
    const timeEnd = line.indexOf(32);
    const nameEnd = line.indexOf(32, timeEnd + 1);
    const tagEnd = line.indexOf(32, nameEnd + 1);
    if (timeEnd < 0 || nameEnd < 0 || tagEnd < 0) continue;
    const head = line.toString("latin1", 0, timeEnd);
    if (selection.sinceMs !== undefined && Date.parse(head) < selection.sinceMs) continue;
    lines.push({ head, rest: line.subarray(tagEnd + 1), whole: line[nameEnd + 1] === 70 });
  }
  const chosen =
    selection.tailLines === undefined ? lines : selection.tailLines === 0 ? [] : lines.slice(-selection.tailLines);
  const parts: Buffer[] = [];
  for (const line of chosen) {
    if (selection.timestamps) parts.push(Buffer.from(`${line.head} `));
    parts.push(line.rest);
    if (line.whole) parts.push(Buffer.from("\n"));
  }
  const text = Buffer.concat(parts);
  return selection.limitBytes === undefined ? text : text.subarray(0, selection.limitBytes);
}
