// What a socket reads, without an allocation a read: every socket reads into one buffer of the process, whose bytes are
// good until the receiver returns. A socket with much to read gets a buffer of its own, so that large pieces needn't be copied.

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { beginEvent, endEvent } from "../../base/clock.ts";
import {
  BULK_READ_BYTES_MIN,
  COPIED_BYTES_MAX,
  FREE_READ_BUFFERS_MAX,
  READ_BYTES_MAX,
  SMALL_READS_MAX,
  TLS_RECORD_BYTES_MAX,
  VIEWS_MAX,
} from "../limits.ts";
import { handleOf, READ_FIELDS } from "./handle.ts";

const SHARED = Buffer.allocUnsafeSlow(READ_BYTES_MAX);

/** Buffers for much to read that are not in use now, by their size. */
const FREE: ReadonlyMap<number, Buffer[]> = new Map([
  [READ_BYTES_MAX, []],
  [TLS_RECORD_BYTES_MAX, []],
]);
/** Of each of those: how many writes under way still look at its bytes; without end, once somebody keeps them. */
const HOLDS = new WeakMap<ArrayBufferLike, number>();

/** The reader whose bytes are being received now. */
let current: Inbox | undefined;

/**
 * Hands everything that `socket` reads to `receive`, one call a read; `first` has been read before. The bytes may change
 * after the call: see `keep`.
 */
export function receiveFrom(socket: Socket, first: Buffer | undefined, receive: (bytes: Buffer) => void): void {
  const handle = handleOf(socket);
  if (READ_FIELDS === undefined || handle === undefined) {
    socket.on("data", receive);
    socket.resume();
    if (first !== undefined) receive(first);
    return;
  }
  const inbox = new Inbox(receive, socket instanceof TLSSocket ? TLS_RECORD_BYTES_MAX : READ_BYTES_MAX);
  const early = readAll(socket);
  Reflect.set(socket, READ_FIELDS.buffer, SHARED);
  Reflect.set(socket, READ_FIELDS.callback, (count: number, buffer: Buffer) => inbox.onRead(count, buffer));
  Reflect.set(socket, READ_FIELDS.next, () => inbox.next());
  handle.useUserBuffer(SHARED);
  // The end is told only to a stream that flows.
  socket.resume();
  if (first !== undefined) receive(first);
  for (const bytes of early) receive(bytes);
}

/** What the stream has taken from the socket already. */
function readAll(socket: Socket): readonly Buffer[] {
  const all: Buffer[] = [];
  for (let bytes: unknown = socket.read(); bytes !== null; bytes = socket.read()) {
    if (Buffer.isBuffer(bytes)) all.push(bytes);
  }
  return all;
}

/** The bytes as they can be held after the call that brought them. */
export function keep(bytes: Buffer): Buffer {
  if (bytes.length <= COPIED_BYTES_MAX) return isRead(bytes) ? Buffer.from(bytes) : bytes;
  const owned = isShared(bytes) ? copyHeld(bytes) : bytes;
  hold(owned);
  if (HOLDS.has(owned.buffer)) HOLDS.set(owned.buffer, Infinity);
  return owned;
}

/** Bytes that the next read of any socket will overwrite. */
export function isShared(bytes: Buffer): boolean {
  return bytes.buffer === SHARED.buffer;
}

/** The same bytes in a buffer of their own, held already. */
export function copyHeld(bytes: Buffer): Buffer {
  if (bytes.length < BULK_READ_BYTES_MIN) return Buffer.from(bytes);
  const buffer = take(READ_BYTES_MAX);
  HOLDS.set(buffer.buffer, 1);
  bytes.copy(buffer);
  return buffer.subarray(0, bytes.length);
}

/** Owned bytes stay in use after the call: their buffer is not read into until they are released. */
export function hold(bytes: Buffer): void {
  const holds = HOLDS.get(bytes.buffer);
  if (holds !== undefined) HOLDS.set(bytes.buffer, holds + 1);
  if (current !== undefined && bytes.buffer === current.buffer.buffer) current.held = true;
}

/** For each `hold`, once its write has ended. */
export function release(bytes: Buffer): void {
  const holds = HOLDS.get(bytes.buffer);
  if (holds === undefined) return;
  HOLDS.set(bytes.buffer, holds - 1);
  if (holds === 1) putBack(Buffer.from(bytes.buffer));
}

function take(size: number): Buffer {
  const free = FREE.get(size)?.pop();
  if (free !== undefined) return free;
  const made = Buffer.allocUnsafeSlow(size);
  HOLDS.set(made.buffer, 0);
  return made;
}

function putBack(buffer: Buffer): void {
  const free = FREE.get(buffer.length);
  if (free !== undefined && free.length < FREE_READ_BUFFERS_MAX) free.push(buffer);
}

function isRead(bytes: Buffer): boolean {
  return current !== undefined && bytes.buffer === current.buffer.buffer;
}

/** What holds bytes of the current read writes them before that read ends. */
export function flushAfterRead(outbox: Flushing): void {
  if (current === undefined) outbox.flush();
  else if (!current.flushing.includes(outbox)) current.flushing.push(outbox);
}

interface Flushing {
  flush(): void;
}

/** Reads of one size come again and again: the views of the shared buffer that they need are kept. */
const BEGINNINGS: Buffer[] = [];

function beginning(count: number): Buffer {
  const slot = count % VIEWS_MAX;
  const known = BEGINNINGS[slot];
  if (known !== undefined && known.length === count) return known;
  const view = SHARED.subarray(0, count);
  BEGINNINGS[slot] = view;
  return view;
}

class Inbox {
  buffer: Buffer = SHARED;
  held = false;
  readonly flushing: Flushing[] = [];
  #count = 0;
  #smallReads = 0;
  readonly #receive: (bytes: Buffer) => void;
  readonly #size: number;

  constructor(receive: (bytes: Buffer) => void, size: number) {
    this.#receive = receive;
    this.#size = size;
  }

  onRead(count: number, buffer: Buffer): boolean {
    this.#count = count;
    const outer = current;
    current = this;
    beginEvent();
    try {
      this.#receive(buffer === SHARED ? beginning(count) : buffer.subarray(0, count));
      if (this.flushing.length > 0) for (const one of this.flushing.splice(0)) one.flush();
    } finally {
      current = outer;
      endEvent();
    }
    return true;
  }

  /** The buffer for the next read; undefined: the same again. */
  next(): Buffer | undefined {
    if (this.#count < BULK_READ_BYTES_MIN) {
      if (this.buffer === SHARED) return undefined;
      this.#smallReads += 1;
      if (this.#smallReads > SMALL_READS_MAX) {
        if (!this.held) putBack(this.buffer);
        return this.#use(SHARED);
      }
    } else {
      this.#smallReads = 0;
      if (this.buffer === SHARED) return this.#use(take(this.#size));
    }
    return this.held ? this.#use(take(this.#size)) : undefined;
  }

  #use(buffer: Buffer): Buffer {
    this.buffer = buffer;
    this.held = false;
    return buffer;
  }
}
