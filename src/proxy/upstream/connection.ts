// One connection to a host that carries HTTP/1.1: used by one request at a time.

import type { Socket } from "node:net";
import type { ClientHandler } from "../codec/client.ts";
import { ClientCodec } from "../codec/client.ts";
import { HEADERS_COUNT_MAX, RESPONSE_HEAD_BYTES_MAX } from "../limits.ts";
import type { Peer } from "../socket/identity.ts";
import { receiveFrom } from "../socket/inbox.ts";
import { Outbox } from "../socket/outbox.ts";
import type { HostPool } from "./pool.ts";

export interface UpstreamUser extends ClientHandler {
  /** The connection went away before the response was complete. `begun`: some of the response had come. */
  onClosed(begun: boolean): void;
  onWritable(): void;
  /** What came in one read has been handed over: what was made of it can be written. */
  onReadDone(): void;
}

const OPTIONS = {
  headersCountMax: HEADERS_COUNT_MAX,
  acceptHttp10: true,
  allowCustomMethods: true,
  headBytesMax: RESPONSE_HEAD_BYTES_MAX,
};

export class UpstreamConnection {
  readonly socket: Socket;
  readonly pool: HostPool;
  readonly peer: Peer | undefined;
  readonly localAddress: string;
  readonly openedMs: number;
  readonly codec = new ClientCodec(OPTIONS);
  readonly out: Outbox;
  user: UpstreamUser | undefined;
  requests = 0;
  /** The pool's when it was opened. */
  epoch = 0;
  idleSinceMs = 0;
  /** From then on it is not taken from the pool; Infinity: the sweep looks after it. */
  usableUntilMs = Number.POSITIVE_INFINITY;
  closed = false;

  constructor(socket: Socket, pool: HostPool, peer: Peer | undefined, nowMs: number) {
    this.socket = socket;
    this.pool = pool;
    this.peer = peer;
    this.out = new Outbox(socket, () => this.user?.onWritable());
    this.openedMs = nowMs;
    this.localAddress = `${socket.localAddress ?? ""}:${socket.localPort ?? 0}`;
    socket.on("end", () => this.#onEnd());
    socket.on("close", (failed: boolean) => this.#onClose("remote", failed));
    receiveFrom(socket, undefined, (bytes) => this.#onData(bytes));
  }

  /** True: it carried a request before, so that its peer may have closed it meanwhile. */
  get reused(): boolean {
    return this.requests > 1;
  }

  begin(method: string, user: UpstreamUser): void {
    this.user = user;
    this.requests += 1;
    this.codec.begin(method, user);
  }

  /** For what is not HTTP: the connection serves nothing else after that. */
  beginTunnel(user: UpstreamUser): void {
    this.user = user;
    this.requests += 1;
    this.codec.beginTunnel(user);
  }

  /** The exchange is complete: back into the pool, or closed when it can't be used again. */
  release(reusable: boolean): void {
    this.user = undefined;
    if (this.socket.isPaused()) this.socket.resume();
    this.pool.release(this, reusable && !this.closed && this.codec.state === "idle");
  }

  destroy(): void {
    this.user = undefined;
    this.codec.abandon();
    this.#onClose("local");
  }

  #onData(bytes: Buffer): void {
    this.pool.host.cluster.stats.counters.upstream_cx_rx_bytes_total.value += bytes.length;
    const { user } = this;
    if (this.codec.push(bytes)) user?.onReadDone();
    else this.destroy();
  }

  #onEnd(): void {
    if (this.codec.finish()) return;
    this.#onClose("remote");
  }

  /** `failed`: by a reset or another error, which ends no body. */
  #onClose(side: "local" | "remote", failed = false): void {
    if (this.closed) return;
    this.closed = true;
    const { user } = this;
    this.user = undefined;
    if ((failed || !this.codec.finish()) && user !== undefined && side === "remote") {
      this.pool.onConnectionClosed(this, side, true);
      this.socket.destroy();
      user.onClosed(this.codec.responseBegun);
      return;
    }
    this.pool.onConnectionClosed(this, side, user !== undefined);
    this.socket.destroy();
  }
}
