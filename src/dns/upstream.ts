// Questions about names that are not the mesh's, asked outside. The socket may come from outside the node's network
// namespace: a socket stays in the namespace that it was opened in.

import { randomInt } from "node:crypto";
import type { Socket } from "node:dgram";
import { isIPv4 } from "node:net";
import { UPSTREAM_PENDING_MAX, UPSTREAM_TIMEOUT_MS } from "./limits.ts";

interface Pending {
  readonly clientId: number;
  readonly question: string;
  readonly settle: (answer: Buffer | undefined) => void;
  readonly timer: NodeJS.Timeout;
}

export class DnsUpstream {
  readonly #socket: Socket;
  readonly #servers: readonly string[];
  readonly #port: number;
  readonly #pending = new Map<number, Pending>();
  /** After a silence questions fail at once for a while: a laptop without network stays quick. */
  #silentUntilMs = 0;

  constructor(socket: Socket, servers: readonly string[], port = 53) {
    this.#socket = socket;
    this.#servers = servers;
    this.#port = port;
    socket.on("message", (bytes, from) => this.#receive(bytes, from.address));
    socket.on("error", () => undefined);
    socket.unref();
  }

  /** The answer with the client's id, or undefined when there is none within the limit. */
  ask(query: Buffer): Promise<Buffer | undefined> {
    const server = this.#servers[0];
    const silent = performance.now() < this.#silentUntilMs;
    if (server === undefined || silent || query.length < 12 || this.#pending.size >= UPSTREAM_PENDING_MAX) {
      return Promise.resolve(undefined);
    }
    return new Promise((resolve) => {
      const id = this.#freeId();
      const settle = (answer: Buffer | undefined) => {
        this.#pending.delete(id);
        clearTimeout(timer);
        resolve(answer);
      };
      const timer = setTimeout(() => {
        this.#silentUntilMs = performance.now() + 5 * UPSTREAM_TIMEOUT_MS;
        settle(undefined);
      }, UPSTREAM_TIMEOUT_MS);
      timer.unref();
      this.#pending.set(id, { clientId: query.readUInt16BE(0), question: questionBytes(query), settle, timer });
      const sent = Buffer.from(query);
      sent.writeUInt16BE(id, 0);
      this.#socket.send(sent, this.#port, server, (error) => {
        if (error !== null) settle(undefined);
      });
    });
  }

  close(): void {
    for (const pending of this.#pending.values()) pending.settle(undefined);
    this.#socket.close();
  }

  #receive(bytes: Buffer, from: string): void {
    if (bytes.length < 12 || !this.#servers.includes(from)) return;
    const pending = this.#pending.get(bytes.readUInt16BE(0));
    if (pending === undefined || pending.question !== questionBytes(bytes)) return;
    const answer = Buffer.from(bytes);
    answer.writeUInt16BE(pending.clientId, 0);
    pending.settle(answer);
  }

  #freeId(): number {
    for (;;) {
      const id = randomInt(0x10000);
      if (!this.#pending.has(id)) return id;
    }
  }
}

/** The servers that the machine's own resolv.conf names. */
export function parseNameservers(resolvConf: string): string[] {
  return [...resolvConf.matchAll(/^\s*nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "").filter((ip) => isIPv4(ip));
}

/** The question as sent: an answer to another one is not ours. A query has no compression in it. */
function questionBytes(message: Buffer): string {
  let end = 12;
  for (let size = message[end]; size !== undefined && size !== 0 && size < 0xc0; size = message[end]) end += size + 1;
  return message.toString("latin1", 12, end + 5).toLowerCase();
}
