// The origin behind the table: tells what it was asked, or misbehaves when the path says so.

import http from "node:http";
import type { AddressInfo } from "node:net";
import { JWKS } from "./tokens.ts";

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

export interface WalkOrigin {
  readonly port: number;
  /** What came since the last call of this. */
  take(): readonly Seen[];
  close(): void;
}

export async function startOrigin(): Promise<WalkOrigin> {
  let seen: Seen[] = [];
  const servers = ADDRESSES.map(() => makeServer((one) => seen.push(one)));
  let port = 0;
  for (const [index, server] of servers.entries()) {
    await new Promise<void>((resolve) => server.listen(port, ADDRESSES[index], resolve));
    port = portOf(server.address());
  }
  return {
    port,
    take() {
      const all = seen;
      seen = [];
      return all;
    },
    close() {
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

const ADDRESSES = ["127.0.0.1", "127.0.0.2", "127.0.0.3"];

function makeServer(onSeen: (one: Seen) => void): http.Server {
  const server = http.createServer((request, response) => {
    const path = request.url ?? "";
    if (path.startsWith("/jwks")) {
      response.end(JWKS);
      return;
    }
    let body = "";
    const one = { method: request.method ?? "", path, headers: request.headers, body };
    onSeen(one);
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString("latin1");
      one.body = body;
    });
    answer(path, request, response);
  });
  server.on("connect", (request, socket) => {
    socket.on("error", () => socket.destroy());
    if (request.url?.startsWith("connect-refused") === true)
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 2\r\n\r\nno");
    else socket.end(`HTTP/1.1 200 OK\r\n\r\ntunnel of ${request.url}`);
  });
  server.on("upgrade", (request, socket) => {
    onSeen({ method: request.method ?? "", path: request.url ?? "", headers: request.headers, body: "" });
    socket.end("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\ntunnel");
  });
  return server;
}

/** The path says how to answer: `/status/N`, `/with?NAME=VALUE` (these headers), `/reset`, `/slow`, `/early` (before the body is read). */
function answer(path: string, request: http.IncomingMessage, response: http.ServerResponse): void {
  const [bare = "", query = ""] = path.split("?", 2);
  request.resume();
  if (bare === "/reset") {
    request.socket.end();
    return;
  }
  if (bare === "/slow") return;
  const status = Number(/^\/status\/(\d+)$/.exec(bare)?.[1] ?? 200);
  const headers: Record<string, string | string[]> = { "x-from-origin": "1" };
  if (bare.startsWith("/with") || bare.startsWith("/status")) {
    for (const [name, value] of new URLSearchParams(query)) headers[name] = value;
  }
  if (status >= 200 && status !== 204 && status !== 304) headers["content-length"] = "6";
  const send = () => {
    response.writeHead(status, headers);
    response.end(status === 204 || status === 304 ? undefined : "origin");
  };
  if (bare === "/early") send();
  else request.on("end", send);
}

/** Held together, so that no two are the same. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => http.createServer());
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const ports = servers.map((server) => portOf(server.address()));
  for (const server of servers) await new Promise((resolve) => server.close(resolve));
  return ports;
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" && address !== null ? address.port : 0;
}
