// One try of a request on one host: waits for a connection, sends, and hands what comes back to the stream.

import { opensTunnel, ResponseHead } from "../codec/head.ts";
import { HeaderList } from "../codec/headers.ts";
import { writeRequestHead, writeTrailers } from "../codec/write.ts";
import type { Reset } from "../route/retry.ts";
import type { Outbox } from "../socket/outbox.ts";
import type { UpstreamConnection, UpstreamUser } from "../upstream/connection.ts";
import type { Host } from "../upstream/host.ts";
import type { HostPool, PoolFailure, PoolWaiter } from "../upstream/pool.ts";
import type { HttpStream } from "./http-stream.ts";

export class Attempt implements PoolWaiter, UpstreamUser {
  readonly stream: HttpStream;
  readonly host: Host;
  readonly #pool: HostPool;
  readonly startMs: number;
  connection: UpstreamConnection | undefined;
  #out: Outbox | undefined;
  #requestSent = false;
  /** 0: the request is not at its end. */
  sentMs = 0;
  #responseEnded = false;
  #keepAlive = false;
  #over = false;
  #counted = false;
  /** Some of the response was given on. */
  responded = false;
  #tunnel = false;

  constructor(stream: HttpStream, host: Host, pool: HostPool) {
    this.stream = stream;
    this.host = host;
    this.#pool = pool;
    this.startMs = stream.nowMs();
  }

  start(): void {
    const connection = this.#pool.acquire(this);
    if (connection !== undefined) this.onConnection(connection);
  }

  onConnection(connection: UpstreamConnection): void {
    this.connection = connection;
    const { stats } = this.host.cluster;
    this.#counted = true;
    stats.counters.upstream_rq_total.value += 1;
    stats.gauges.upstream_rq_active.value += 1;
    this.host.stats.rq_total += 1;
    this.host.stats.rq_active += 1;
    this.host.cluster.breaker(this.stream.priority).requests.take();
    const { head } = this.stream;
    const out = connection.out;
    this.#out = out;
    if (this.stream.forward?.endsConnect === true) {
      this.#openTunnel(connection);
      return;
    }
    connection.begin(head.method, this);
    out.text(writeRequestHead(head, head.headers));
    for (const chunk of this.stream.buffered) this.#body(chunk);
    if (this.stream.requestEnded) this.sendEnd(this.stream.trailers);
    out.flush();
    this.stream.onAttemptConnected(this);
  }

  /** The host is there: that is the answer to CONNECT. */
  #openTunnel(connection: UpstreamConnection): void {
    connection.beginTunnel(this);
    this.#requestSent = true;
    this.stream.onAttemptConnected(this);
    this.onResponse(new ResponseHead(200, "", false, new HeaderList()), false);
  }

  onPoolFailure(failure: PoolFailure): void {
    if (this.#over) return;
    this.#over = true;
    const reset: Reset =
      failure.kind === "overflow" ? "overflow" : failure.kind === "timeout" ? "connect-timeout" : "connect-failure";
    this.stream.onAttemptReset(this, reset, failure.message);
  }

  /** False: wait until onWritable. */
  sendBody(chunk: Buffer): boolean {
    this.#body(chunk);
    return this.#out?.blocked !== true;
  }

  sendEnd(trailers: HeaderList | undefined): void {
    if (this.stream.head.framing === "chunked")
      this.#out?.text(writeTrailers(this.stream.forwardsTrailers ? trailers : undefined));
    this.#out?.flush();
    this.#requestSent = true;
    this.sentMs = this.stream.nowMs();
  }

  sendTunnel(chunk: Buffer): boolean {
    this.#out?.bytes(chunk);
    this.#out?.flush();
    return this.#out?.blocked !== true;
  }

  endTunnel(): void {
    this.#out?.end();
  }

  flush(): void {
    this.#out?.flush();
  }

  /** Of interim responses only 100 is anybody's business, as in Envoy. */
  onInformational(head: ResponseHead): void {
    if (head.status === 100 && !this.#over) this.stream.onContinue();
  }

  onResponse(head: ResponseHead, ended: boolean): void {
    if (head.status === 101 && !this.#maySwitch()) {
      this.onProtocolError("the protocol was switched without being asked, or before the request was complete");
      return;
    }
    this.#keepAlive = head.keepAlive;
    this.#responseEnded = ended;
    // Said of every response, and the same each time: read once for a connection.
    if (this.connection?.requests === 1) this.#learn(head);
    const { stats } = this.host.cluster;
    const nowMs = this.stream.nowMs();
    stats.response(head.status);
    stats.rqTime.observe(nowMs - this.startMs);
    this.host.onResponse(head.status);
    this.host.onLocalOrigin("success");
    if (this.stream.onAttemptResponse(this, head, { ended, serviceMs: nowMs - (this.sentMs || this.startMs) })) {
      this.responded = true;
      this.#tunnel = opensTunnel(this.stream.head.method, head.status);
      if (ended) this.#finish();
    } else this.discard();
  }

  #learn(head: ResponseHead): void {
    const value = head.headers.get("keep-alive");
    if (value !== undefined) this.host.keepAlive.onHeader(value);
  }

  onBody(chunk: Buffer): void {
    this.stream.onResponseBody(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#responseEnded = true;
    this.stream.onResponseEnd(trailers);
    this.#finish();
  }

  onTunnel(chunk: Buffer): void {
    this.stream.onTunnelFromUpstream(chunk);
  }

  onProtocolError(message: string): void {
    this.host.cluster.stats.counters.upstream_cx_protocol_error.value += 1;
    this.#reset("protocol-error", message);
  }

  onClosed(begun: boolean): void {
    if (this.#tunnel) {
      this.stream.onTunnelClosed();
      this.#settle();
      return;
    }
    if (!this.responded && this.connection?.codec.midHead === true) {
      this.onProtocolError("the response ended within its head");
      return;
    }
    const stale = !begun && this.connection?.reused === true;
    this.#reset(stale ? "stale-connection" : "reset", "");
  }

  onWritable(): void {
    this.stream.onUpstreamWritable();
  }

  onReadDone(): void {
    this.stream.flushDownstream();
  }

  /** Given up from outside: a timeout, a client that left, a response that is not wanted. */
  discard(): void {
    if (this.#over) return;
    this.#over = true;
    const { connection } = this;
    if (connection === undefined) {
      this.#pool.cancel(this);
      return;
    }
    this.host.cluster.stats.counters.upstream_rq_tx_reset.value += this.#responseEnded ? 0 : 1;
    this.#settle();
    if (this.#responseEnded && this.#requestSent) connection.release(this.#keepAlive);
    else connection.destroy();
  }

  pause(): void {
    this.connection?.socket.pause();
  }

  resume(): void {
    this.connection?.socket.resume();
  }

  #body(chunk: Buffer): void {
    if (this.stream.head.framing === "chunked") this.#out?.chunk(chunk);
    else this.#out?.bytes(chunk);
  }

  #maySwitch(): boolean {
    const { upgrade } = this.stream.head;
    return upgrade !== undefined && upgrade !== "h2c" && this.#requestSent;
  }

  /** The response is complete: the connection goes back, unless the request was not sent to its end. */
  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#settle();
    this.connection?.release(this.#keepAlive && this.#requestSent);
  }

  #reset(reset: Reset, message: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#settle();
    this.host.cluster.stats.counters.upstream_rq_rx_reset.value += 1;
    this.host.onLocalOrigin("reset");
    const { connection } = this;
    if (connection !== undefined && !connection.closed) connection.destroy();
    this.stream.onAttemptReset(this, reset, message);
  }

  #settle(): void {
    if (!this.#counted) return;
    this.#counted = false;
    this.host.cluster.stats.gauges.upstream_rq_active.value -= 1;
    this.host.stats.rq_active -= 1;
    this.host.cluster.breaker(this.stream.priority).requests.give();
  }
}
