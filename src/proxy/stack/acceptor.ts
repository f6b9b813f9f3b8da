// From an accepted socket to a served connection: original destination, first bytes, filter chain, TLS, access, HTTP or TCP.

import type { Socket } from "node:net";
import type { Counter, Gauge } from "../../observe/metrics.ts";
import type { ChainConfig, ListenerConfig } from "../compile/listener.ts";
import { plainIp } from "../compile/value.ts";
import { deniedBy, rbacStats } from "../filters/rbac.ts";
import { SERVER_FIRST_MEMORY_MAX, SNIFF_BYTES_MAX, SPECULATE_AFTER_MS } from "../limits.ts";
import { NOTHING, type Sniffed, sniff } from "../socket/client-hello.ts";
import { TlsContexts } from "../socket/contexts.ts";
import type { Peer } from "../socket/identity.ts";
import { originalDestination } from "../socket/original-dst.ts";
import type { SecretSource } from "../socket/secret.ts";
import { TlsAcceptor } from "../socket/server-tls.ts";
import type { Destination } from "../upstream/original-dst.ts";
import { matchChain } from "./chain-match.ts";
import { type ConnectionInfo, connectionInfo } from "./connection-info.ts";
import { ConnectionLimiter } from "./connection-limit.ts";
import type { Drain } from "./drain.ts";
import { HttpConnection } from "./http-connection.ts";
import { connectionRecord } from "./record.ts";
import { type Core, HttpRuntime } from "./runtime.ts";
import { connectionSubject } from "./subject.ts";
import { type TcpOptions, TcpSession } from "./tcp.ts";

interface Chain {
  readonly config: ChainConfig;
  readonly tls: TlsAcceptor | undefined;
  readonly http: HttpRuntime | undefined;
  readonly limiters: readonly ConnectionLimiter[];
}

type SpeculationEvents = Pick<TcpOptions, "onServerFirst" | "onSpeculationFailed">;

const ATTACHED_FROM_THE_START: SpeculationEvents = {
  onServerFirst: () => undefined,
  onSpeculationFailed: () => undefined,
};

interface Sweeping {
  sweep(nowMs: number): void;
  /** Undefined where a connection is always busy: it is no sequence of requests. */
  readonly busy?: boolean;
}

export class Acceptor {
  readonly config: ListenerConfig;
  readonly #core: Core;
  readonly #chains: readonly Chain[];
  readonly #default: Chain | undefined;
  readonly #connections = new Set<Sweeping & { closeGently?: () => void; close?: () => void; abort?: () => void }>();
  readonly #stats: {
    readonly total: Counter;
    readonly active: Gauge;
    readonly destroyed: Counter;
    readonly noChain: Counter;
    readonly noServerName: Counter;
    readonly contextFailure: Counter;
    readonly handshake: Counter;
    readonly sslError: Counter;
    readonly failVerify: Counter;
    readonly noCertificate: Counter;
    readonly sanMismatch: Counter;
    readonly hashMismatch: Counter;
    readonly reused: Counter;
    readonly rbacDenied: Counter;
    readonly overloadReject: Counter;
  };
  readonly #inspects: boolean;
  /** Destinations whose servers were seen to speak first. */
  readonly #serverFirst = new Set<string>();

  constructor(config: ListenerConfig, core: Core, secrets: SecretSource | undefined) {
    this.config = config;
    this.#core = core;
    const make = (chain: ChainConfig): Chain => ({
      config: chain,
      tls: chain.tls === undefined ? undefined : new TlsAcceptor(new TlsContexts(chain.tls, secrets)),
      http: chain.terminal.kind === "http" ? new HttpRuntime(chain.terminal, core, config.direction) : undefined,
      limiters: chain.limits.map((one) => new ConnectionLimiter(one, core.clock, core.registry)),
    });
    this.#chains = config.chains.map(make);
    this.#default = config.defaultChain === undefined ? undefined : make(config.defaultChain);
    const address = config.addresses[0];
    const label = config.statPrefix || (address?.kind === "tcp" ? `${address.host}_${address.port}` : config.name);
    const scope = core.registry.scope({
      statPrefix: `listener.${label}.`,
      namePrefix: "envoy_listener_",
      labels: { envoy_listener_address: label },
    });
    this.#stats = {
      total: scope.counter("downstream_cx_total"),
      active: scope.gauge("downstream_cx_active"),
      destroyed: scope.counter("downstream_cx_destroy"),
      noChain: scope.counter("no_filter_chain_match"),
      noServerName: scope.counter("ssl.no_sni"),
      contextFailure: scope.counter("ssl_socket_factory.downstream_tls_context_update_failure"),
      handshake: scope.counter("ssl.handshake"),
      sslError: scope.counter("ssl.connection_error"),
      failVerify: scope.counter("ssl.fail_verify_error"),
      noCertificate: scope.counter("ssl.fail_verify_no_cert"),
      sanMismatch: scope.counter("ssl.fail_verify_san"),
      hashMismatch: scope.counter("ssl.fail_verify_cert_hash"),
      reused: scope.counter("ssl.session_reused"),
      rbacDenied: scope.counter("rbac.denied"),
      overloadReject: scope.counter("downstream_cx_overload_reject"),
    };
    scope.counter("ssl_socket_factory.ssl_context_update_by_sds");
    scope.counter("ssl_socket_factory.upstream_context_secrets_not_ready");
    scope.counter("ssl_socket_factory.downstream_context_secrets_not_ready");
    const all = this.#default === undefined ? this.#chains : [...this.#chains, this.#default];
    this.#inspects = all.some((chain) => needsBytes(chain.config));
  }

  /** Why it can't serve yet. Without a secret that is waited for no longer it serves all the same, but for the chains that name it. */
  heldUpBy(isGivenUp: (secret: string, waitMs: number | undefined) => boolean): string | undefined {
    for (const contexts of this.contexts()) {
      if (contexts.ready) continue;
      const { missing } = contexts;
      const awaited = missing.find((name) => !isGivenUp(name, contexts.config.secretWaits.get(name)));
      if (awaited !== undefined) return `secret ${awaited} has not arrived`;
      const made = contexts.get();
      if (missing.length === 0 && !made.ok) return made.error;
    }
    return undefined;
  }

  contexts(): readonly TlsContexts[] {
    return this.#all().flatMap((chain) => (chain.tls === undefined ? [] : [chain.tls.contexts]));
  }

  get activeConnections(): number {
    return this.#connections.size;
  }

  /** `destination` is set where another listener accepted the connection and handed it over. */
  accept(socket: Socket, destination: Destination | undefined): void {
    this.#stats.total.inc();
    this.#stats.active.add(1);
    socket.once("close", () => {
      this.#stats.active.add(-1);
      this.#stats.destroyed.inc();
    });
    if (this.#core.overload.refusesConnection()) {
      this.#stats.overloadReject.inc();
      this.#drop(socket);
      return;
    }
    const original = destination ?? (this.config.readOriginalDst ? originalDestination(socket) : undefined);
    if (this.config.accessLogs.length > 0) this.#logAtEnd(socket, original);
    if (!this.#inspects) {
      const chain = this.#match(socket, original, NOTHING);
      if (chain === undefined) {
        this.#noChain(socket);
        return;
      }
      this.#serve(chain, { socket, original, sniffed: NOTHING, first: undefined });
      return;
    }
    this.#inspect(socket, original);
  }

  /** The listener's own log has a line for each connection, whatever became of it. */
  #logAtEnd(socket: Socket, original: Destination | undefined): void {
    const { clock, logs } = this.#core;
    const startTimeMs = clock.wallMs();
    const startMs = clock.monotonicMs();
    const info = connectionInfo(socket, { ...UNKNOWN, originalDst: original });
    socket.once("close", () => {
      const bytes = { received: socket.bytesRead, sent: socket.bytesWritten };
      const times = { startTimeMs, durationMs: clock.monotonicMs() - startMs };
      logs.write(this.config.accessLogs, connectionRecord(info, bytes, times));
    });
  }

  /** Undefined ends a drain that was called off. */
  drain(drain: Drain | undefined): void {
    for (const chain of this.#all()) if (chain.http !== undefined) chain.http.drain = drain;
  }

  /** Connections with a request under way, or that are no requests at all. */
  get busyConnections(): number {
    let count = 0;
    for (const connection of this.#connections) if (connection.busy !== false) count += 1;
    return count;
  }

  sweep(nowMs: number): void {
    for (const connection of this.#connections) connection.sweep(nowMs);
  }

  closeAll(): void {
    for (const connection of [...this.#connections]) {
      connection.abort?.();
      connection.close?.();
    }
  }

  close(): void {
    for (const contexts of this.contexts()) contexts.close();
    for (const { http } of this.#all()) http?.close();
  }

  #all(): readonly Chain[] {
    return this.#default === undefined ? this.#chains : [...this.#chains, this.#default];
  }

  #match(socket: Socket, original: Destination | undefined, sniffed: Sniffed): Chain | undefined {
    const input = {
      destinationIp: original?.host ?? plainIp(socket.localAddress ?? ""),
      destinationPort: original?.port ?? socket.localPort ?? 0,
      serverName: sniffed.serverName,
      transport: sniffed.transport,
      protocols: sniffed.protocols,
      sourceIp: plainIp(socket.remoteAddress ?? ""),
      sourcePort: socket.remotePort ?? 0,
    };
    return matchChain(this.#chains, input) ?? this.#default;
  }

  #noChain(socket: Socket): void {
    this.#stats.noChain.inc();
    this.#drop(socket);
  }

  #drop(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    socket.destroy();
  }

  /**
   * Reads until the protocol is clear. Meanwhile, where silence would mean TCP, its upstream is dialled: if the server speaks
   * first the two are joined, and nobody waited for a timeout.
   */
  #inspect(socket: Socket, original: Destination | undefined): void {
    const { clock } = this.#core;
    let bytes: Buffer | undefined;
    let decided = false;
    let speculation: { readonly session: TcpSession; readonly chain: Chain } | undefined;
    const settle = () => {
      decided = true;
      speculate.cancel();
      timeout.cancel();
      socket.removeListener("data", onData);
      socket.removeListener("end", onEnd);
      socket.removeListener("error", onError);
    };
    const port = original?.port ?? socket.localPort ?? 0;
    const decide = (seen: Sniffed) => {
      const sniffed = this.#allowed(seen, port);
      settle();
      socket.pause();
      const chain = this.#match(socket, original, sniffed);
      if (speculation !== undefined && speculation.chain === chain) return speculation.session.attach(bytes);
      speculation?.session.abandon();
      if (chain === undefined) return this.#noChain(socket);
      this.#serve(chain, { socket, original, sniffed, first: bytes });
    };
    const onData = (chunk: Buffer) => {
      bytes = bytes === undefined ? chunk : Buffer.concat([bytes, chunk]);
      const sniffed = bytes.length > SNIFF_BYTES_MAX ? NOTHING : sniff(bytes);
      if (sniffed !== undefined) decide(sniffed);
    };
    const onEnd = () => decide(NOTHING);
    const onError = () => {
      settle();
      speculation?.session.abandon();
      socket.destroy();
    };
    const startSpeculation = () => {
      if (decided || bytes !== undefined || socket.destroyed) return;
      const chain = this.#match(socket, original, NOTHING);
      if (chain?.config.terminal.kind !== "tcp" || chain.tls !== undefined) return;
      const info = infoOf(chain, { socket, original, sniffed: NOTHING }, undefined);
      if (this.#denied(chain, info)) return;
      const session: TcpSession | undefined = this.#tcp(chain, socket, info, {
        onServerFirst: () => {
          if (decided) return;
          this.#rememberServerFirst(info.localAddress);
          settle();
          session?.attach(undefined);
        },
        onSpeculationFailed: () => {
          speculation = undefined;
        },
      });
      if (session === undefined) return;
      speculation = { session, chain };
      session.connect();
    };
    const known = this.#serverFirst.has(
      `${original?.host ?? plainIp(socket.localAddress ?? "")}:${original?.port ?? socket.localPort ?? 0}`,
    );
    const speculate = clock.after(known ? 0 : SPECULATE_AFTER_MS, startSpeculation);
    const timeout = clock.after(this.config.inspectTimeoutMs === 0 ? 2 ** 31 - 1 : this.config.inspectTimeoutMs, () => {
      if (decided) return;
      if (this.config.continueOnTimeout) decide(NOTHING);
      else onError();
    });
    socket.on("data", onData);
    socket.on("end", onEnd);
    socket.on("error", onError);
  }

  /** What the listener's inspectors may know of a connection to this port. */
  #allowed(sniffed: Sniffed, port: number): Sniffed {
    if (sniffed.transport === "tls") return this.config.inspectTls(port) ? sniffed : NOTHING;
    return sniffed.protocols.length === 0 || this.config.inspectHttp(port) ? sniffed : NOTHING;
  }

  #rememberServerFirst(address: string): void {
    if (this.#serverFirst.size < SERVER_FIRST_MEMORY_MAX) this.#serverFirst.add(address);
  }

  #serve(chain: Chain, accepted: Accepted & { readonly first: Buffer | undefined }): void {
    const { socket, sniffed, first } = accepted;
    if (chain.tls === undefined) {
      this.#open(chain, socket, infoOf(chain, accepted, undefined), first);
      return;
    }
    const { contexts } = chain.tls;
    if (contexts.config.requireServerName && sniffed.serverName === "") {
      this.#stats.noServerName.inc();
      this.#drop(socket);
      return;
    }
    if (first !== undefined) socket.unshift(first);
    const { handshakeTimeoutMs } = chain.config;
    const late =
      handshakeTimeoutMs === 0 ? undefined : this.#core.clock.after(handshakeTimeoutMs, () => socket.destroy());
    chain.tls.accept(socket, sniffed.protocols, {
      onSecure: ({ socket: secure, peer, presented, resumed }) => {
        late?.cancel();
        this.#stats.handshake.inc();
        if (resumed) this.#stats.reused.inc();
        const tls = { version: secure.getProtocol() ?? "TLSv1.3", peer, presented, localUri: localUri(contexts) };
        this.#open(chain, secure, infoOf(chain, accepted, tls), undefined);
      },
      onFailed: (reason) => {
        late?.cancel();
        if (reason === "not-ready") this.#stats.contextFailure.inc();
        else if (reason === "no-certificate") this.#stats.noCertificate.inc();
        else if (reason === "verify-error") this.#stats.failVerify.inc();
        else if (reason === "san-mismatch") this.#stats.sanMismatch.inc();
        else if (reason === "hash-mismatch") this.#stats.hashMismatch.inc();
        this.#stats.sslError.inc();
      },
    });
  }

  #denied(chain: Chain, info: ConnectionInfo): boolean {
    for (const config of chain.config.rbac) {
      const scope = this.#core.registry.scope({ statPrefix: config.statPrefix, namePrefix: "envoy_", labels: {} });
      const stats = rbacStats(scope, { ...config, statPrefix: "" });
      const policy = config.rules === undefined ? undefined : deniedBy(config.rules, connectionSubject(info));
      if (policy !== undefined) {
        stats.denied.inc();
        this.#stats.rbacDenied.inc();
        return true;
      }
      stats.allowed.inc();
    }
    return false;
  }

  #open(chain: Chain, socket: Socket, info: ConnectionInfo, first: Buffer | undefined): void {
    if (this.#denied(chain, info)) {
      this.#drop(socket);
      return;
    }
    for (const limiter of chain.limiters) if (!limiter.admit(socket)) return;
    if (chain.http !== undefined) {
      const connection = new HttpConnection(socket, chain.http, info, (gone) => this.#connections.delete(gone));
      this.#connections.add(connection);
      connection.start(first);
      return;
    }
    const session = this.#tcp(chain, socket, info, ATTACHED_FROM_THE_START);
    session?.attach(first);
    session?.connect();
  }

  #tcp(chain: Chain, socket: Socket, info: ConnectionInfo, speculation: SpeculationEvents): TcpSession | undefined {
    const { terminal, cause } = chain.config;
    if (terminal.kind !== "tcp") return undefined;
    const session = new TcpSession(socket, info, {
      config: terminal,
      core: this.#core,
      cause,
      direction: this.config.direction,
      ...speculation,
      onClosed: (gone) => this.#connections.delete(gone),
    });
    this.#connections.add(session);
    return session;
  }
}

const UNKNOWN = {
  serverName: "",
  tlsVersion: undefined,
  peer: undefined,
  certificatePresented: false,
  localUri: undefined,
  filterChainName: "",
} as const;

interface Accepted {
  readonly socket: Socket;
  readonly original: Destination | undefined;
  readonly sniffed: Sniffed;
}

interface Secured {
  readonly version: string;
  readonly peer: Peer | undefined;
  readonly presented: boolean;
  readonly localUri: string | undefined;
}

function infoOf(chain: Chain, accepted: Accepted, tls: Secured | undefined): ConnectionInfo {
  return connectionInfo(accepted.socket, {
    originalDst: accepted.original,
    serverName: accepted.sniffed.serverName,
    tlsVersion: tls?.version,
    peer: tls?.peer,
    certificatePresented: tls?.presented ?? false,
    localUri: tls?.localUri,
    filterChainName: chain.config.name,
  });
}

function needsBytes(chain: ChainConfig): boolean {
  const { match, tls } = chain;
  return (
    tls !== undefined ||
    match.serverNames.length > 0 ||
    match.transportProtocol !== "" ||
    match.applicationProtocols.length > 0
  );
}

/** The SPIFFE name in the certificate that is presented now; read anew only when the certificate changed. */
const URIS = new WeakMap<TlsContexts, { readonly version: number; readonly uri: string | undefined }>();

function localUri(contexts: TlsContexts): string | undefined {
  const known = URIS.get(contexts);
  if (known !== undefined && known.version === contexts.version) return known.uri;
  const uri = contexts.presentedUri();
  URIS.set(contexts, { version: contexts.version, uri });
  return uri;
}
