// Connecting to an upstream, in the clear or over TLS, with one verdict: ready or failed, and why.

import type { X509Certificate } from "node:crypto";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Clock } from "../../base/clock.ts";
import { TLS_SESSIONS_MAX } from "../limits.ts";
import type { TlsContexts } from "./contexts.ts";
import { isOneWorkload, isOver, isPinned, type Peer, peerOf, sanMatches } from "./identity.ts";
import { systemPath } from "./unix-path.ts";

export type DialFailure = "connect" | "timeout" | "tls";

/** What is not said is the system's choice. */
export interface KeepAliveProbes {
  readonly idleMs: number | undefined;
  readonly intervalMs: number | undefined;
  readonly count: number | undefined;
}

export interface UpstreamName {
  /** Sent as SNI. */
  readonly sni: string | undefined;
  /** Must be among the certificate's names, instead of what the context asks for. */
  readonly verified: string | undefined;
  /** What the connection begins with, before anything else. */
  readonly announcement?: Buffer | undefined;
}

export interface DialTarget {
  readonly host: string;
  readonly port: number;
  /** A unix socket instead of host and port. */
  readonly path: string | undefined;
  readonly tls: TlsContexts | undefined;
  /** Replaces the context's list. */
  readonly alpnProtocols: readonly string[] | undefined;
  /** Of the request, where names are taken from it; undefined: what the context says. */
  readonly name: UpstreamName | undefined;
  readonly timeoutMs: number;
  /** The source address; undefined: the system chooses. */
  readonly localAddress: string | undefined;
  /** TCP's own probes of a silent peer; undefined: none. */
  readonly keepAlive: KeepAliveProbes | undefined;
}

export interface DialListener {
  onConnected(socket: Socket, peer: Peer | undefined): void;
  onFailed(failure: DialFailure, message: string): void;
}

/** A session, and whose it is: a resumed handshake shows no certificate, it goes on with the peer that was checked before. */
interface KnownSession {
  readonly session: Buffer;
  readonly peer: Peer | undefined;
}

/** Sessions to resume, by destination and context; the oldest makes room. */
export class SessionCache {
  readonly #sessions = new Map<string, KnownSession>();

  get(key: string): KnownSession | undefined {
    return this.#sessions.get(key);
  }

  delete(key: string): void {
    this.#sessions.delete(key);
  }

  set(key: string, session: KnownSession): void {
    this.#sessions.delete(key);
    if (this.#sessions.size >= TLS_SESSIONS_MAX) {
      for (const oldest of this.#sessions.keys()) {
        this.#sessions.delete(oldest);
        break;
      }
    }
    this.#sessions.set(key, session);
  }
}

/** Returns the socket at once, so that the caller can give up by destroying it. */
export function dial(
  target: DialTarget,
  listener: DialListener,
  around: { readonly clock: Clock; readonly sessions: SessionCache },
): Socket {
  const { clock, sessions } = around;
  if (target.name?.announcement !== undefined && target.tls !== undefined)
    return dialAnnounced({ ...target, tls: target.tls, announcement: target.name.announcement }, listener, around);
  const opened = target.tls === undefined ? undefined : openTls(target, target.tls, sessions);
  if (typeof opened === "string") {
    const dead = connectTcp({ path: "\0" });
    dead.on("error", ignore);
    dead.destroy();
    queueMicrotask(() => listener.onFailed("tls", opened));
    return dead;
  }
  const secured = opened?.socket;
  const socket = secured ?? connectTcp(address(target));
  socket.setNoDelay(true);
  const { keepAlive } = target;
  if (keepAlive !== undefined) {
    socket.setKeepAlive(true, keepAlive.idleMs ?? 0, keepAlive.intervalMs, keepAlive.count);
  }
  let settled = false;
  const timer = clock.after(target.timeoutMs, () => {
    if (settled) return;
    settled = true;
    socket.destroy();
    listener.onFailed("timeout", "connection timeout");
  });
  const fail = (failure: DialFailure, message: string) => {
    if (settled) return;
    settled = true;
    timer.cancel();
    socket.destroy();
    listener.onFailed(failure, message);
  };
  let connected = false;
  socket.once("connect", () => {
    connected = true;
  });
  socket.on("error", (error) => (connected ? fail("tls", error.message) : fail("connect", connectError(error))));
  socket.once("close", () => fail(connected ? "tls" : "connect", "the connection was closed"));
  socket.once(secured === undefined ? "connect" : "secureConnect", () => {
    if (settled) return;
    const verdict = opened?.verify();
    if (typeof verdict === "string") return fail("tls", verdict);
    settled = true;
    timer.cancel();
    if (target.name?.announcement !== undefined) socket.write(target.name.announcement);
    listener.onConnected(socket, verdict);
  });
  return socket;
}

type Announced = DialTarget & { readonly tls: TlsContexts; readonly announcement: Buffer };

/** The header goes ahead in the clear, and TLS begins behind it. */
function dialAnnounced(
  target: Announced,
  listener: DialListener,
  around: { readonly clock: Clock; readonly sessions: SessionCache },
): Socket {
  const { tls, announcement, name, ...place } = target;
  const timeout = { ms: target.timeoutMs, begunMs: around.clock.monotonicMs() };
  const plain = { ...place, tls: undefined, name: undefined };
  const onConnected = (raw: Socket) => {
    raw.write(announcement);
    const opened = openTls({ ...target, name }, tls, around.sessions, raw);
    if (typeof opened === "string") {
      raw.destroy();
      listener.onFailed("tls", opened);
      return;
    }
    const { socket } = opened;
    let settled = false;
    const leftMs = Math.max(1, timeout.ms - (around.clock.monotonicMs() - timeout.begunMs));
    const end = (failure: DialFailure, message: string) => {
      if (settled) return;
      settled = true;
      timer.cancel();
      socket.destroy();
      listener.onFailed(failure, message);
    };
    const timer = around.clock.after(leftMs, () => end("timeout", "connection timeout"));
    socket.on("error", (error) => end("tls", error.message));
    socket.once("close", () => end("tls", "the connection was closed"));
    socket.once("secureConnect", () => {
      const verdict = opened.verify();
      if (typeof verdict === "string") return end("tls", verdict);
      if (settled) return;
      settled = true;
      timer.cancel();
      listener.onConnected(socket, verdict);
    });
  };
  return dial(plain, { onConnected, onFailed: listener.onFailed.bind(listener) }, around);
}

const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "Connection refused",
  ECONNRESET: "Connection reset by peer",
  EHOSTUNREACH: "No route to host",
  ENETUNREACH: "Network is unreachable",
  ETIMEDOUT: "Connection timed out",
  ENOENT: "No such file or directory",
};

/** In Envoy's words, which people search for. */
function connectError(error: NodeJS.ErrnoException): string {
  return `delayed connect error: ${CONNECT_ERRORS[error.code ?? ""] ?? error.message}`;
}

function ignore(): void {
  // The caller has been told already.
}

function address(
  target: DialTarget,
): { path: string; allowHalfOpen: true } | { host: string; port: number; allowHalfOpen: true; localAddress?: string } {
  const { host, port, path, localAddress } = target;
  if (path !== undefined) return { path: systemPath(path), allowHalfOpen: true };
  return { host, port, allowHalfOpen: true, ...(localAddress === undefined ? {} : { localAddress }) };
}

interface OpenedTls {
  readonly socket: TLSSocket;
  /** After the handshake: the peer, or why it is not accepted. */
  verify(): Peer | undefined | string;
}

/** `over`: a connection that stands already. */
function openTls(target: DialTarget, tls: TlsContexts, sessions: SessionCache, over?: Socket): OpenedTls | string {
  const context = tls.get();
  if (!context.ok) return context.error;
  const { config } = tls;
  const alpn = target.alpnProtocols ?? config.alpnProtocols;
  const serverName = target.name?.sni ?? config.serverName;
  const verified = target.name?.verified;
  const place = `${target.path ?? ""}${target.host}:${target.port}`;
  const key = `${place} ${tls.id} ${tls.version} ${alpn.join()} ${serverName} ${verified ?? ""}`;
  const known = config.maxSessions === 0 ? undefined : sessions.get(key);
  const socket = connectTls({
    ...(over === undefined ? address(target) : { socket: over }),
    secureContext: context.value,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ...(serverName === "" ? {} : { servername: serverName }),
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
    ...(known === undefined ? {} : { session: known.session }),
  });
  let accepted: Peer | undefined | string = "the handshake is not over";
  let early: Buffer | undefined;
  // Only what a verified peer gave is kept; with TLS 1.2 it comes before the verdict.
  if (config.maxSessions > 0)
    socket.on("session", (session) => {
      if (typeof accepted === "string") early = session;
      else sessions.set(key, { session, peer: accepted });
    });
  const judge = () => {
    accepted =
      known !== undefined && socket.isSessionReused() ? resumed(socket, known.peer) : verify(socket, tls, verified);
    if (typeof accepted === "string") sessions.delete(key);
    else if (early !== undefined) sessions.set(key, { session: early, peer: accepted });
    return accepted;
  };
  return { socket, verify: judge };
}

/** The session's key holds destination, context and name, so that what was checked then holds now. */
function resumed(socket: TLSSocket, peer: Peer | undefined): Peer | undefined | string {
  if (peer !== undefined && isOver(peer.certificate)) {
    return "TLS error: CERTIFICATE_VERIFY_FAILED: the certificate of the resumed session has expired";
  }
  if (peer === undefined || socket.authorized) return peer;
  return `TLS error: CERTIFICATE_VERIFY_FAILED: ${String(socket.authorizationError)}`;
}

/** The peer, or why it is not accepted. Without a trust bundle nothing is checked, as in Envoy. */
function verify(socket: TLSSocket, tls: TlsContexts, name: string | undefined): Peer | undefined | string {
  if (!tls.checks) return undefined;
  const { config } = tls;
  if (tls.trusts && !socket.authorized && !config.acceptUntrusted) {
    return `TLS error: CERTIFICATE_VERIFY_FAILED: ${String(socket.authorizationError)}`;
  }
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return "TLS error: the server sent no certificate";
  if (!isPinned(certificate, config))
    return "TLS error: CERTIFICATE_VERIFY_FAILED: the certificate is not a pinned one";
  if (!isOneWorkload(certificate))
    return "TLS error: CERTIFICATE_VERIFY_FAILED: the certificate names several workloads";
  const accepted = name === undefined ? sanMatches(certificate, config.sans) : isNamed(certificate, name);
  if (!accepted) {
    return `TLS error: CERTIFICATE_VERIFY_FAILED: SAN matcher: ${certificate.subjectAltName ?? "no subject alternative name"}`;
  }
  return peerOf(certificate);
}

function isNamed(certificate: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return certificate.checkIP(name) !== undefined;
  return certificate.checkHost(name, { subject: "never" }) !== undefined;
}
