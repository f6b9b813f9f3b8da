// The origin behind the table: tells what it was asked, or misbehaves when the path says so.

import http from "node:http";
import type { AddressInfo } from "node:net";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
}

export interface WalkOrigin {
  readonly port: number;
  /** What came since the last call of this. */
  take(): readonly Seen[];
  close(): void;
}

export async function startOrigin(): Promise<WalkOrigin> {
  let seen: Seen[] = [];
  const server = http.createServer((request, response) => {
    const path = request.url ?? "";
    seen.push({ method: request.method ?? "", path, headers: request.headers });
    request.resume();
    if (path === "/reset") {
      request.socket.end();
      return;
    }
    if (path === "/slow") return;
    const status = /^\/status\/(\d+)$/.exec(path)?.[1];
    response.writeHead(Number(status ?? 200), { "x-from-origin": "1", "content-length": "6" });
    response.end("origin");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: portOf(server.address()),
    take() {
      const all = seen;
      seen = [];
      return all;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

export async function freePort(): Promise<number> {
  const server = http.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = portOf(server.address());
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" && address !== null ? address.port : 0;
}
