// A call of the proxy's own (for keys, for a decision) through one of its clusters: its load balancing, TLS, breakers and counters.

import type { Clock } from "../../base/clock.ts";
import { RequestHead, type ResponseHead } from "../codec/head.ts";
import { writeRequestHead } from "../codec/write.ts";
import type { Caller, CallRequest, CallResult, GrpcRequest, GrpcResult } from "../filters/caller.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { UpstreamConnection, UpstreamUser } from "../upstream/connection.ts";
import type { Host } from "../upstream/host.ts";
import type { HostPool, PoolFailure, PoolWaiter } from "../upstream/pool.ts";

export interface CallAround {
  readonly clock: Clock;
  cluster(name: string): Cluster | undefined;
}

export class ClusterCaller implements Caller {
  readonly #around: CallAround;

  constructor(around: CallAround) {
    this.#around = around;
  }

  call(request: CallRequest, done: (result: CallResult) => void): () => void {
    const host = this.#pick(request.cluster);
    if (typeof host === "string") return this.#failLater(host, done);
    const name = host.cluster.nameFor(request.authority, request.headers);
    const call = new Call(request, { pool: host.pool(undefined, "default", name), clock: this.#around.clock, done });
    call.start();
    return () => call.giveUp();
  }

  grpc(request: GrpcRequest, done: (result: GrpcResult) => void): () => void {
    const host = this.#pick(request.cluster);
    if (typeof host === "string") return this.#failLater(host, done);
    let giveUp: (() => void) | undefined;
    let cancelled = false;
    void import("./grpc-call.ts").then(({ callGrpc }) => {
      if (!cancelled) giveUp = callGrpc(host, request, this.#around.clock, done);
    });
    return () => {
      cancelled = true;
      giveUp?.();
    };
  }

  /** A host, or why there is none. */
  #pick(name: string): Host | string {
    const cluster = this.#around.cluster(name);
    if (cluster === undefined) return `cluster ${name} is not known to this proxy`;
    const host = cluster.pick({ hash: undefined, avoid: [], attemptsMax: 1 }, undefined);
    return host ?? `cluster ${name} has no healthy endpoint`;
  }

  #failLater(reason: string, done: (result: { kind: "failed"; reason: string }) => void): () => void {
    const timer = this.#around.clock.after(0, () => done({ kind: "failed", reason }));
    return () => timer.cancel();
  }
}

interface CallParts {
  readonly pool: HostPool;
  readonly clock: Clock;
  done(result: CallResult): void;
}

class Call implements PoolWaiter, UpstreamUser {
  readonly #request: CallRequest;
  readonly #parts: CallParts;
  readonly #timer: { cancel(): void };
  readonly #startMs: number;
  #connection: UpstreamConnection | undefined;
  #head: ResponseHead | undefined;
  #body: Buffer[] = [];
  #bytes = 0;
  #over = false;

  constructor(request: CallRequest, parts: CallParts) {
    this.#request = request;
    this.#parts = parts;
    this.#startMs = parts.clock.monotonicMs();
    this.#timer = parts.clock.after(request.timeoutMs, () => this.#timedOut());
  }

  start(): void {
    const connection = this.#parts.pool.acquire(this);
    if (connection !== undefined) this.onConnection(connection);
  }

  giveUp(): void {
    if (this.#over) return;
    if (this.#connection === undefined) this.#parts.pool.cancel(this);
    this.#end("destroy");
  }

  onConnection(connection: UpstreamConnection): void {
    this.#connection = connection;
    const { host } = this.#parts.pool;
    const { counters, gauges } = host.cluster.stats;
    counters.upstream_rq_total.inc();
    gauges.upstream_rq_active.add(1);
    host.stats.rq_total += 1;
    host.stats.rq_active += 1;
    host.cluster.breaker("default").requests.take();
    const { method, path, authority, headers, body } = this.#request;
    connection.begin(method, this);
    const line = { method, path, authority, scheme: "http", http10: false, absoluteForm: false };
    if (body !== undefined) headers.set("content-length", String(body.length));
    connection.out.text(writeRequestHead(new RequestHead(line, headers), headers));
    if (body !== undefined && body.length > 0) connection.out.bytes(body);
    connection.out.flush();
  }

  onPoolFailure(failure: PoolFailure): void {
    const message = failure.message === "" ? failure.kind : failure.message;
    // The pool may say so before `call` has returned.
    this.#parts.clock.after(0, () => this.#fail(message));
  }

  onInformational(): void {
    // The answer itself is waited for.
  }

  onResponse(head: ResponseHead, ended: boolean): void {
    this.#head = head;
    const { host, clock } = { host: this.#parts.pool.host, clock: this.#parts.clock };
    host.cluster.stats.response(head.status);
    host.cluster.stats.rqTime.observe(clock.monotonicMs() - this.#startMs);
    host.onResponse(head.status);
    host.onLocalOrigin("success");
    if (head.status === 101) this.#fail("it switched protocols");
    else if (ended) this.#answer(head);
  }

  onBody(chunk: Buffer): void {
    if (this.#over) return;
    this.#bytes += chunk.length;
    if (this.#bytes > this.#request.responseBytesMax) {
      this.#fail(`its answer is longer than ${this.#request.responseBytesMax} bytes`);
      return;
    }
    // The chunk is a view of what was read.
    this.#body.push(Buffer.from(chunk));
  }

  onEnd(): void {
    if (this.#head !== undefined) this.#answer(this.#head);
  }

  onTunnel(): void {
    this.#fail("it switched protocols");
  }

  onProtocolError(message: string): void {
    this.#parts.pool.host.cluster.stats.counters.upstream_cx_protocol_error.inc();
    this.#fail(message);
  }

  onClosed(): void {
    const { host } = this.#parts.pool;
    host.cluster.stats.counters.upstream_rq_rx_reset.inc();
    host.onLocalOrigin("reset");
    this.#fail("the connection was closed");
  }

  onWritable(): void {
    // What is sent is bounded and written whole.
  }

  onReadDone(): void {
    // The same.
  }

  #timedOut(): void {
    const { host } = this.#parts.pool;
    if (this.#connection === undefined) this.#parts.pool.cancel(this);
    else host.onLocalOrigin("timeout");
    host.cluster.stats.counters.upstream_rq_timeout.inc();
    this.#fail(`no answer within ${this.#request.timeoutMs} ms`);
  }

  #answer(head: ResponseHead): void {
    if (this.#over) return;
    this.#end(head.keepAlive ? "release" : "destroy");
    this.#parts.done({
      kind: "answer",
      status: head.status,
      headers: head.headers,
      body: Buffer.concat(this.#body),
    });
  }

  #fail(message: string): void {
    if (this.#over) return;
    this.#end("destroy");
    this.#parts.done({ kind: "failed", reason: `cluster ${this.#request.cluster}: ${message}` });
  }

  #end(how: "release" | "destroy"): void {
    this.#over = true;
    this.#timer.cancel();
    const connection = this.#connection;
    if (connection === undefined) return;
    const { host } = this.#parts.pool;
    host.cluster.stats.gauges.upstream_rq_active.add(-1);
    host.stats.rq_active -= 1;
    host.cluster.breaker("default").requests.give();
    if (how === "release") connection.release(true);
    else if (!connection.closed) connection.destroy();
  }
}
