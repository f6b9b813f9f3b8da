// What is to be written to a socket in this turn: pieces are joined to one write, large ones go as they are.

import type { Socket } from "node:net";
import { JOINED_BODY_BYTES_MAX } from "../limits.ts";

export class Outbox {
  readonly socket: Socket;
  /** Bytes handed to the socket so far. */
  written = 0;
  /** The socket's buffer is full: wait for its drain event. */
  blocked = false;
  #text = "";

  constructor(socket: Socket) {
    this.socket = socket;
  }

  text(text: string): void {
    this.#text += text;
  }

  bytes(bytes: Buffer): void {
    if (bytes.length <= JOINED_BODY_BYTES_MAX) {
      this.#text += bytes.toString("latin1");
      return;
    }
    this.socket.cork();
    this.flush();
    this.written += bytes.length;
    if (!this.socket.write(bytes)) this.blocked = true;
    this.socket.uncork();
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
    this.written += text.length;
    if (!this.socket.write(text, "latin1")) this.blocked = true;
  }
}
