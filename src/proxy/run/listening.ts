// The sockets of listeners: bound once for an address, whichever version of the listener they feed.

import { createServer, type Server, type Socket } from "node:net";
import { err, ok, type Result } from "../../base/result.ts";
import type { ListenerConfig } from "../compile/listener.ts";
import { type SocketTarget, targetText } from "../compile/value.ts";

/** Whose sockets serve: one's own, none (others serve), or one of several workers' for the same addresses. */
export type Listening = { readonly kind: "own" } | { readonly kind: "none" } | SharedListening;

export interface SharedListening {
  readonly kind: "shared";
  /** The first binds what only one can: ports that the system chooses, and unix sockets. */
  readonly first: boolean;
  bound(listener: string, port: number): void;
  /** The port that the first one got for a listener on port 0. */
  portOf(listener: string): Promise<number>;
}

export class ListeningSocket {
  readonly target: SocketTarget;
  /** Set when bound: the port that was really taken. */
  boundPort = 0;
  readonly #server: Server;
  onSocket: (socket: Socket) => void = (socket) => socket.destroy();

  constructor(target: SocketTarget) {
    this.target = target;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => this.onSocket(socket));
  }

  get key(): string {
    return targetText(this.target);
  }

  /** `reusePort`: other workers have sockets of their own for the same address. */
  listen(
    config: ListenerConfig,
    how: { readonly port: number; readonly reusePort: boolean },
  ): Promise<Result<number, string>> {
    const { target } = this;
    return new Promise((resolve) => {
      const server = this.#server;
      const onError = (error: NodeJS.ErrnoException) => resolve(err(reason(this.key, error)));
      server.once("error", onError);
      const onListening = () => {
        server.removeListener("error", onError);
        server.on("error", () => server.close());
        const address = server.address();
        this.boundPort = typeof address === "object" && address !== null ? address.port : 0;
        resolve(ok(this.boundPort));
      };
      if (target.kind === "pipe") server.listen({ path: target.path, backlog: config.backlog }, onListening);
      else {
        const { port, reusePort } = how;
        server.listen({ host: target.host, port, reusePort, backlog: config.backlog }, onListening);
      }
    });
  }

  close(): void {
    this.#server.close();
  }
}

function reason(address: string, error: NodeJS.ErrnoException): string {
  if (error.code === "EADDRINUSE")
    return `can't listen on ${address}: the port is in use by another process; free it, or choose another port`;
  if (error.code === "EACCES")
    return `can't listen on ${address}: not permitted; ports below 1024 need root or CAP_NET_BIND_SERVICE`;
  if (error.code === "EADDRNOTAVAIL")
    return `can't listen on ${address}: no interface of this machine has that address`;
  return `can't listen on ${address}: ${error.message}`;
}
