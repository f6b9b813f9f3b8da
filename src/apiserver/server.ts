// The HTTPS front: TLS, who asks, and one answer for every request, whatever happens.

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { err, ok, type Result } from "../base/result.ts";
import { authenticate, authorize, UNAUTHORIZED } from "./authenticate.ts";
import { dispatch, type Handlers } from "./dispatch.ts";
import { refuseUpgrade, SESSION_SUBRESOURCES, SessionHandler } from "./exec.ts";
import { type ApiRequest, replyFailed, send } from "./http.ts";
import {
  CONNECTIONS_MAX,
  HANDSHAKE_TIMEOUT_MS,
  HEAD_TIMEOUT_MS,
  HEADER_BYTES_MAX,
  REQUEST_TIMEOUT_MS,
  TIMEOUT_CHECK_MS,
} from "./limits.ts";
import type { Pki } from "./pki.ts";
import { findRoute, parsePath } from "./route.ts";
import { failure } from "./status.ts";

export type ListenOn = { readonly host: string; readonly port: number } | { readonly fd: number };

export interface Front {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

export async function openFront(handlers: Handlers, pki: Pki, listen: ListenOn): Promise<Result<Front, string>> {
  const server = createServer({
    key: pki.privateKeyPem,
    cert: pki.certificatePem,
    minVersion: "TLSv1.2",
    maxHeaderSize: HEADER_BYTES_MAX,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    headersTimeout: HEAD_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  });
  server.maxConnections = CONNECTIONS_MAX;
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  const sessions = new SessionHandler(handlers.resources, handlers.runtime);
  server.on("request", (message, response) => void answer(handlers, pki, message, response));
  server.on("upgrade", (message, socket, head) => void upgrade({ handlers, pki, sessions }, { message, socket, head }));
  // A client that speaks no TLS, or leaves in the middle, is no event.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  const listening = await startListening(server, listen);
  if (!listening.ok) return listening;
  return ok({
    address: listening.value,
    close: async () => {
      handlers.reader.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  });
}

function startListening(server: Server, listen: ListenOn): Promise<Result<{ host: string; port: number }, string>> {
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      const where = "fd" in listen ? `file descriptor ${listen.fd}` : `${listen.host}:${listen.port}`;
      const next = error.code === "EADDRINUSE" ? "; another process has this port: end it or choose another port" : "";
      resolve(err(`the API cannot listen on ${where}: ${error.message}${next}`));
    };
    server.once("error", onError);
    server.listen(listen, () => {
      server.off("error", onError);
      const address = server.address();
      const bound: Partial<AddressInfo> = typeof address === "object" && address !== null ? address : {};
      resolve(ok({ host: bound.address ?? "127.0.0.1", port: bound.port ?? 0 }));
    });
  });
}

async function answer(handlers: Handlers, pki: Pki, message: IncomingMessage, response: ServerResponse): Promise<void> {
  response.on("error", () => response.destroy());
  try {
    const request = await readRequest(handlers, pki, message);
    send(response, request === undefined ? replyFailed(UNAUTHORIZED) : await dispatch(handlers, request));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    send(
      response,
      replyFailed(
        failure(500, "InternalError", `an error on the server ("${why}") has prevented the request from succeeding`),
      ),
    );
  }
  // A body that nobody read (refused, too large) must not hold the connection up.
  if (!message.complete) {
    message.resume();
  }
}

async function readRequest(handlers: Handlers, pki: Pki, message: IncomingMessage): Promise<ApiRequest | undefined> {
  const { adminToken } = pki;
  const user = await authenticate(message.headers, { adminToken, tokens: handlers.tokens });
  if (user === undefined) return undefined;
  const url = urlOf(message);
  return {
    method: message.method ?? "GET",
    pathname: url.pathname,
    query: url.searchParams,
    accept: message.headers.accept ?? "",
    contentType: message.headers["content-type"] ?? "application/json",
    userAgent: message.headers["user-agent"] ?? "",
    user,
    message,
  };
}

function urlOf(message: IncomingMessage): URL {
  return new URL(`https://cluster${(message.url ?? "/").replace(/^\/+/, "/")}`);
}

async function upgrade(
  { handlers, pki, sessions }: { handlers: Handlers; pki: Pki; sessions: SessionHandler },
  { message, socket, head }: { message: IncomingMessage; socket: Duplex; head: Buffer },
): Promise<void> {
  socket.on("error", () => socket.destroy());
  try {
    const { adminToken } = pki;
    const user = await authenticate(message.headers, { adminToken, tokens: handlers.tokens });
    if (user === undefined) return refuseUpgrade(socket, UNAUTHORIZED);
    const url = urlOf(message);
    const parts = parsePath(url.pathname);
    const route = parts === undefined ? undefined : findRoute(handlers.registry, parts);
    if (parts === undefined || route?.kind.kind !== "Pod" || !SESSION_SUBRESOURCES.includes(route.subresource ?? "")) {
      return refuseUpgrade(
        socket,
        failure(404, "NotFound", "only exec, attach and portforward of a pod can be upgraded"),
      );
    }
    const refusal = authorize(handlers.authorizer, user, { method: "POST", query: url.searchParams, parts });
    if (refusal !== undefined) return refuseUpgrade(socket, refusal);
    await sessions.handle({ message, socket, head }, route, url.searchParams);
  } catch (error) {
    refuseUpgrade(socket, failure(500, "InternalError", error instanceof Error ? error.message : String(error)));
  }
}
