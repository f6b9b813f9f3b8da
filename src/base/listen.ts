// A listening socket, or why there is none in words that name the next step.

import type { Server } from "node:net";
import { err, ok, type Result } from "./result.ts";

export interface ListenAddress {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** A socket that listens there already. */
  readonly fd?: number;
}

/** Returns the port. */
export function listen(server: Server, address: ListenAddress): Promise<Result<number, string>> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException) => resolve(err(explain(error, address)));
    server.once("error", onError);
    const { host, port, fd } = address;
    server.listen(fd === undefined ? { host, port } : { fd }, () => {
      server.off("error", onError);
      const bound = server.address();
      resolve(ok(typeof bound === "object" && bound !== null ? bound.port : address.port));
    });
  });
}

function explain(error: NodeJS.ErrnoException, address: ListenAddress): string {
  const place = `${address.host}:${address.port}`;
  switch (error.code) {
    case "EADDRINUSE":
      return `${place} is taken by another process: stop it (ss -ltnp shows it) or choose another port`;
    case "EADDRNOTAVAIL":
      return `${address.host} is not an address of this machine`;
    case "EACCES":
      return `${place} may not be bound by this user: take a port above 1023`;
    default:
      return `can't listen on ${place}: ${error.message}`;
  }
}
