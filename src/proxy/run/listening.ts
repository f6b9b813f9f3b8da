// The sockets of listeners: bound once for an address, whichever version of the listener they feed.

import fs from "node:fs";
import { createServer, type ListenOptions, type Server, type Socket } from "node:net";
import { err, ok, type Result } from "../../base/result.ts";
import { type SocketTarget, targetText } from "../compile/value.ts";
import type { Handover } from "../socket/handover.ts";
import { isAbstract, systemPath } from "../socket/unix-path.ts";

/** Whose sockets serve: one's own, none (others serve), or one of several workers' for the same addresses. */
export type Listening =
  | { readonly kind: "own"; readonly handover?: Handover | undefined }
  | { readonly kind: "none" }
  | SharedListening;

export interface SharedListening {
  readonly kind: "shared";
  /** The first binds what only one can: ports that the system chooses, and unix sockets. */
  readonly first: boolean;
  bound(listener: string, port: number): void;
  /** The port that the first one got for a listener on port 0. */
  portOf(listener: string): Promise<number>;
}

export interface HowToListen {
  readonly port: number;
  readonly backlog: number;
  /** Other workers have sockets of their own for the same address. */
  readonly reusePort: boolean;
}

export class ListeningSocket {
  readonly target: SocketTarget;
  /** Names it to those who come after this process. */
  readonly name: string;
  /** Set when bound: the port that was really taken. */
  boundPort = 0;
  readonly #server: Server;
  readonly #handover: Handover | undefined;
  onSocket: (socket: Socket) => void = (socket) => socket.destroy();

  constructor(target: SocketTarget, name: string, handover: Handover | undefined) {
    this.target = target;
    this.name = name;
    this.#handover = handover;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => this.onSocket(socket));
  }

  get key(): string {
    return targetText(this.target);
  }

  listen(how: HowToListen): Promise<Result<number, string>> {
    const { target } = this;
    const fd = this.#handover?.inherited(this.name);
    return new Promise((resolve) => {
      const server = this.#server;
      const onError = (error: NodeJS.ErrnoException) => resolve(err(reason(this.key, error)));
      server.once("error", onError);
      server.listen(fd === undefined ? this.#options(how) : { fd, backlog: how.backlog }, () => {
        server.removeListener("error", onError);
        server.on("error", () => server.close());
        const address = server.address();
        this.boundPort = typeof address === "object" && address !== null ? address.port : 0;
        if (target.kind === "pipe" && fd === undefined && this.#renames) {
          fs.renameSync(ownPath(target.path), target.path);
        }
        this.#handover?.listening(this.name, server);
        resolve(ok(this.boundPort));
      });
    });
  }

  close(): void {
    if (!this.#server.listening) return;
    this.#server.close();
    if (this.#handover === undefined || this.#handover.retired) return;
    this.#handover.closed(this.name);
    if (this.target.kind === "pipe" && this.#renames) fs.rmSync(this.target.path, { force: true });
  }

  /** What has no file needs no other name for the next process. */
  get #renames(): boolean {
    return this.#handover !== undefined && this.target.kind === "pipe" && !isAbstract(this.target.path);
  }

  #options({ port, backlog, reusePort }: HowToListen): ListenOptions {
    const { target } = this;
    if (target.kind === "tcp") return { host: target.host, port, reusePort, backlog };
    return { path: this.#renames ? ownPath(target.path) : systemPath(target.path), backlog };
  }
}

/** Who binds a unix socket removes its path when it closes: by another name, it stays for the next process. */
function ownPath(path: string): string {
  return `${path}.${process.pid}`;
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
