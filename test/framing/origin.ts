// An origin that writes down what it reads, byte for byte, and answers what the case says.

import { type AddressInfo, createServer, type Socket } from "node:net";
import type { OriginReply } from "./case.ts";
import { readRequest } from "./reference.ts";

export interface Recorded {
  /** Complete requests in the order they were read. */
  readonly requests: readonly string[];
  /** Requests that began and did not end. */
  readonly cut: readonly string[];
  /** What no strict origin would read. */
  readonly bad: readonly string[];
}

const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

interface Reader {
  readonly socket: Socket;
  text: string;
  at: number;
  answered: boolean;
  tunnel: boolean;
  tunnelled: string;
  bad: boolean;
}

export class RawOrigin {
  port = 0;
  readonly #readers = new Set<Reader>();
  readonly #server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  #requests: string[] = [];
  #cut: string[] = [];
  #bad: string[] = [];
  #reply: OriginReply | undefined;

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.port = portOf(this.#server.address());
  }

  /** The next request that is not the sentinel gets this. */
  prepare(reply: OriginReply | undefined): void {
    this.#requests = [];
    this.#cut = [];
    this.#bad = [];
    this.#reply = reply;
  }

  /** What came since `prepare`, once nothing is under way. */
  async record(): Promise<Recorded> {
    for (let tries = 0; tries < 500; tries += 1) {
      if ([...this.#readers].every((reader) => reader.at === reader.text.length)) break;
      await pause(1);
    }
    for (const reader of this.#readers) {
      if (reader.at < reader.text.length) this.#cut.push(`still open: ${reader.text.slice(reader.at, reader.at + 80)}`);
    }
    return { requests: this.#requests, cut: this.#cut, bad: this.#bad };
  }

  close(): void {
    for (const { socket } of this.#readers) socket.destroy();
    this.#server.close();
  }

  #accept(socket: Socket): void {
    socket.setNoDelay(true);
    const reader: Reader = { socket, text: "", at: 0, answered: false, tunnel: false, tunnelled: "", bad: false };
    this.#readers.add(reader);
    socket.on("data", (bytes) => {
      reader.text += bytes.toString("latin1");
      this.#read(reader);
    });
    socket.on("error", () => socket.destroy());
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      this.#readers.delete(reader);
      if (reader.at < reader.text.length) this.#cutShort(reader);
    });
  }

  #cutShort(reader: Reader): void {
    const read = readRequest(reader.text, reader.at);
    if (read.kind === "partial") this.#cut.push(read.text);
  }

  #read(reader: Reader): void {
    while (reader.at < reader.text.length) {
      if (reader.tunnel) {
        if (reader.tunnelled === "") this.#requests.push("tunnel ");
        reader.tunnelled += reader.text.slice(reader.at);
        this.#requests[this.#requests.length - 1] = `tunnel ${reader.tunnelled}`;
        reader.at = reader.text.length;
        return;
      }
      const read = readRequest(reader.text, reader.at);
      if (read.kind === "bad") {
        if (!reader.bad) this.#bad.push(read.why);
        reader.bad = true;
        reader.at = reader.text.length;
        return;
      }
      const early = read.kind === "partial" && read.head && this.#reply?.early === true;
      if (early && !reader.answered) {
        reader.answered = true;
        this.#answer(reader, "");
      }
      if (read.kind === "partial") return;
      reader.at = read.next;
      this.#requests.push(read.text);
      if (reader.answered) reader.answered = false;
      else this.#answer(reader, read.text);
    }
  }

  #answer(reader: Reader, request: string): void {
    const reply = request.startsWith("GET /sentinel ") ? undefined : this.#reply;
    if (reply === undefined) {
      reader.socket.write(OK);
      return;
    }
    this.#reply = undefined;
    const pieces = typeof reply.bytes === "string" ? [reply.bytes] : reply.bytes;
    if (pieces[0]?.startsWith("HTTP/1.1 101") === true) reader.tunnel = true;
    void this.#send(reader.socket, pieces, reply.ending);
  }

  async #send(socket: Socket, pieces: readonly string[], ending: OriginReply["ending"]): Promise<void> {
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await pause(20);
      if (socket.writable && piece !== "") socket.write(piece, "latin1");
    }
    if (ending === "close") socket.end();
    else if (ending === "reset") {
      await pause(20);
      socket.resetAndDestroy();
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" && address !== null ? address.port : 0;
}
