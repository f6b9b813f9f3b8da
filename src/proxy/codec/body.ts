// The body of a message, by its framing: bytes in, body slices and trailers out. One decoder serves a connection for its whole life.

import { CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX } from "../limits.ts";
import { readFields } from "./fields.ts";
import type { Framing } from "./head.ts";
import { HeaderList } from "./headers.ts";

export interface BodySink {
  onBody(chunk: Buffer): void;
}

type State = "idle" | "length" | "close" | "chunk-size" | "chunk-data" | "chunk-end" | "trailers" | "done" | "failed";

const CRLFCRLF = Buffer.from("\r\n\r\n");
const CR = 13;
const LF = 10;
const ONE_CR = Buffer.from("\r");

export class BodyDecoder {
  state: State = "idle";
  /** What is wrong, when the state is failed. */
  problem = "";
  trailers: HeaderList | undefined;
  #left = 0;
  /** A chunk-size line or trailer section that has not come to its end yet. */
  #held: Buffer | undefined;

  begin(framing: Framing, contentLength: number): void {
    this.trailers = undefined;
    this.#held = undefined;
    this.#left = contentLength;
    if (framing === "none") this.state = "done";
    else if (framing === "length") this.state = "length";
    else if (framing === "close") this.state = "close";
    else this.state = "chunk-size";
  }

  get done(): boolean {
    return this.state === "done";
  }

  /** Reads from `at` and returns where it stopped: the end of the body or of the bytes. */
  push(bytes: Buffer, start: number, sink: BodySink): number {
    let at = start;
    while (at < bytes.length) {
      const before = this.state;
      at = this.#step(bytes, at, sink);
      if (this.state === "done" || this.state === "failed" || this.state === "idle") return at;
      if (at >= bytes.length && before === this.state) return at;
    }
    return at;
  }

  #step(bytes: Buffer, at: number, sink: BodySink): number {
    switch (this.state) {
      case "length":
      case "chunk-data": {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        if (this.#left === 0) this.state = this.state === "length" ? "done" : "chunk-end";
        sink.onBody(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end));
        return end;
      }
      case "close":
        sink.onBody(at === 0 ? bytes : bytes.subarray(at));
        return bytes.length;
      case "chunk-size":
        return this.#chunkSize(bytes, at);
      case "chunk-end":
        return this.#chunkEnd(bytes, at);
      case "trailers":
        return this.#readTrailers(bytes, at);
      case "idle":
      case "done":
      case "failed":
        return at;
    }
  }

  #chunkSize(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(LF, at);
    if (end === -1) {
      this.#hold(bytes.subarray(at), CHUNK_LINE_BYTES_MAX, "a chunk-size line longer than the limit");
      return bytes.length;
    }
    let line = bytes.toString("latin1", at, end + 1);
    if (this.#held !== undefined) {
      line = this.#held.toString("latin1") + line;
      this.#held = undefined;
    }
    if (line.length > CHUNK_LINE_BYTES_MAX) return this.#fail("a chunk-size line longer than the limit", at);
    const match = CHUNK_LINE.exec(line);
    if (match === null) return this.#fail("a bad chunk size", at);
    this.#left = Number.parseInt(match[1] ?? "", 16);
    this.state = this.#left === 0 ? "trailers" : "chunk-data";
    return end + 1;
  }

  #chunkEnd(bytes: Buffer, at: number): number {
    if (this.#held === undefined) {
      if (bytes[at] !== CR) return this.#fail("a chunk that is longer than its size", at);
      if (at + 1 === bytes.length) {
        this.#held = ONE_CR;
        return at + 1;
      }
      if (bytes[at + 1] !== LF) return this.#fail("a chunk that does not end in CRLF", at);
      this.state = "chunk-size";
      return at + 2;
    }
    this.#held = undefined;
    if (bytes[at] !== LF) return this.#fail("a chunk that does not end in CRLF", at);
    this.state = "chunk-size";
    return at + 1;
  }

  /** The last chunk's line is behind; what follows is CRLF, or trailer lines and an empty one. */
  #readTrailers(bytes: Buffer, at: number): number {
    const heldLength = this.#held?.length ?? 0;
    const all = this.#held === undefined ? bytes.subarray(at) : Buffer.concat([this.#held, bytes.subarray(at)]);
    if (all.length >= 2 && all[0] === CR && all[1] === LF) {
      this.#held = undefined;
      this.state = "done";
      return at + 2 - heldLength;
    }
    if (all[0] === LF) return this.#fail("a bare LF after the last chunk", at);
    const end = all.indexOf(CRLFCRLF);
    if (end === -1) {
      this.#held = undefined;
      this.#hold(all, TRAILER_BYTES_MAX, "a trailer section longer than the limit");
      return bytes.length;
    }
    if (end > TRAILER_BYTES_MAX) return this.#fail("a trailer section longer than the limit", at);
    const trailers = new HeaderList();
    const problem = readFields(all.toString("latin1", 0, end + 2), 0, trailers, { headersCountMax: 64 });
    if (problem !== "") return this.#fail(`in the trailers: ${problem}`, at);
    for (const name of FORBIDDEN_TRAILERS) trailers.remove(name);
    this.trailers = trailers;
    this.#held = undefined;
    this.state = "done";
    return at + end + 4 - heldLength;
  }

  #hold(bytes: Buffer, bytesMax: number, problem: string): void {
    // Copied: the reader's buffer is used again.
    this.#held = this.#held === undefined ? Buffer.from(bytes) : Buffer.concat([this.#held, bytes]);
    if (this.#held.length > bytesMax) this.#fail(problem, 0);
  }

  #fail(problem: string, at: number): number {
    this.state = "failed";
    this.problem = problem;
    return at;
  }
}

/** At most 13 hexadecimal digits (what a number holds), then extensions: names, some with a token or a quoted string as value. */
const CHUNK_LINE =
  /^0*([0-9a-fA-F]{1,13})(?:[ \t]*;[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*=[ \t]*(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"))?)*\r\n$/;

/** Fields that frame or route a message have no business behind it. */
const FORBIDDEN_TRAILERS = [
  "content-length",
  "transfer-encoding",
  "host",
  "connection",
  "trailer",
  "te",
  "authorization",
];
