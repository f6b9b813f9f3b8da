// One request and its response: headers prepared, filters in order, a route, tries on hosts, and what the client gets in the end.

import type { AccessRecord } from "../../observe/access-record.ts";
import { type HeadError, opensTunnel, type RequestHead, type ResponseHead } from "../codec/head.ts";
import type { HeaderList } from "../codec/headers.ts";
import { writeTrailers } from "../codec/write.ts";
import type { WeightedTarget } from "../compile/action.ts";
import type { FilterOverride } from "../compile/http-filter.ts";
import type { RouteInput } from "../compile/match.ts";
import { applyMutations } from "../compile/mutation.ts";
import type { Subject } from "../compile/rbac.ts";
import type { RouteEntry } from "../compile/route.ts";
import { causeText } from "../compile/value.ts";
import type { Exchange, Struct, Verdict } from "../filters/filter.ts";
import type { Reset } from "../route/retry.ts";
import { redirectLocation } from "../route/rewrite.ts";
import type { Attempt } from "./attempt.ts";
import { chooseRoute, noRouteCause, routeInput, virtualHostOf } from "./choose-route.ts";
import { conclude } from "./conclude.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import { Forward } from "./forward.ts";
import { Hold } from "./hold.ts";
import type { HttpConnection } from "./http-connection.ts";
import { addChunk, NO_BODY } from "./kept-body.ts";
import { rewriteReply } from "./local-reply.ts";
import { prepareStream } from "./prepare.ts";
import { type RecordAbout, StreamRecord } from "./record.ts";
import { badRequest, type LocalReply, noRoute } from "./rescue.ts";
import { type Body, localHead, writeHead } from "./response.ts";
import { StreamSubject } from "./subject.ts";
import { overdue, watchTimes } from "./timeouts.ts";
import type { RequestSpan } from "./tracer.ts";

export class HttpStream implements Exchange {
  readonly connection: HttpConnection;
  readonly head: RequestHead;
  readonly startMs: number;
  route: RouteEntry | undefined;
  /** Which of the route's weighted clusters the request goes to. */
  weighted: WeightedTarget | undefined;
  forward: Forward | undefined;
  response: ResponseHead | undefined;
  span: RequestSpan | undefined;
  requestEnded = false;
  trailers: HeaderList | undefined;
  requestEndMs: number | undefined;
  responseTrailers: HeaderList | undefined;
  /** The body so far, for an upstream that is not there yet and for retries. */
  buffered = NO_BODY;
  bufferedBytes = 0;
  /** Everything of the body so far is in `buffered`. */
  replayable = true;
  bytesReceived = 0;
  bytesSent = 0;
  responseMs = 0;
  remoteIp = "";
  flags: readonly string[] = [];
  details: string | undefined;
  /** Of an answer that was made here. */
  cause = "";
  transportFailure: string | undefined;
  protocols: readonly string[] | undefined;
  activeMs: number;
  #subject: Subject | undefined;
  #body: Body = "none";
  #responseEnded = false;
  #over = false;
  #keepAlive = true;
  #hold: Hold | undefined;
  #watch: { cancel(): void } | undefined;
  #onDone: (() => void)[] | undefined;
  #metadata: Map<string, Struct> | undefined;
  #tunnel = false;
  /** The route itself is the answer (a redirect, a direct response): its header rules hold for that too. */
  #answersByRoute = false;
  #wallMs: number;

  constructor(connection: HttpConnection, head: RequestHead) {
    this.connection = connection;
    this.head = head;
    const { clock } = connection.runtime.core;
    this.startMs = clock.monotonicMs();
    this.activeMs = this.startMs;
    this.#wallMs = 0;
  }

  nowMs(): number {
    return this.connection.runtime.core.clock.monotonicMs();
  }

  get isTunnel(): boolean {
    return this.#tunnel;
  }

  get priority(): "default" | "high" {
    return this.forward?.action.priority ?? "default";
  }

  get forwardsTrailers(): boolean {
    return this.connection.runtime.config.enableTrailers;
  }

  start(ended: boolean): void {
    const { runtime } = this.connection;
    const { head } = this;
    runtime.stats.rqTotal.value += 1;
    runtime.stats.rqActive.value += 1;
    if (runtime.config.accessLogs.length > 0) this.#wallMs = runtime.core.clock.wallMs();
    this.requestEnded = ended;
    if (ended) this.requestEndMs = this.startMs;
    // What a client sends on the strength of an upgrade or tunnel that is then refused is no request.
    this.#keepAlive =
      head.keepAlive && (head.upgrade === undefined || head.upgrade === "h2c") && head.method !== "CONNECT";
    if (head.expectContinue && !ended && !runtime.config.proxyContinue)
      this.connection.out.text("HTTP/1.1 100 Continue\r\n\r\n");
    const refusal = prepareStream(this);
    if (refusal !== undefined) {
      this.reply(refusal);
      return;
    }
    const { config } = runtime;
    this.#findRoute();
    this.span = runtime.tracer?.start(this);
    this.#watch = watchTimes(this);
    if (config.logsBeginnings) runtime.core.logs.write(config.accessLogs, this.record({ logType: "DownstreamStart" }));
    this.#runFilters(0);
  }

  override(filterName: string): FilterOverride | undefined {
    return this.weighted?.overrides.get(filterName) ?? this.route?.overrides.get(filterName);
  }

  get client(): ConnectionInfo {
    return this.connection.info;
  }

  get subject(): Subject {
    this.#subject ??= new StreamSubject(this);
    return this.#subject;
  }

  get routeCluster(): string {
    const action = this.route?.action;
    if (action?.kind !== "forward") return "";
    return action.target.kind === "cluster" ? action.target.name : (this.weighted?.name ?? "");
  }

  random(): number {
    return this.connection.runtime.core.random();
  }

  setApplicationProtocols(protocols: readonly string[]): void {
    this.protocols = protocols;
  }

  dynamicMetadata(namespace: string): Struct | undefined {
    return this.#metadata?.get(namespace);
  }

  setDynamicMetadata(namespace: string, fields: Struct): void {
    this.#metadata ??= new Map();
    const before = this.#metadata.get(namespace);
    this.#metadata.set(namespace, before === undefined ? fields : { ...before, ...fields });
  }

  addFlag(flag: string): void {
    if (flag !== "" && !this.flags.includes(flag)) this.flags = [...this.flags, flag];
  }

  onDone(run: () => void): void {
    this.#onDone = [...(this.#onDone ?? []), run];
  }

  onRequestBody(chunk: Buffer): void {
    this.activeMs = this.nowMs();
    this.bytesReceived += chunk.length;
    if (this.#over || this.#responseEnded) return;
    const { forward } = this;
    const sent = forward?.sending === true;
    if (!sent || forward?.mayRetry === true) this.#keep(chunk, sent);
    if (sent && forward?.sendBody(chunk) === false) this.connection.socket.pause();
    this.#hold?.onBody();
  }

  onRequestEnd(trailers: HeaderList | undefined): void {
    this.requestEnded = true;
    this.requestEndMs = this.nowMs();
    this.trailers = trailers;
    if (this.#over) return;
    if (trailers !== undefined)
      for (const filter of this.connection.runtime.filters) filter.onRequestTrailers?.(this, trailers);
    if (this.#responseEnded) this.#finish();
    else if (this.#hold !== undefined) this.#hold.onBody();
    else this.forward?.onRequestEnd();
  }

  onRequestMalformed(error: HeadError): void {
    this.#keepAlive = false;
    if (this.response === undefined) this.reply(badRequest(error.status, error.message));
    else this.connection.abort();
  }

  onClientHalfClosed(): void {
    if (this.#tunnel) this.forward?.attempt?.endTunnel();
    else if (!this.requestEnded) this.connection.abort();
  }

  onClientGone(): void {
    if (this.#over) return;
    this.addFlag("DC");
    this.details = "downstream_remote_disconnect";
    this.connection.runtime.stats.rqRxReset.value += 1;
    this.forward?.close();
    this.#settle();
  }

  flushUpstream(): void {
    this.forward?.attempt?.flush();
  }

  flushDownstream(): void {
    this.connection.out.flush();
  }

  onUpstreamWritable(): void {
    if (!this.#over) this.connection.socket.resume();
  }

  onDownstreamWritable(): void {
    this.forward?.attempt?.resume();
  }

  onAttemptConnected(attempt: Attempt): void {
    this.forward?.onConnected(attempt);
  }

  /** The response's head, after retries were considered: goes to the client. */
  respond(head: ResponseHead, ended: boolean): void {
    this.response = head;
    this.responseMs = this.nowMs() - this.startMs;
    const { runtime } = this.connection;
    for (let at = runtime.filters.length - 1; at >= 0; at -= 1) runtime.filters[at]?.onResponse(this, head);
    this.span?.onResponse(head);
    const keepAlive = this.#keepAlive && !this.connection.lastRequest && (this.requestEnded || !ended);
    const tunnel = this.forward?.attempt !== undefined && opensTunnel(this.head.method, head.status);
    const written = writeHead(this, head, { keepAlive, tunnel });
    this.#keepAlive = keepAlive && written.body !== "until-close";
    this.#body = written.body;
    this.connection.out.text(written.text);
    if (tunnel) {
      this.#tunnel = true;
      this.connection.out.flush();
      this.connection.codec.startTunnel();
    }
    if (ended) this.onResponseEnd(undefined);
  }

  onResponseBody(chunk: Buffer): void {
    if (this.#over) return;
    this.activeMs = this.nowMs();
    this.bytesSent += chunk.length;
    const { out } = this.connection;
    if (this.#body === "chunked") out.chunk(chunk);
    else out.bytes(chunk);
    if (out.blocked) this.forward?.attempt?.pause();
  }

  onResponseEnd(trailers: HeaderList | undefined): void {
    if (this.#over) return;
    this.responseTrailers = trailers;
    if (this.#body === "chunked") this.connection.out.text(writeTrailers(this.#responseTrailers(trailers)));
    this.#responseEnded = true;
    this.#finish();
  }

  #responseTrailers(trailers: HeaderList | undefined): HeaderList | undefined {
    if (trailers === undefined || !this.forwardsTrailers) return undefined;
    const { filters } = this.connection.runtime;
    for (let at = filters.length - 1; at >= 0; at -= 1) filters[at]?.onResponseTrailers?.(this, trailers);
    return trailers;
  }

  /** A try ended without a response that could be given on, and there will be no other. */
  fail(reply: LocalReply): void {
    if (this.#over) return;
    if (this.response === undefined) {
      this.reply(reply);
      return;
    }
    this.addFlag(reply.flag);
    this.cause = reply.cause;
    this.details = reply.details.replace("before_response_started", "after_response_started");
    this.forward?.close();
    this.#settle();
    this.connection.out.flush();
    this.connection.abort();
  }

  /** Answers by itself. */
  reply(plain: LocalReply): void {
    if (this.#over) return;
    this.forward?.close();
    const { stats, config } = this.connection.runtime;
    stats.localReplies.value += 1;
    this.addFlag(plain.flag);
    this.details = plain.details;
    this.cause = plain.cause;
    const reply = config.localReplies === undefined ? plain : rewriteReply(this, plain, config.localReplies);
    const head = localHead(this, reply);
    if (this.#answersByRoute && this.route !== undefined)
      applyMutations(this.route.responseMutations, head.headers, undefined, () => this.record({ response: head }));
    const bodiless = this.head.method === "HEAD" || reply.body === "";
    // What the client still sends of its body would be taken for the next request.
    if (!this.requestEnded) this.#keepAlive = false;
    this.response = undefined;
    this.bytesSent = bodiless ? 0 : reply.body.length;
    this.respond(head, false);
    if (!bodiless) this.connection.out.text(Buffer.from(reply.body).toString("latin1"));
    this.#body = "length";
    this.#responseEnded = true;
    this.#finish();
  }

  onTunnelFromClient(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    this.activeMs = this.nowMs();
    if (this.forward?.attempt?.sendTunnel(chunk) === false) this.connection.socket.pause();
  }

  onTunnelFromUpstream(chunk: Buffer): void {
    this.bytesSent += chunk.length;
    this.activeMs = this.nowMs();
    this.connection.out.bytes(chunk);
    this.connection.out.flush();
    if (this.connection.out.blocked) this.forward?.attempt?.pause();
  }

  onTunnelClosed(): void {
    this.#settle();
    this.connection.closeGently();
  }

  /** The host wants the body: the client waits for being told so. */
  onContinue(): void {
    if (!this.connection.runtime.config.proxyContinue || this.response !== undefined) return;
    this.connection.out.text("HTTP/1.1 100 Continue\r\n\r\n");
    this.flushDownstream();
  }

  onAttemptResponse(
    attempt: Attempt,
    head: ResponseHead,
    at: { readonly ended: boolean; readonly serviceMs: number },
  ): boolean {
    return this.forward?.onResponse(attempt, head, at) ?? false;
  }

  onAttemptReset(attempt: Attempt, reset: Reset, message: string): void {
    this.forward?.onReset(attempt, reset, message);
  }

  /** Ends it where one of its time limits is over. */
  sweep(nowMs: number): void {
    const late = overdue(this, nowMs);
    if (late === undefined) return;
    if (this.response === undefined) this.reply(late);
    else this.fail(late);
    this.flushDownstream();
  }

  causeText(): string {
    return causeText(this.route?.cause);
  }

  record(about: RecordAbout = {}): AccessRecord {
    return new StreamRecord(this, this.#wallMs || this.connection.runtime.core.clock.wallMs(), about);
  }

  /** The caller is one whose x-envoy-… headers are taken at their word. */
  get #internal(): boolean {
    return this.head.headers.get("x-envoy-internal") === "true";
  }

  #findRoute(): void {
    const table = this.connection.runtime.routes();
    if (table === undefined) return;
    for (const name of table.internalOnlyHeaders) if (!this.#internal) this.head.headers.remove(name);
    chooseRoute(this, table);
  }

  routeInput(): RouteInput {
    return routeInput(this);
  }

  clearRoute(): void {
    const table = this.connection.runtime.routes();
    if (table !== undefined) chooseRoute(this, table);
  }

  #runFilters(from: number): void {
    const { filters } = this.connection.runtime;
    for (let at = from; at < filters.length; at += 1) {
      const verdict = filters[at]?.onRequest(this);
      if (verdict !== undefined) {
        this.#obey(verdict, at + 1);
        return;
      }
    }
    this.#act();
  }

  #obey(verdict: Exclude<Verdict, undefined>, next: number): void {
    if (verdict.kind === "reply") {
      this.reply(verdict);
      return;
    }
    this.#hold = new Hold(this, verdict, (after) => {
      this.#hold = undefined;
      if (after === undefined) this.#runFilters(next);
      else this.#obey(after, next);
    });
    this.#hold.start();
  }

  #act(): void {
    const { route } = this;
    const action = route?.action;
    const requireTls = (route?.virtualHost ?? virtualHostOf(this))?.requireTls ?? "none";
    if (requireTls !== "none" && this.head.scheme !== "https" && (requireTls === "all" || !this.#internal)) {
      this.#redirect(`https://${this.head.authority}${this.head.path}`);
      return;
    }
    if (route === undefined || action === undefined || action.kind === "none") {
      this.connection.runtime.stats.noRoute.value += 1;
      this.reply(noRoute(noRouteCause(this)));
      return;
    }
    this.#answersByRoute = action.kind !== "forward";
    if (action.kind === "redirect") {
      this.#redirect(redirectLocation(this.head, action), action.status);
      return;
    }
    if (action.kind === "direct") {
      const headers = action.body === "" ? [] : ["content-type", "text/plain"];
      this.reply({
        status: action.status,
        body: action.body,
        flag: "",
        details: "direct_response",
        headers,
        cause: "",
      });
      return;
    }
    this.forward = new Forward(this, route, action);
    this.forward.start();
  }

  #redirect(location: string, status = 301): void {
    this.reply({ status, body: "", flag: "", details: "direct_response", headers: ["location", location], cause: "" });
  }

  #keep(chunk: Buffer, sent: boolean): void {
    if (!this.replayable) return;
    this.buffered = addChunk(this.buffered, chunk);
    this.bufferedBytes += chunk.length;
    const max = this.#hold?.bytesMax ?? this.forward?.action.bufferBytesMax ?? 1024 * 1024;
    if (this.bufferedBytes <= max) return;
    if (sent) {
      this.replayable = false;
      this.buffered = NO_BODY;
      this.forward?.giveUpRetries();
    } else this.connection.socket.pause();
  }

  #finish(): void {
    if (this.#over) return;
    const reusable = this.#keepAlive && this.requestEnded;
    const { connection } = this;
    this.#settle();
    connection.streamDone(reusable);
  }

  #settle(): void {
    if (this.#over) return;
    this.#over = true;
    this.#hold?.cancel();
    this.#watch?.cancel();
    this.forward?.settle();
    if (this.#onDone !== undefined) for (const run of this.#onDone) run();
    conclude(this);
  }
}
