// The server's side of SPDY/3.1, which kubectl's port-forward speaks inside a WebSocket: streams of bytes with headers.

import { Duplex } from "node:stream";
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from "node:zlib";
import { STREAM_BUFFER_BYTES_MAX, TUNNEL_FRAME_BYTES_MAX, TUNNEL_STREAMS_MAX } from "./limits.ts";

export type SpdyHeaders = ReadonlyMap<string, string>;

export interface SpdyOptions {
  /** Frames for the peer. */
  readonly send: (bytes: Buffer, sent: () => void) => void;
  readonly onStream: (stream: Duplex, headers: SpdyHeaders) => void;
  readonly onFailure: (message: string) => void;
}

const VERSION = 3;
const CONTROL = 0x8000;
const FIN = 1;
const TYPE = { synStream: 1, synReply: 2, rstStream: 3, ping: 6, goAway: 7 } as const;
const PROTOCOL_ERROR = 1;
const FRAME_HEADER_BYTES = 8;

/** Words with their length before them, as a header block has them, then what often stands in values. */
const DICTIONARY_WORDS = `options head post put delete trace accept accept-charset accept-encoding accept-language
accept-ranges age allow authorization cache-control connection content-base content-encoding content-language
content-length content-location content-md5 content-range content-type date etag expect expires from host if-match
if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma
proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent
vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin`;
const DICTIONARY_TEXT =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

export const SPDY_DICTIONARY: Buffer = Buffer.concat([
  ...DICTIONARY_WORDS.split(/\s+/).map((word) => withLength(word.replace("_", " "))),
  Buffer.from(DICTIONARY_TEXT),
]);

function withLength(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export class SpdySession {
  readonly #options: SpdyOptions;
  readonly #inflate: Inflate = createInflate({ dictionary: SPDY_DICTIONARY, finishFlush: constants.Z_SYNC_FLUSH });
  readonly #deflate: Deflate = createDeflate({ dictionary: SPDY_DICTIONARY, flush: constants.Z_SYNC_FLUSH });
  readonly #streams = new Map<number, SpdyStream>();
  #rest: Buffer = Buffer.alloc(0);
  #work: Promise<void> = Promise.resolve();
  #failed = false;

  constructor(options: SpdyOptions) {
    this.#options = options;
    for (const codec of [this.#inflate, this.#deflate]) codec.on("error", (error) => this.#fail(error.message));
  }

  /** Bytes of the peer, in any pieces; resolves when all streams have taken theirs. */
  receive(bytes: Buffer): Promise<void> {
    this.#work = this.#work.then(() => this.#take(bytes));
    return this.#work;
  }

  close(): void {
    this.#failed = true;
    for (const stream of this.#streams.values()) stream.destroy();
    this.#streams.clear();
    this.#inflate.close();
    this.#deflate.close();
  }

  async #take(bytes: Buffer): Promise<void> {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (!this.#failed && rest.length >= FRAME_HEADER_BYTES) {
      const length = rest.readUIntBE(5, 3);
      if (length > TUNNEL_FRAME_BYTES_MAX) return this.#fail(`a frame of ${length} bytes is too long`);
      if (rest.length < FRAME_HEADER_BYTES + length) break;
      await this.#frame(
        rest.subarray(0, FRAME_HEADER_BYTES),
        rest.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length),
      );
      rest = rest.subarray(FRAME_HEADER_BYTES + length);
    }
    this.#rest = rest;
  }

  async #frame(header: Buffer, body: Buffer): Promise<void> {
    const isLast = ((header[4] ?? 0) & FIN) !== 0;
    const first = header.readUInt16BE(0);
    if ((first & CONTROL) === 0) return this.#data(header.readUInt32BE(0), body, isLast);
    if ((first & ~CONTROL) !== VERSION) return this.#fail(`SPDY version ${first & ~CONTROL} is not spoken here`);
    switch (header.readUInt16BE(2)) {
      case TYPE.synStream:
        return this.#open(body, isLast);
      case TYPE.rstStream:
        this.#streams.get(body.readUInt32BE(0))?.destroy();
        return;
      case TYPE.ping:
        this.#control(TYPE.ping, 0, body);
        return;
      case TYPE.goAway:
        for (const stream of this.#streams.values()) stream.finish();
        return;
      default:
        // Settings and windows: this side keeps bounds of its own.
        return;
    }
  }

  async #open(body: Buffer, isLast: boolean): Promise<void> {
    if (body.length < 10) return this.#fail("a SYN_STREAM frame is too short");
    const id = body.readUInt32BE(0);
    const headers = parseHeaders(await this.#inflated(body.subarray(10)));
    if (headers === undefined) return this.#fail("the headers of a stream can't be read");
    if (this.#streams.size >= TUNNEL_STREAMS_MAX) {
      this.#control(TYPE.rstStream, 0, Buffer.concat([uint32(id), uint32(PROTOCOL_ERROR)]));
      return;
    }
    const stream = new SpdyStream({
      send: (bytes, last, sent) => this.#options.send(Buffer.concat([dataHeader(id, bytes.length, last), bytes]), sent),
      gone: () => this.#streams.delete(id),
    });
    this.#streams.set(id, stream);
    // No headers to tell: an empty block.
    const block = await this.#deflated(uint32(0));
    this.#control(TYPE.synReply, 0, Buffer.concat([uint32(id), block]));
    this.#options.onStream(stream, headers);
    if (isLast) stream.finish();
  }

  #data(id: number, body: Buffer, isLast: boolean): Promise<void> | undefined {
    const stream = this.#streams.get(id);
    const taken = stream === undefined || body.length === 0 ? undefined : stream.deliver(body);
    if (isLast) stream?.finish();
    return taken;
  }

  #control(type: number, flags: number, body: Buffer): void {
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUInt16BE(CONTROL | VERSION, 0);
    header.writeUInt16BE(type, 2);
    header.writeUInt8(flags, 4);
    header.writeUIntBE(body.length, 5, 3);
    this.#options.send(Buffer.concat([header, body]), () => undefined);
  }

  #inflated(bytes: Buffer): Promise<Buffer> {
    return new Promise((resolve) => this.#inflate.write(bytes, () => resolve(readAll(this.#inflate))));
  }

  #deflated(bytes: Buffer): Promise<Buffer> {
    return new Promise((resolve) => this.#deflate.write(bytes, () => resolve(readAll(this.#deflate))));
  }

  #fail(message: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#options.onFailure(message);
  }
}

function readAll(codec: Inflate | Deflate): Buffer {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk: unknown = codec.read();
    if (!Buffer.isBuffer(chunk)) return Buffer.concat(chunks);
    chunks.push(chunk);
  }
}

function dataHeader(id: number, length: number, isLast: boolean): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUInt32BE(id, 0);
  header.writeUInt8(isLast ? FIN : 0, 4);
  header.writeUIntBE(length, 5, 3);
  return header;
}

function parseHeaders(block: Buffer): SpdyHeaders | undefined {
  const headers = new Map<string, string>();
  let at = 0;
  const text = (): string | undefined => {
    if (at + 4 > block.length) return undefined;
    const length = block.readUInt32BE(at);
    at += 4 + length;
    return at > block.length ? undefined : block.toString("utf8", at - length, at);
  };
  if (block.length < 4) return undefined;
  const count = block.readUInt32BE(0);
  at = 4;
  for (let index = 0; index < count; index += 1) {
    const name = text();
    const value = text();
    if (name === undefined || value === undefined) return undefined;
    headers.set(name.toLowerCase(), value);
  }
  return headers;
}

interface StreamWire {
  readonly send: (bytes: Buffer, isLast: boolean, sent: () => void) => void;
  readonly gone: () => void;
}

class SpdyStream extends Duplex {
  readonly #wire: StreamWire;
  #wake: (() => void) | undefined;
  #finished = false;

  constructor(wire: StreamWire) {
    super({ writableHighWaterMark: STREAM_BUFFER_BYTES_MAX, allowHalfOpen: true });
    this.#wire = wire;
    this.on("error", () => undefined);
    this.on("close", () => {
      this.#wake?.();
      wire.gone();
    });
  }

  /** Resolves at once while the reader keeps up, else when it has read on. */
  deliver(bytes: Buffer): Promise<void> | undefined {
    if (this.destroyed || this.#finished || this.push(bytes)) return undefined;
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  finish(): void {
    if (this.#finished || this.destroyed) return;
    this.#finished = true;
    this.push(null);
  }

  override _read(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#wire.send(chunk, false, done);
  }

  override _final(done: () => void): void {
    this.#wire.send(Buffer.alloc(0), true, done);
  }
}
