// Collects the bytes of a message head until its empty line is there, within a bound.

import type { HeadError } from "./head.ts";

const END = Buffer.from("\r\n\r\n");
const CR = 13;
const LF = 10;

export class HeadAssembler {
  readonly bytesMax: number;
  #held: Buffer | undefined;
  /** Where in the last pushed bytes the head ended. */
  next = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get empty(): boolean {
    return this.#held === undefined;
  }

  /** The head's text up to the CRLF of its last line; undefined while more is needed. */
  push(bytes: Buffer, at: number): string | HeadError | undefined {
    let start = at;
    let all = bytes;
    const heldLength = this.#held?.length ?? 0;
    if (this.#held !== undefined) {
      all = Buffer.concat([this.#held, bytes.subarray(at)]);
      start = 0;
    }
    // One empty line before a message is ignored (RFC 9112, section 2.2).
    const messageStart = all[start] === CR && all[start + 1] === LF ? start + 2 : start;
    const end = all.indexOf(END, messageStart);
    if (end === -1) return this.#wait(all, start, messageStart);
    if (end - messageStart > this.bytesMax) return TOO_LARGE;
    this.#held = undefined;
    this.next = all === bytes ? end + 4 : at + end + 4 - heldLength;
    return all.toString("latin1", messageStart, end + 2);
  }

  #wait(all: Buffer, start: number, messageStart: number): HeadError | undefined {
    if (all.length - messageStart > this.bytesMax) return TOO_LARGE;
    for (let at = all.indexOf(LF, messageStart); at !== -1; at = all.indexOf(LF, at + 1)) {
      if (at === messageStart || all[at - 1] !== CR) return BARE_LF;
    }
    // Copied: the reader's buffer is used again.
    this.#held = this.#held === undefined ? Buffer.from(all.subarray(start)) : all;
    return undefined;
  }
}

const TOO_LARGE: HeadError = { kind: "error", status: 431, message: "the head is larger than the limit" };
const BARE_LF: HeadError = { kind: "error", status: 400, message: "an LF without a CR" };
