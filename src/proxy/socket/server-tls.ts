// The server's side of TLS on a connection that is already accepted and looked at.

import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket, type TlsOptions } from "node:tls";
import { HANDSHAKE_MS } from "../limits.ts";
import type { TlsContexts } from "./contexts.ts";
import { isOneWorkload, isOver, isPinned, type Peer, peerOf, sanMatches } from "./identity.ts";

export type HandshakeFailure =
  | "no-certificate"
  | "verify-error"
  | "san-mismatch"
  | "hash-mismatch"
  | "handshake"
  | "not-ready";

export interface SecureConnection {
  readonly socket: TLSSocket;
  readonly peer: Peer | undefined;
  /** It showed a certificate, checked or not. */
  readonly presented: boolean;
  readonly resumed: boolean;
}

export interface HandshakeListener {
  onSecure(connection: SecureConnection): void;
  onFailed(reason: HandshakeFailure, message: string): void;
}

/** Terminates TLS for one filter chain. */
export class TlsAcceptor {
  readonly contexts: TlsContexts;
  #withAlpn: Server | undefined;
  #withoutAlpn: Server | undefined;
  #version = -1;
  readonly #waiting = new WeakMap<Socket, HandshakeListener>();

  constructor(contexts: TlsContexts) {
    this.contexts = contexts;
  }

  /** `offered` are the protocols of the ClientHello: without one in common the handshake goes on with none, as Envoy's does. */
  accept(raw: Socket, offered: readonly string[], listener: HandshakeListener): void {
    const context = this.contexts.get();
    if (!context.ok) {
      listener.onFailed("not-ready", context.error);
      raw.destroy();
      return;
    }
    if (this.#version !== this.contexts.version) {
      this.#version = this.contexts.version;
      this.#withAlpn = undefined;
      this.#withoutAlpn = undefined;
    }
    const common = this.contexts.config.alpnProtocols.some((protocol) => offered.includes(protocol));
    const server = common ? this.#alpnServer() : this.#plainServer();
    this.#waiting.set(raw, listener);
    // A peer that leaves in the middle of the handshake has left; half-closing begins behind it.
    raw.allowHalfOpen = false;
    raw.once("close", () => this.#fail(raw, "handshake", "the connection closed during the handshake"));
    server.emit("connection", raw);
  }

  #alpnServer(): Server {
    const { alpnProtocols } = this.contexts.config;
    this.#withAlpn ??= this.#makeServer({
      ALPNCallback: ({ protocols }) => alpnProtocols.find((protocol) => protocols.includes(protocol)),
    });
    return this.#withAlpn;
  }

  #plainServer(): Server {
    this.#withoutAlpn ??= this.#makeServer({});
    return this.#withoutAlpn;
  }

  #makeServer(alpn: {
    ALPNCallback?: (offer: { servername: string; protocols: string[] }) => string | undefined;
  }): Server {
    const server = createServer({
      ...this.contexts.options(),
      ...alpn,
      handshakeTimeout: HANDSHAKE_MS,
      requestCert: this.contexts.checks || this.contexts.config.requireClientCertificate,
      ...this.#byServerName(),
      rejectUnauthorized: false,
    });
    server.on("secureConnection", (socket) => this.#secured(socket));
    server.on("tlsClientError", (error, socket) => {
      const raw: unknown = Reflect.get(socket, "_parent");
      const known = this.#rawOf(raw);
      if (known !== undefined) this.#fail(known, "handshake", error.message);
    });
    return server;
  }

  /** Where there are several certificates, the client's server name chooses. */
  #byServerName(): Pick<TlsOptions, "SNICallback"> {
    if (!this.contexts.several) return {};
    return { SNICallback: (name, done) => done(null, this.contexts.contextFor(name)) };
  }

  #rawOf(value: unknown): Socket | undefined {
    return isSocket(value) && this.#waiting.has(value) ? value : undefined;
  }

  #fail(raw: Socket, reason: HandshakeFailure, message: string): void {
    const listener = this.#waiting.get(raw);
    if (listener === undefined) return;
    this.#waiting.delete(raw);
    listener.onFailed(reason, message);
  }

  #secured(socket: TLSSocket): void {
    const raw = this.#rawOf(Reflect.get(socket, "_parent"));
    const listener = raw === undefined ? undefined : this.#waiting.get(raw);
    if (raw === undefined || listener === undefined) {
      socket.destroy();
      return;
    }
    this.#waiting.delete(raw);
    socket.allowHalfOpen = true;
    const certificate = socket.getPeerX509Certificate();
    const { config, checks } = this.contexts;
    const resumed = socket.isSessionReused();
    if (certificate === undefined) {
      if (config.requireClientCertificate) this.#refuse(socket, listener, "no-certificate");
      else listener.onSecure({ socket, peer: undefined, presented: false, resumed });
      return;
    }
    const problem = checks ? this.#problem(socket, certificate) : undefined;
    if (problem !== undefined && !config.acceptUntrusted) {
      this.#refuse(socket, listener, problem);
      return;
    }
    const known = checks && problem === undefined;
    listener.onSecure({ socket, peer: known ? peerOf(certificate) : undefined, presented: true, resumed });
  }

  /** Why a client's certificate is not good enough. */
  #problem(socket: TLSSocket, certificate: X509Certificate): HandshakeFailure | undefined {
    const { config, trusts } = this.contexts;
    if (trusts && !socket.authorized) return "verify-error";
    if (trusts && socket.isSessionReused() && isOver(certificate)) return "verify-error";
    if (trusts && !(isOneWorkload(certificate) && sanMatches(certificate, config.sans))) return "san-mismatch";
    return isPinned(certificate, config) ? undefined : "hash-mismatch";
  }

  #refuse(socket: TLSSocket, listener: HandshakeListener, reason: HandshakeFailure): void {
    const cause: unknown = socket.authorizationError;
    listener.onFailed(reason, typeof cause === "string" ? cause : reason);
    socket.destroy();
  }
}

function isSocket(value: unknown): value is Socket {
  return typeof value === "object" && value !== null && "remoteAddress" in value;
}
