// One HTTP/1.1 connection of a client: reads requests one after the other, writes responses in order, closes when either side wants to.

import type { Socket } from "node:net";
import type { Timer } from "../../base/clock.ts";
import type { HeadError, RequestHead } from "../codec/head.ts";
import type { HeaderList } from "../codec/headers.ts";
import { ServerCodec, type ServerHandler } from "../codec/server.ts";
import { reasonOf } from "../codec/write.ts";
import { DRAIN_IDLE_MS, HALF_CLOSED_MS, UNSENT_MS_MAX } from "../limits.ts";
import { receiveFrom } from "../socket/inbox.ts";
import { Outbox } from "../socket/outbox.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import { HttpStream } from "./http-stream.ts";
import { NarrowedRules } from "./narrowed-rules.ts";
import { refusedRecord } from "./record.ts";
import { badRequest, type LocalReply, lateHead } from "./rescue.ts";
import type { HttpRuntime } from "./runtime.ts";
import { serving } from "./serving.ts";

export class HttpConnection implements ServerHandler {
  readonly socket: Socket;
  readonly runtime: HttpRuntime;
  readonly info: ConnectionInfo;
  readonly out: Outbox;
  readonly codec: ServerCodec;
  readonly narrowed = new NarrowedRules();
  activeMs: number;
  requests = 0;
  #stream: HttpStream | undefined;
  #headTimer: { cancel(): void } | undefined;
  #closed = false;
  #closing = false;
  #linger: Timer | undefined;
  #held = false;
  #clientEndedMs: number | undefined;
  readonly #openedMs: number;
  readonly #onClosed: (connection: HttpConnection) => void;

  constructor(
    socket: Socket,
    runtime: HttpRuntime,
    info: ConnectionInfo,
    onClosed: (connection: HttpConnection) => void,
  ) {
    this.socket = socket;
    this.runtime = runtime;
    this.info = info;
    this.#onClosed = onClosed;
    this.out = new Outbox(socket, () => this.#onWritable());
    this.codec = new ServerCodec(this, runtime.config);
    this.#openedMs = runtime.core.clock.monotonicMs();
    this.activeMs = this.#openedMs;
    runtime.stats.cxTotal.value += 1;
    runtime.stats.cxActive.value += 1;
    runtime.stats.cxHttp1Total.value += 1;
    runtime.stats.cxHttp1Active.value += 1;
    socket.setNoDelay(true);
    socket.on("end", () => this.#onEnd());
    socket.on("error", () => this.#onGone());
    socket.on("close", () => this.#onGone());
  }

  /** Begins to read; `first` has been read already. */
  start(first: Buffer | undefined): void {
    receiveFrom(this.socket, first, (bytes) => this.push(bytes));
  }

  push(bytes: Buffer): void {
    this.runtime.stats.rxBytes.value += bytes.length;
    if (this.#closing) return;
    serving.connection = this;
    this.codec.push(bytes);
    serving.connection = undefined;
    if (this.runtime.config.requestHeadersTimeoutMs > 0 && this.#stream === undefined) this.#watchHead();
    this.#stream?.flushUpstream();
    this.out.flush();
  }

  /** A head that has begun: its time runs from its first byte. */
  #watchHead(): void {
    if (this.#headTimer !== undefined || this.codec.idle || this.#closing) return;
    const { clock } = this.runtime.core;
    this.activeMs = clock.monotonicMs();
    this.#headTimer = clock.after(this.runtime.config.requestHeadersTimeoutMs, () => {
      this.#headTimer = undefined;
      if (!this.#closing && this.#stream === undefined) this.sweep(clock.monotonicMs() + 1);
    });
  }

  onRequest(head: RequestHead, ended: boolean): void {
    this.requests += 1;
    this.#headTimer?.cancel();
    this.#headTimer = undefined;
    this.activeMs = this.runtime.core.clock.monotonicMs();
    const stream = new HttpStream(this, head);
    this.#stream = stream;
    stream.start(ended);
  }

  onBody(chunk: Buffer): void {
    this.#stream?.onRequestBody(chunk);
  }

  onEnd(trailers: HeaderList | undefined): void {
    this.#stream?.onRequestEnd(trailers);
  }

  onTunnel(chunk: Buffer): void {
    this.#stream?.onTunnelFromClient(chunk);
  }

  onPipelinedTooMuch(): void {
    this.socket.pause();
  }

  onProtocolError(error: HeadError, inBody: boolean): void {
    this.runtime.stats.cxProtocolError.value += 1;
    if (inBody && this.#stream !== undefined) {
      this.#stream.onRequestMalformed(error);
      return;
    }
    this.#refuse(badRequest(error.status, error.message));
  }

  /** An answer to what never became a request. */
  #refuse(reply: LocalReply): void {
    const { config, core, stats } = this.runtime;
    const cause = core.showCause ? `x-weft-cause: ${reply.cause}\r\n` : "";
    const wallMs = core.clock.wallMs();
    stats.rqTotal.value += 1;
    stats.response(reply.status);
    this.out.text(
      `HTTP/1.1 ${reply.status} ${reasonOf(reply.status)}\r\ncontent-length: ${reply.body.length}\r\ncontent-type: text/plain\r\n${cause}date: ${new Date(wallMs).toUTCString()}\r\nserver: ${config.serverName}\r\nconnection: close\r\n\r\n${reply.body}`,
    );
    const record = refusedRecord(reply, this.info, wallMs);
    if (config.accessLogs.length > 0) core.logs.write(config.accessLogs, record);
    const { direction } = this.runtime;
    core.recent.addConnection({ failed: true, info: this.info, direction, cause: reply.cause, rule: "" }, () => record);
    this.closeGently();
  }

  /** Whether a request is under way. */
  get busy(): boolean {
    return this.#stream !== undefined || !this.codec.idle;
  }

  /** The stream's response is complete. `reusable`: the connection may carry another request. */
  streamDone(reusable: boolean): void {
    this.#stream = undefined;
    this.activeMs = this.runtime.core.clock.monotonicMs();
    this.out.flush();
    if (!reusable) {
      this.closeGently();
      return;
    }
    // The next answer would wait behind this one: the client takes none, so it is asked for none.
    if (this.out.blocked) this.#held = true;
    else this.#readNext();
  }

  #readNext(): void {
    if (this.socket.isPaused()) this.socket.resume();
    this.codec.readNext();
    if (this.#clientEndedMs !== undefined && this.#stream === undefined) this.closeGently();
  }

  /** Whether the response that is being written should announce the end of the connection. */
  get lastRequest(): boolean {
    const { config, core, drain, stats } = this.runtime;
    if (core.overload.endsKeepAlive) {
      stats.cxOverloadClose.value += 1;
      return true;
    }
    if (drain?.closesNow()) {
      stats.cxDrainClose.value += 1;
      return true;
    }
    if (config.maxRequestsPerConnection > 0 && this.requests >= config.maxRequestsPerConnection) {
      stats.cxMaxRequests.value += 1;
      return true;
    }
    if (config.maxConnectionDurationMs === 0) return false;
    const over = core.clock.monotonicMs() - this.#openedMs > config.maxConnectionDurationMs;
    if (over) stats.cxMaxDuration.value += 1;
    return over;
  }

  /** Ends our side, and reads on a little, so that what the client still sends doesn't reset the answer away. */
  closeGently(): void {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    this.codec.close();
    this.out.end();
    if (this.socket.isPaused()) this.socket.resume();
    this.#lingerOn(this.out.unsent, 0);
  }

  #lingerOn(unsent: number, stalledMs: number): void {
    // Where the configuration wants no delay, what waits still gets its time.
    const { delayedCloseMs } = this.runtime.config;
    const lingerMs = unsent === 0 ? delayedCloseMs : Math.max(delayedCloseMs, 1000);
    this.#linger = this.runtime.core.clock.after(lingerMs, () => {
      const left = this.out.unsent;
      const stalled = left < unsent ? 0 : stalledMs + lingerMs;
      if (unsent === 0 || stalled >= UNSENT_MS_MAX) this.socket.destroy();
      else this.#lingerOn(left, stalled);
    });
  }

  #onWritable(): void {
    if (this.#held) {
      this.#held = false;
      this.#readNext();
    } else this.#stream?.onDownstreamWritable();
  }

  abort(): void {
    this.socket.destroy();
    this.#onGone();
  }

  /** Looked at once a second. */
  sweep(nowMs: number): void {
    if (this.#closing) return;
    if (this.#stream !== undefined) {
      if (this.#seemsGone(this.#stream, nowMs)) this.abort();
      else this.#stream.sweep(nowMs);
      return;
    }
    if (this.codec.state === "head" && !this.codec.idle) this.#sweepHead(nowMs);
    else this.#sweepIdle(nowMs);
  }

  /** A head that never ends is bounded by what bounds its request too. */
  #sweepHead(nowMs: number): void {
    const { config, stats } = this.runtime;
    const waiting = nowMs - this.activeMs;
    const isOver = (limitMs: number) => limitMs > 0 && waiting >= limitMs;
    if (isOver(config.requestHeadersTimeoutMs)) {
      stats.rqHeaderTimeout.value += 1;
      this.#refuse(lateHead());
    } else if (isOver(config.requestTimeoutMs)) {
      stats.rqTimeout.value += 1;
      this.#refuse({ ...lateHead(), body: "request timeout", details: "request_overall_timeout" });
    } else if (isOver(config.streamIdleTimeoutMs)) {
      stats.rqIdleTimeout.value += 1;
      this.#refuse({ ...lateHead(), body: "stream timeout", flag: "SI", details: "stream_idle_timeout" });
    }
  }

  #sweepIdle(nowMs: number): void {
    const { config, stats } = this.runtime;
    const waiting = nowMs - this.activeMs;
    const idle = config.idleTimeoutMs > 0 && waiting > config.idleTimeoutMs;
    const old = config.maxConnectionDurationMs > 0 && nowMs - this.#openedMs > config.maxConnectionDurationMs;
    const drained = this.runtime.drain?.closesIdle === true && this.codec.idle && waiting >= DRAIN_IDLE_MS;
    if (!idle && !old && !drained) return;
    if (idle) stats.cxIdleTimeout.value += 1;
    else if (old) stats.cxMaxDuration.value += 1;
    this.closeGently();
  }

  /** The end of a connection and of its one side look the same from here, until something is written. */
  #seemsGone(stream: HttpStream, nowMs: number): boolean {
    if (this.#clientEndedMs === undefined || stream.isTunnel) return false;
    return nowMs - Math.max(this.#clientEndedMs, stream.activeMs) > HALF_CLOSED_MS;
  }

  #onEnd(): void {
    // A client that has said all it will may still wait for its answer; without a request there is nothing to wait for.
    this.#clientEndedMs = this.runtime.core.clock.monotonicMs();
    if (this.#stream === undefined) this.closeGently();
    else this.#stream.onClientHalfClosed();
  }

  #onGone(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#linger?.cancel();
    this.codec.close();
    const { stats } = this.runtime;
    stats.cxActive.value -= 1;
    stats.cxHttp1Active.value -= 1;
    stats.cxDestroy.value += 1;
    stats.cxLength.observe(this.runtime.core.clock.monotonicMs() - this.#openedMs);
    stats.txBytes.value += this.out.written;
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) {
      stats.cxDestroyRemote.value += 1;
      stream.onClientGone();
    }
    this.#onClosed(this);
  }
}
