// The server's side of an HTTP/1.1 connection: bytes of a client to one request after the other.

import { PIPELINED_BYTES_MAX } from "../limits.ts";
import { HeadAssembler } from "./assemble.ts";
import { BodyDecoder } from "./body.ts";
import { type HeadError, type HeadOptions, parseRequestHead, type RequestHead } from "./head.ts";
import type { HeaderList } from "./headers.ts";

export interface ServerHandler {
  /** `ended`: the request has no body, onEnd is not called for it. */
  onRequest(head: RequestHead, ended: boolean): void;
  onBody(chunk: Buffer): void;
  onEnd(trailers: HeaderList | undefined): void;
  /** The bytes are not HTTP; nothing more is read. `inBody`: the head was good and has been handed over. */
  onProtocolError(error: HeadError, inBody: boolean): void;
  /** After the switch of protocols: bytes as they are. */
  onTunnel(chunk: Buffer): void;
  /** More was sent ahead than is kept: reading should pause until the next request is read. */
  onPipelinedTooMuch(): void;
}

type State = "head" | "body" | "busy" | "tunnel" | "closed";

export class ServerCodec {
  state: State = "head";
  readonly #handler: ServerHandler;
  readonly #options: HeadOptions;
  readonly #head: HeadAssembler;
  readonly #body = new BodyDecoder();
  #ahead: Buffer[] = [];
  #aheadBytes = 0;
  /** A push is running further up the stack: what becomes readable is taken by its loop. */
  #pushing = false;

  constructor(handler: ServerHandler, options: HeadOptions & { readonly headBytesMax: number }) {
    this.#handler = handler;
    this.#options = options;
    this.#head = new HeadAssembler(options.headBytesMax);
  }

  /** Between two requests, with nothing of the next one read. */
  get idle(): boolean {
    return this.state === "head" && this.#head.empty && this.#aheadBytes === 0;
  }

  push(bytes: Buffer): void {
    if (this.#aheadBytes > 0 || this.#pushing) {
      this.#keep(Buffer.from(bytes));
      if (!this.#pushing) this.#drain();
      return;
    }
    const rest = this.#consume(bytes);
    // Copied: the reader's buffer is used again.
    if (rest < bytes.length) this.#keep(Buffer.from(bytes.subarray(rest)));
    this.#drain();
  }

  /** The response to the current request is complete and so is the request: the next may come. */
  readNext(): void {
    if (this.state !== "busy") return;
    this.state = "head";
    if (!this.#pushing) this.#drain();
  }

  startTunnel(): void {
    this.state = "tunnel";
    if (!this.#pushing) this.#drain();
  }

  close(): void {
    this.state = "closed";
    this.#ahead = [];
    this.#aheadBytes = 0;
  }

  #drain(): void {
    while (this.#aheadBytes > 0 && this.state !== "busy" && this.state !== "closed") {
      const bytes = this.#ahead.length === 1 ? (this.#ahead[0] ?? EMPTY) : Buffer.concat(this.#ahead);
      this.#ahead = [];
      this.#aheadBytes = 0;
      const rest = this.#consume(bytes);
      if (rest < bytes.length) this.#keep(bytes.subarray(rest));
    }
  }

  /** Returns where it stopped: what is behind waits for the response to what was read. */
  #consume(bytes: Buffer): number {
    let at = 0;
    this.#pushing = true;
    while (at < bytes.length) {
      if (this.state === "head") at = this.#readHead(bytes, at);
      else if (this.state === "body") at = this.#readBody(bytes, at);
      else if (this.state === "tunnel") {
        this.#handler.onTunnel(at === 0 ? bytes : bytes.subarray(at));
        at = bytes.length;
      } else break;
    }
    this.#pushing = false;
    return this.state === "closed" ? bytes.length : at;
  }

  #readHead(bytes: Buffer, at: number): number {
    const text = this.#head.push(bytes, at);
    if (text === undefined) return bytes.length;
    const head = typeof text === "string" ? parseRequestHead(text, this.#options) : text;
    if (head.kind === "error") {
      this.close();
      this.#handler.onProtocolError(head, false);
      return bytes.length;
    }
    const { next } = this.#head;
    if (head.framing === "none") {
      this.state = "busy";
      this.#handler.onRequest(head, true);
    } else {
      this.state = "body";
      this.#body.begin(head.framing, head.contentLength);
      this.#handler.onRequest(head, false);
    }
    return next;
  }

  #readBody(bytes: Buffer, start: number): number {
    const at = this.#body.push(bytes, start, this.#handler);
    // A handler may have closed the connection while it took the body; the compiler can't know that.
    if (this.#stateNow() !== "body") return at;
    if (this.#body.state === "failed") {
      const { problem } = this.#body;
      this.close();
      this.#handler.onProtocolError({ kind: "error", status: 400, message: problem }, true);
      return bytes.length;
    }
    if (this.#body.done) {
      this.state = "busy";
      this.#handler.onEnd(this.#body.trailers);
    }
    return at;
  }

  #stateNow(): State {
    return this.state;
  }

  #keep(bytes: Buffer): void {
    this.#ahead.push(bytes);
    this.#aheadBytes += bytes.length;
    if (this.#aheadBytes > PIPELINED_BYTES_MAX) this.#handler.onPipelinedTooMuch();
  }
}

const EMPTY = Buffer.alloc(0);
