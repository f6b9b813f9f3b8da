// TCP from end to end: two sockets spliced, each slowed by the other, each half closed on its own.

import type { Socket } from "node:net";
import { xxHash64 } from "../../base/hash.ts";
import type { AccessRecord } from "../../observe/access-record.ts";
import type { TcpConfig } from "../compile/listener.ts";
import { type Cause, causeText } from "../compile/value.ts";
import { dial, type UpstreamName } from "../socket/dial.ts";
import { type Peer, tlsViewOf } from "../socket/identity.ts";
import { keep, receiveFrom } from "../socket/inbox.ts";
import { Outbox } from "../socket/outbox.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Host } from "../upstream/host.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import type { IstioConnection } from "./istio-stats.ts";
import type { Core } from "./runtime.ts";
import { openTunnel } from "./tunnel.ts";

export interface TcpOptions {
  readonly config: TcpConfig;
  readonly core: Core;
  readonly cause: Cause | undefined;
  readonly direction: "inbound" | "outbound" | "unspecified";
  /** The server spoke before the client did. */
  readonly onServerFirst: () => void;
  /** Dialled before the protocol was known, and refused or closed: says nothing about a client that speaks another protocol. */
  readonly onSpeculationFailed: () => void;
  readonly onClosed: (session: TcpSession) => void;
}

export class TcpSession {
  readonly downstream: Socket;
  readonly info: ConnectionInfo;
  readonly #options: TcpOptions;
  readonly #early: Buffer[] = [];
  readonly #startMs: number;
  readonly #wallMs: number;
  #upstream: Socket | undefined;
  /** What goes up; there once the upstream is connected. */
  #up: Outbox | undefined;
  /** What comes down; there once the client belongs to this session. */
  #down: Outbox | undefined;
  #attached = false;
  #closed = false;
  #host: Host | undefined;
  #cluster: Cluster | undefined;
  #attempts = 0;
  #flag = "";
  #received = 0;
  #sent = 0;
  #activeMs: number;
  #failure: string | undefined;
  #istio: IstioConnection | undefined;

  constructor(downstream: Socket, info: ConnectionInfo, options: TcpOptions) {
    this.downstream = downstream;
    this.info = info;
    this.#options = options;
    const { clock } = options.core;
    this.#startMs = clock.monotonicMs();
    this.#wallMs = clock.wallMs();
    this.#activeMs = this.#startMs;
  }

  /** Dials at once; the client's bytes are read when attach is called. */
  connect(): void {
    const { config, core } = this.#options;
    const name = this.#chooseCluster();
    const cluster = core.cluster(name);
    if (cluster === undefined) {
      this.#give("NR", `cluster ${name} is not known to this proxy`);
      return;
    }
    this.#cluster = cluster;
    const original = this.info.originalDst ?? { host: this.info.localIp, port: this.info.localPort };
    const hash = config.hashesSource ? xxHash64(this.info.remoteIp) : undefined;
    const host = cluster.pick({ hash, avoid: [], attemptsMax: 0 }, original);
    if (host === undefined) {
      this.#give("UH", cluster.config.unreachable);
      return;
    }
    const breaker = cluster.breaker("default");
    if (!breaker.connections.available) {
      cluster.stats.counters.upstream_cx_overflow.inc();
      this.#give("UO", "a circuit breaker is open");
      return;
    }
    this.#host = host;
    this.#attempts += 1;
    breaker.connections.take();
    const { stats } = cluster;
    stats.counters.upstream_cx_total.inc();
    stats.gauges.upstream_cx_active.add(1);
    host.stats.cx_total += 1;
    host.stats.cx_active += 1;
    const settle = () => {
      breaker.connections.give();
      stats.gauges.upstream_cx_active.add(-1);
      host.stats.cx_active -= 1;
    };
    const { host: address, port, path } = host.endpoint;
    const target = {
      host: address,
      port,
      path,
      tls: host.tls,
      alpnProtocols: undefined,
      name: announced(cluster, this.info),
      timeoutMs: cluster.config.connectTimeoutMs,
      localAddress: cluster.sourceFor(address),
      keepAlive: cluster.config.keepAlive,
    };
    const socket = dial(
      target,
      {
        onConnected: (ready: Socket, peer: Peer | undefined) => {
          ready.once("close", settle);
          host.onLocalOrigin("success-final");
          if (cluster.config.closesOnFailure) this.#closeWith(host, ready);
          this.#istio ??= core.istio
            ?.reporter(this.#options.direction)
            .onConnected({ host, info: this.info, upstream: ready, peer });
          if (config.tunnelTo === undefined) this.#onConnected(ready);
          else this.#openTunnel(ready, config.tunnelTo, cluster.config.connectTimeoutMs);
        },
        onFailed: (_kind, message) => {
          settle();
          // The client left before there was a connection: that says nothing about the host.
          if (this.#closed) return;
          stats.counters.upstream_cx_connect_fail.inc();
          host.stats.cx_connect_fail += 1;
          host.onLocalOrigin("connect-failure");
          if (this.#attempts < config.connectAttemptsMax) this.connect();
          else this.#give("UF", message);
        },
      },
      { clock: core.clock, sessions: cluster.sessions },
    );
    this.#upstream = socket;
  }

  /** From here on the client's bytes go to this session. */
  attach(first: Buffer | undefined): void {
    if (this.#attached || this.#closed) return;
    this.#attached = true;
    const { downstream } = this;
    downstream.setNoDelay(true);
    this.#down = new Outbox(downstream, () => this.#upstream?.resume());
    downstream.on("end", () => this.#up?.end());
    downstream.on("error", () => this.close());
    downstream.on("close", () => this.close());
    receiveFrom(downstream, first, (bytes) => this.#fromClient(bytes));
  }

  /** The client turned out to speak something else. */
  abandon(): void {
    if (this.#attached || this.#closed) return;
    this.#closed = true;
    this.#upstream?.destroy();
    this.#options.onClosed(this);
  }

  close(): void {
    if (this.#closed) return;
    if (!this.#attached) {
      this.abandon();
      this.#options.onSpeculationFailed();
      return;
    }
    this.#closed = true;
    this.#istio?.close(this.#received, this.#sent);
    this.#upstream?.destroy();
    this.downstream.destroy();
    const { config, core } = this.#options;
    if (config.accessLogs.length > 0) core.logs.write(config.accessLogs, this.#record());
    const { cause, direction } = this.#options;
    const failed = this.#flag !== "";
    const about = { failed, info: this.info, direction, cause: this.#failure ?? "", rule: causeText(cause) };
    core.recent.addConnection(about, () => this.#record());
    this.#options.onClosed(this);
  }

  sweep(nowMs: number): void {
    this.#istio?.count(this.#received, this.#sent);
    const { idleTimeoutMs, maxConnectionDurationMs } = this.#options.config;
    const idle = idleTimeoutMs > 0 && nowMs - this.#activeMs > idleTimeoutMs;
    if (idle || (maxConnectionDurationMs > 0 && nowMs - this.#startMs > maxConnectionDurationMs)) this.close();
  }

  #openTunnel(socket: Socket, to: string, timeoutMs: number): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    openTunnel(
      socket,
      { to, timeoutMs, clock: this.#options.core.clock },
      {
        onOpen: (first) => {
          if (first.length > 0) socket.unshift(first);
          this.#onConnected(socket);
        },
        onRefused: (message) => {
          if (!this.#closed) this.#give("UF", message);
        },
      },
    );
  }

  #closeWith(host: Host, upstream: Socket): void {
    const close = () => this.close();
    host.sessions ??= new Set();
    host.sessions.add(close);
    upstream.once("close", () => host.sessions?.delete(close));
  }

  #chooseCluster(): string {
    const { config, core } = this.#options;
    const [first] = config.clusters;
    if (config.clusters.length === 1) return first?.name ?? "";
    let point = core.random() * config.totalWeight;
    for (const one of config.clusters) {
      point -= one.weight;
      if (point < 0) return one.name;
    }
    return first?.name ?? "";
  }

  #onConnected(socket: Socket): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    this.#upstream = socket;
    const up = new Outbox(socket, () => this.downstream.resume());
    this.#up = up;
    socket.on("end", () => {
      if (this.#attached) this.#down?.end();
      else this.close();
    });
    socket.on("error", () => this.close());
    socket.on("close", () => this.#onUpstreamClosed());
    for (const chunk of this.#early) up.pass(chunk);
    this.#early.length = 0;
    if (this.#attached && this.downstream.readableEnded) up.end();
    else if (this.#attached && !up.blocked) this.downstream.resume();
    receiveFrom(socket, undefined, (bytes) => this.#fromServer(bytes));
  }

  #onUpstreamClosed(): void {
    const down = this.#down;
    if (!this.#attached || down === undefined || down.idle || this.downstream.destroyed) {
      this.close();
      return;
    }
    this.downstream.once("finish", () => this.close());
    down.end();
  }

  #fromServer(bytes: Buffer): void {
    if (!this.#attached) this.#options.onServerFirst();
    const down = this.#down;
    if (down === undefined) return;
    this.#activeMs = this.#options.core.clock.monotonicMs();
    this.#sent += bytes.length;
    down.pass(bytes);
    if (down.blocked) this.#upstream?.pause();
  }

  #fromClient(bytes: Buffer): void {
    this.#activeMs = this.#options.core.clock.monotonicMs();
    this.#received += bytes.length;
    const up = this.#up;
    if (up === undefined) {
      this.#early.push(keep(bytes));
      this.downstream.pause();
      return;
    }
    up.pass(bytes);
    if (up.blocked) this.downstream.pause();
  }

  #give(flag: string, message: string): void {
    this.#flag = flag;
    const owner = causeText(this.#options.cause ?? this.#cluster?.config.cause);
    this.#failure = owner === "" ? message : `${owner}: ${message}`;
    this.close();
  }

  #record(): AccessRecord {
    const { clock } = this.#options.core;
    return {
      startTimeMs: this.#wallMs,
      durationMs: clock.monotonicMs() - this.#startMs,
      requestHeaders: undefined,
      responseHeaders: undefined,
      protocol: undefined,
      responseCode: 0,
      responseFlags: this.#flag,
      responseCodeDetails: undefined,
      connectionTerminationDetails: undefined,
      upstreamTransportFailureReason: this.#failure,
      bytesReceived: this.#received,
      bytesSent: this.#sent,
      upstreamHost: this.#host?.address,
      upstreamCluster: this.#cluster?.config.name,
      upstreamLocalAddress: undefined,
      downstreamLocalAddress: this.info.localAddress,
      downstreamRemoteAddress: this.info.remoteAddress,
      requestedServerName: this.info.serverName === "" ? undefined : this.info.serverName,
      routeName: undefined,
      downstreamTls: this.info.tls ? tlsViewOf(this.downstream, this.info.peer?.certificate) : undefined,
      filterChainName: this.info.filterChainName || undefined,
      connectionId: this.info.id,
      logType: "TcpConnectionEnd",
    };
  }
}

function announced(cluster: Cluster, info: ConnectionInfo): UpstreamName | undefined {
  const announcement = cluster.announcementFor(info);
  return announcement === undefined ? undefined : { sni: undefined, verified: undefined, announcement };
}
