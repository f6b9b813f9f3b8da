// What is to be written to a socket in this turn: pieces are joined to one write, large ones go as they are. Where the
// runtime allows it, writes go to the socket's handle, one under way at a time; what comes meanwhile waits here.

import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { JOINED_BODY_BYTES_MAX, OUTBOX_BYTES_MAX } from "../limits.ts";
import { handleOf, type StreamHandle, WRITES_DIRECTLY } from "./handle.ts";
import { copyHeld, hold, isShared, release } from "./inbox.ts";

export class Outbox {
  readonly socket: Socket;
  /** Bytes handed to the socket so far. */
  written = 0;
  /** Enough waits already: hold back until `onWritable`. */
  blocked = false;
  #text = "";
  readonly #handle: StreamHandle | undefined;
  readonly #onWritable: () => void;
  /** TLS has encrypted or copied the bytes when the call returns: they needn't be kept until the write has ended. */
  readonly #takesCopies: boolean;
  /** A write is under way; what comes meanwhile is in `#waiting`, in order. */
  #busy = false;
  #busyBytes = 0;
  #waiting: (string | Buffer)[] = [];
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

  bytes(bytes: Buffer): void {
    if (bytes.length <= JOINED_BODY_BYTES_MAX) {
      this.#text += bytes.toString("latin1");
      return;
    }
    this.flush();
    this.#write(bytes);
  }

  chunk(bytes: Buffer): void {
    this.#text += `${bytes.length.toString(16)}\r\n`;
    this.bytes(bytes);
    this.#text += "\r\n";
  }

  flush(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    this.#write(text);
  }

  /** These bytes as they are, at once. */
  pass(bytes: Buffer): void {
    this.#write(bytes);
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

  #write(piece: string | Buffer): void {
    this.written += piece.length;
    const handle = this.#handle;
    if (handle === undefined) {
      const open = typeof piece === "string" ? this.socket.write(piece, "latin1") : this.socket.write(piece);
      if (!open) this.blocked = true;
      return;
    }
    if (!this.#busy && this.#takesCopies) {
      this.#send(handle, piece, "borrowed");
      return;
    }
    if (typeof piece !== "string" && isShared(piece)) this.#hand(handle, copyHeld(piece), "held");
    else this.#hand(handle, piece, "read");
  }

  #hand(handle: StreamHandle, data: string | Buffer, whose: "read" | "held"): void {
    if (!this.#busy) {
      this.#send(handle, data, whose);
      return;
    }
    if (typeof data !== "string" && whose === "read") hold(data);
    this.#wait(data);
  }

  /** `read`: held if the write goes on; `held` already; `borrowed`: needed only until the call returns. */
  #send(handle: StreamHandle, data: string | Buffer, whose: "read" | "held" | "borrowed"): void {
    const result = typeof data === "string" ? handle.writeLatin1String(null, data) : handle.writeBuffer(null, data);
    const owned = typeof data === "string" || whose === "borrowed" ? undefined : data;
    if (typeof result !== "object" || result === null) {
      if (owned !== undefined && whose === "held") release(owned);
      if (result !== 0) this.socket.destroy(new Error(`write failed: ${String(result)}`));
      return;
    }
    if (owned !== undefined && whose === "read") hold(owned);
    this.#busy = true;
    this.#busyBytes = data.length;
    this.#look();
    Reflect.set(result, "buffer", owned);
    Reflect.set(result, "oncomplete", (status: number) => {
      if (owned !== undefined) release(owned);
      this.#onComplete(status);
    });
    const ended: unknown = Reflect.get(result, "writeStatus");
    if (typeof ended === "number") {
      Reflect.set(result, "writeStatus", null);
      this.#onComplete(ended);
    }
  }

  #wait(data: string | Buffer): void {
    const last = this.#waiting.length - 1;
    const before = this.#waiting[last];
    if (typeof data === "string" && typeof before === "string") this.#waiting[last] = before + data;
    else this.#waiting.push(data);
    this.#waitingBytes += data.length;
    this.#look();
  }

  #look(): void {
    if (this.#busyBytes + this.#waitingBytes > OUTBOX_BYTES_MAX) this.blocked = true;
  }

  #onComplete(status: number): void {
    this.#busy = false;
    this.#busyBytes = 0;
    if (status < 0) {
      this.#waiting = [];
      if (!this.socket.destroyed) this.socket.destroy(new Error(`write failed: ${status}`));
      return;
    }
    while (!this.#busy && this.#handle !== undefined) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#waitingBytes -= next.length;
      this.#send(this.#handle, next, "held");
    }
    if (this.#busy) return;
    if (this.#ending) this.socket.end();
    else if (this.blocked) {
      this.blocked = false;
      this.#onWritable();
    }
  }
}
