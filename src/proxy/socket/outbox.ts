// What is to be written to a socket in this turn: pieces are joined to one write. Where the runtime allows it, writes go
// to the socket's handle, one under way at a time; what comes meanwhile waits here.

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { JOINED_BODY_BYTES_MAX, OUTBOX_BYTES_MAX, READ_BYTES_MAX } from "../limits.ts";
import { handleOf, type StreamHandle, WRITES_DIRECTLY } from "./handle.ts";
import { copyHeld, flushAfterRead, hold, isShared, keep, release } from "./inbox.ts";

/** Text stands for its latin1 bytes. */
type Piece = string | Buffer;

export class Outbox {
  readonly socket: Socket;
  /** Bytes handed to the socket so far. */
  written = 0;
  /** Enough waits already: hold back until `onWritable`. */
  blocked = false;
  #text = "";
  /** What comes before `#text`, where there is more than text. */
  #pieces: Piece[] = [];
  #piecesBytes = 0;
  readonly #handle: StreamHandle | undefined;
  readonly #onWritable: () => void;
  /** TLS has encrypted or copied the bytes when the call returns: they needn't be kept until the write has ended. */
  readonly #takesCopies: boolean;
  /** A write is under way; what comes meanwhile is in `#waiting`, in order, its buffers held. */
  #busy = false;
  #busyBytes = 0;
  #waiting: Piece[] = [];
  #waitingBytes = 0;
  #ending = false;

  constructor(socket: Socket, onWritable: () => void) {
    this.socket = socket;
    this.#onWritable = onWritable;
    this.#handle = WRITES_DIRECTLY ? handleOf(socket) : undefined;
    this.#takesCopies = socket instanceof TLSSocket;
    if (this.#handle === undefined)
      socket.on("drain", () => {
        this.blocked = false;
        onWritable();
      });
  }

  /** Bytes that the kernel has not taken yet. */
  get unsent(): number {
    if (this.#handle === undefined) return this.socket.writableLength;
    const queued: unknown = Reflect.get(this.#handle, "writeQueueSize");
    return this.#waitingBytes + (typeof queued === "number" ? queued : this.#busyBytes);
  }

  text(text: string): void {
    this.#text += text;
  }

  /** Bytes that are being read are written at the end of that read at the latest. */
  bytes(bytes: Buffer): void {
    if (bytes.length <= JOINED_BODY_BYTES_MAX) {
      this.#text += bytes.toString("latin1");
      return;
    }
    this.#closeText();
    this.#pieces.push(bytes);
    this.#piecesBytes += bytes.length;
    if (this.#piecesBytes >= READ_BYTES_MAX) this.flush();
    else flushAfterRead(this);
  }

  chunk(bytes: Buffer): void {
    this.#text += `${bytes.length.toString(16)}\r\n`;
    this.bytes(bytes);
    this.#text += "\r\n";
  }

  flush(): void {
    if (this.#pieces.length > 0) {
      this.#closeText();
      const pieces = this.#pieces;
      this.#pieces = [];
      this.#piecesBytes = 0;
      this.#write(pieces);
    } else if (this.#text !== "") {
      const text = this.#text;
      this.#text = "";
      this.#write(text);
    }
  }

  /** These bytes as they are, at once. */
  pass(bytes: Buffer): void {
    this.#write([bytes]);
  }

  /** Nothing is under way, nothing waits. */
  get idle(): boolean {
    return this.#handle === undefined ? this.socket.writableLength === 0 : !this.#busy;
  }

  /** Nothing more will be written: our side ends when all that waits is out. */
  end(): void {
    this.flush();
    this.#ending = true;
    if (!this.#busy) this.socket.end();
  }

  #closeText(): void {
    if (this.#text === "") return;
    this.#pieces.push(this.#text);
    this.#piecesBytes += this.#text.length;
    this.#text = "";
  }

  #write(data: string | readonly Piece[]): void {
    this.written += typeof data === "string" ? data.length : bytesOf(data);
    const handle = this.#handle;
    if (handle === undefined) this.#writeToStream(data);
    else if (this.#busy) this.#wait(data);
    else if (typeof data === "string") this.#sendText(handle, data);
    else this.#sendRead(handle, data);
  }

  /** The public way; a stream may keep what it is given. */
  #writeToStream(data: string | readonly Piece[]): void {
    const { socket } = this;
    socket.cork();
    for (const piece of typeof data === "string" ? [data] : data) {
      const open = typeof piece === "string" ? socket.write(piece, "latin1") : socket.write(keep(piece));
      if (!open) this.blocked = true;
    }
    socket.uncork();
  }

  #sendText(handle: StreamHandle, text: string): void {
    const result = handle.writeLatin1String(null, text);
    if (result !== 0) this.#goesOn(result, text.length, []);
  }

  /** Pieces of the current read: held only where the write goes on after it. */
  #sendRead(handle: StreamHandle, pieces: readonly Piece[]): void {
    if (this.#takesCopies) {
      const result = writeAll(handle, pieces.map(asBytes));
      if (result !== 0) this.#goesOn(result, bytesOf(pieces), []);
      return;
    }
    const copies: Buffer[] = [];
    const buffers = pieces.map((piece) => {
      if (typeof piece === "string" || !isShared(piece)) return asBytes(piece);
      const copy = copyHeld(piece);
      copies.push(copy);
      return copy;
    });
    const result = writeAll(handle, buffers);
    if (result === 0) {
      for (const copy of copies) release(copy);
      return;
    }
    for (const one of buffers) if (!copies.includes(one)) hold(one);
    this.#goesOn(result, bytesOf(buffers), buffers);
  }

  #sendHeld(handle: StreamHandle, pieces: readonly Piece[]): void {
    const buffers = pieces.map(asBytes);
    const result = writeAll(handle, buffers);
    if (result === 0) for (const one of buffers) release(one);
    else this.#goesOn(result, bytesOf(buffers), buffers);
  }

  /** The write did not end at once: it failed, or goes on and needs the buffers that are held for it. */
  #goesOn(result: unknown, bytes: number, held: readonly Buffer[]): void {
    if (typeof result !== "object" || result === null) {
      for (const one of held) release(one);
      this.socket.destroy(new Error(`write failed: ${String(result)}`));
      return;
    }
    this.#busy = true;
    this.#busyBytes = bytes;
    this.#look();
    Reflect.set(result, "buffer", held);
    Reflect.set(result, "oncomplete", (status: number) => {
      for (const one of held) release(one);
      this.#onComplete(status);
    });
    const ended: unknown = Reflect.get(result, "writeStatus");
    if (typeof ended === "number") {
      Reflect.set(result, "writeStatus", null);
      for (const one of held) release(one);
      this.#onComplete(ended);
    }
  }

  #wait(data: string | readonly Piece[]): void {
    for (const piece of typeof data === "string" ? [data] : data) {
      const last = this.#waiting.length - 1;
      const before = this.#waiting[last];
      if (typeof piece === "string" && typeof before === "string") this.#waiting[last] = before + piece;
      else this.#waiting.push(asHeld(piece));
      this.#waitingBytes += piece.length;
    }
    this.#look();
  }

  #look(): void {
    if (this.#busyBytes + this.#waitingBytes > OUTBOX_BYTES_MAX) this.blocked = true;
  }

  #onComplete(status: number): void {
    this.#busy = false;
    this.#busyBytes = 0;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    if (status < 0) {
      for (const piece of waiting) if (typeof piece !== "string") release(piece);
      if (!this.socket.destroyed) this.socket.destroy(new Error(`write failed: ${status}`));
      return;
    }
    const [only] = waiting;
    if (this.#handle !== undefined && waiting.length > 0) {
      if (waiting.length === 1 && typeof only === "string") this.#sendText(this.#handle, only);
      else this.#sendHeld(this.#handle, waiting);
    }
    if (this.#busy) return;
    if (this.#ending) this.socket.end();
    else if (this.blocked) {
      this.blocked = false;
      this.#onWritable();
    }
  }
}

function writeAll(handle: StreamHandle, buffers: readonly Buffer[]): unknown {
  const [only] = buffers;
  return buffers.length === 1 && only !== undefined
    ? handle.writeBuffer(null, only)
    : handle.writev(null, buffers, true);
}

function asBytes(piece: Piece): Buffer {
  return typeof piece === "string" ? Buffer.from(piece, "latin1") : piece;
}

function asHeld(piece: Piece): Piece {
  if (typeof piece === "string") return piece;
  if (isShared(piece)) return copyHeld(piece);
  hold(piece);
  return piece;
}

function bytesOf(pieces: readonly Piece[]): number {
  let bytes = 0;
  for (const piece of pieces) bytes += piece.length;
  return bytes;
}
