// The client's side of an HTTP/1.1 connection: bytes of an upstream to the response of the one request that is under way.

import { HeadAssembler } from "./assemble.ts";
import { BodyDecoder } from "./body.ts";
import { type HeadOptions, opensTunnel, parseResponseHead, type ResponseHead } from "./head.ts";
import type { HeaderList } from "./headers.ts";

export interface ClientHandler {
  /** 1xx other than 101. */
  onInformational(head: ResponseHead): void;
  onResponse(head: ResponseHead, ended: boolean): void;
  onBody(chunk: Buffer): void;
  onEnd(trailers: HeaderList | undefined): void;
  onProtocolError(message: string): void;
  onTunnel(chunk: Buffer): void;
}

type State = "idle" | "head" | "body" | "tunnel" | "closed";

export class ClientCodec {
  state: State = "idle";
  readonly #options: HeadOptions;
  readonly #head: HeadAssembler;
  readonly #body = new BodyDecoder();
  #handler: ClientHandler | undefined;
  #method = "";
  /** A byte of the current response has been seen. */
  responseBegun = false;

  constructor(options: HeadOptions & { readonly headBytesMax: number }) {
    this.#options = options;
    this.#head = new HeadAssembler(options.headBytesMax);
  }

  begin(method: string, handler: ClientHandler): void {
    this.state = "head";
    this.#method = method;
    this.#handler = handler;
    this.responseBegun = false;
  }

  /** Bytes as they are in both directions, from the beginning. */
  beginTunnel(handler: ClientHandler): void {
    this.state = "tunnel";
    this.#handler = handler;
  }

  /** False: bytes that belong to no request; the connection can't be used again. */
  push(bytes: Buffer): boolean {
    let at = 0;
    while (at < bytes.length) {
      const handler = this.#handler;
      if (handler === undefined || this.state === "idle") return false;
      this.responseBegun = true;
      if (this.state === "head") at = this.#readHead(bytes, at, handler);
      else if (this.state === "body") at = this.#readBody(bytes, at, handler);
      else if (this.state === "tunnel") {
        handler.onTunnel(at === 0 ? bytes : bytes.subarray(at));
        return true;
      } else return true;
    }
    return true;
  }

  /** Some of a head has come, and not all. */
  get midHead(): boolean {
    return this.state === "head" && !this.#head.empty;
  }

  /** The peer closed: the end of a body that has no other, and otherwise a response cut short. True when it was an end. */
  finish(): boolean {
    if (this.state !== "body" || this.#body.state !== "close") return false;
    const handler = this.#handler;
    this.#end(false);
    handler?.onEnd(undefined);
    return true;
  }

  abandon(): void {
    this.state = "closed";
    this.#handler = undefined;
  }

  #readHead(bytes: Buffer, at: number, handler: ClientHandler): number {
    const text = this.#head.push(bytes, at);
    if (text === undefined) return bytes.length;
    const head = typeof text === "string" ? parseResponseHead(text, this.#method, this.#options) : text;
    if (head.kind === "error") {
      this.abandon();
      handler.onProtocolError(head.message);
      return bytes.length;
    }
    const { next } = this.#head;
    if (opensTunnel(this.#method, head.status)) {
      this.state = "tunnel";
      handler.onResponse(head, false);
      return next;
    }
    if (head.status < 200) {
      handler.onInformational(head);
      return next;
    }
    if (head.framing === "none") {
      this.#end(next < bytes.length);
      handler.onResponse(head, true);
      return bytes.length;
    }
    this.state = "body";
    this.#body.begin(head.framing, head.contentLength);
    handler.onResponse(head, false);
    return next;
  }

  #readBody(bytes: Buffer, start: number, handler: ClientHandler): number {
    const at = this.#body.push(bytes, start, handler);
    if (this.state !== "body") return bytes.length;
    if (this.#body.state === "failed") {
      const { problem } = this.#body;
      this.abandon();
      handler.onProtocolError(problem);
      return bytes.length;
    }
    if (this.#body.done) {
      const { trailers } = this.#body;
      this.#end(at < bytes.length);
      handler.onEnd(trailers);
    }
    return at;
  }

  /** Bytes behind the response are no answer to the next request: whoever takes the connection would take them for one. */
  #end(bytesBehind: boolean): void {
    this.state = bytesBehind ? "closed" : "idle";
    this.#handler = undefined;
  }
}
