// Sends datagrams: one socket for each family of addresses, made when it is first needed.

import type { Socket } from "node:dgram";

type Family = "udp4" | "udp6";

export class Datagrams {
  readonly #sockets = new Map<Family, Socket>();

  /** Resolves when the system has taken it, or with why it has not. */
  async send(packet: Buffer, { host, port }: { readonly host: string; readonly port: number }): Promise<Error | null> {
    const socket = await this.#socket(host.includes(":") ? "udp6" : "udp4");
    return new Promise((resolve) => socket.send(packet, port, host, resolve));
  }

  close(): void {
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
  }

  /** The module is loaded with the first: few processes send any. */
  async #socket(family: Family): Promise<Socket> {
    const { createSocket } = await import("node:dgram");
    let socket = this.#sockets.get(family);
    if (socket === undefined) {
      socket = createSocket(family);
      // What a send can't do is told to its own callback.
      socket.on("error", () => undefined);
      socket.unref();
      this.#sockets.set(family, socket);
    }
    return socket;
  }
}
