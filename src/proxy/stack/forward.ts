// The router: chooses the cluster, prepares the request for it, makes the tries, and decides after each whether there is another.

import { isIP } from "node:net";
import { backoffMs } from "../../base/backoff.ts";
import type { Deadline, DeadlineOwner } from "../../base/deadlines.ts";
import type { Hash64 } from "../../base/hash.ts";
import type { FailedTry } from "../../observe/recent-request.ts";
import { opensTunnel, type RequestHead, type ResponseHead } from "../codec/head.ts";
import type { ForwardAction } from "../compile/action.ts";
import { applyMutations, type HeaderMutation } from "../compile/mutation.ts";
import type { RouteEntry } from "../compile/route.ts";
import { hashKey } from "../route/hash.ts";
import {
  askedDelayMs,
  planRetries,
  type Reset,
  type RetryPlan,
  retriesReset,
  retriesResponse,
} from "../route/retry.ts";
import { rewriteHost, rewritePath } from "../route/rewrite.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { type Host, TUNNELLED } from "../upstream/host.ts";
import type { Destination } from "../upstream/original-dst.ts";
import { PriorityTrail } from "../upstream/priority-trail.ts";
import { Attempt } from "./attempt.ts";
import { noteFailed } from "./failed-tries.ts";
import type { HttpStream } from "./http-stream.ts";
import { NO_BODY } from "./kept-body.ts";
import { startMirrors } from "./mirror.ts";
import {
  noCluster,
  noHealthyUpstream,
  notRouted,
  perTryTimeout,
  resetFlag,
  routeTimeout,
  upstreamReset,
} from "./rescue.ts";
import type { RouteStats } from "./route-stats.ts";

export class Forward implements DeadlineOwner {
  readonly stream: HttpStream;
  readonly route: RouteEntry;
  readonly action: ForwardAction;
  attempt: Attempt | undefined;
  cluster: Cluster | undefined;
  clusterName = "";
  host: Host | undefined;
  attempts = 0;
  /** Those after which there was another. */
  failedTries: FailedTry[] | undefined;
  setCookie: string | undefined;
  /** The attempt has a connection: body goes straight to it. */
  sending = false;
  timeoutMs: number;
  readonly #plan: RetryPlan | undefined;
  /** Of the route, where it names any. */
  readonly #counts: RouteStats | undefined;
  #tried: Host[] | undefined;
  #trail: PriorityTrail | undefined;
  #hash: Hash64 | undefined;
  #perTryMs = 0;
  #retryAllowed = true;
  #retrying = false;
  #timer: Deadline | undefined;
  #tryTimer: Deadline | undefined;
  #waitTimer: { cancel(): void } | undefined;
  #over = false;

  constructor(stream: HttpStream, route: RouteEntry, action: ForwardAction) {
    this.stream = stream;
    this.route = route;
    this.action = action;
    this.timeoutMs = action.timeoutMs;
    this.#counts = route.statPrefix === "" ? undefined : stream.connection.runtime.routeStats(route);
    this.#plan = planRetries(action.retry, stream.head);
    // What an internal caller asked of the router is not the host's business.
    if (stream.head.headers.has("x-envoy-internal")) for (const name of ASKED) stream.head.headers.remove(name);
  }

  /** The body must be kept, since it may be needed again. */
  get mayRetry(): boolean {
    return (this.#plan !== undefined && this.#plan.left > 0 && this.#retryAllowed) || this.action.mirrors.length > 0;
  }

  /** The request is a CONNECT that goes no further: the host gets what is in the tunnel. */
  get endsConnect(): boolean {
    return this.action.endsConnect && this.stream.head.method === "CONNECT";
  }

  start(): void {
    const { stream } = this;
    const { core, stats } = stream.connection.runtime;
    this.clusterName = this.#chooseCluster();
    const cluster = core.cluster(this.clusterName);
    if (cluster === undefined) {
      stats.noCluster.value += 1;
      stream.reply(noCluster(this.action.clusterNotFoundStatus, this.clusterName, stream.causeText()));
      return;
    }
    if (cluster.config.protocol === "http2") {
      stream.reply(notRouted(this.clusterName, stream.causeText()));
      return;
    }
    this.cluster = cluster;
    const upgrade = stream.head.method === "CONNECT" ? "connect" : stream.head.upgrade;
    if (upgrade !== undefined && !this.#upgradeAllowed(upgrade)) {
      const cause = `upgrade to ${upgrade} is not enabled`;
      stream.reply({ status: 403, body: "", flag: "", details: "upgrade_failed", headers: [], cause });
      return;
    }
    this.#readTimeouts();
    this.#prepare();
    stream.span?.inject();
    if (stream.requestEnded) this.onRequestEnd();
    this.#try();
  }

  /** Timeouts count from the end of the request. */
  onRequestEnd(): void {
    if (this.#over) return;
    if (this.attempt !== undefined && this.sending) this.attempt.sendEnd(this.stream.trailers);
    startMirrors(this);
    if (this.timeoutMs > 0) this.#timer = this.stream.connection.runtime.core.deadlines.set(this.timeoutMs, this);
    if (this.attempt !== undefined) this.#armTry();
  }

  onDeadline(deadline: Deadline): void {
    if (deadline === this.#timer) this.#timedOut();
    else if (deadline === this.#tryTimer) this.#tryTimedOut();
  }

  sendBody(chunk: Buffer): boolean {
    return this.attempt?.sendBody(chunk) ?? true;
  }

  giveUpRetries(): void {
    this.#retryAllowed = false;
    if (this.#plan !== undefined) this.cluster?.stats.counters.retry_or_shadow_abandoned.inc();
  }

  onConnected(attempt: Attempt): void {
    if (attempt !== this.attempt) return;
    this.sending = true;
    const { stream } = this;
    if (!this.mayRetry) {
      stream.buffered = NO_BODY;
      stream.replayable = stream.requestEnded && stream.bytesReceived === 0;
    }
    stream.onUpstreamWritable();
  }

  /** False: another try will be made, and this response is dropped. */
  onResponse(
    attempt: Attempt,
    head: ResponseHead,
    at: { readonly ended: boolean; readonly serviceMs: number },
  ): boolean {
    if (attempt !== this.attempt || this.#over) return false;
    const plan = this.#plan;
    if (plan !== undefined && retriesResponse(plan, head) && this.#scheduleRetry(plan, head)) {
      this.stream.span?.onTryEnd(head.status, "");
      return false;
    }
    this.#tryTimer?.cancel();
    if (this.#retrying && head.status < 500) {
      this.cluster?.stats.counters.upstream_rq_retry_success.inc();
      this.#counts?.retrySuccess.inc();
    }
    // The route's timeout covers the whole response, but a tunnel has no end that could be waited for.
    if (opensTunnel(this.stream.head.method, head.status)) this.#timer?.cancel();
    this.stream.details = "via_upstream";
    this.#finishHeaders(head, at.serviceMs);
    this.stream.respond(head, at.ended);
    return true;
  }

  onReset(attempt: Attempt, reset: Reset, message: string): void {
    if (attempt !== this.attempt || this.#over) return;
    this.stream.span?.onTryEnd(0, resetFlag(reset));
    this.sending = false;
    this.stream.transportFailure = message === "" || reset === "protocol-error" ? undefined : message;
    const begun = this.stream.response !== undefined;
    const plan = this.#plan;
    if (!begun && plan !== undefined && retriesReset(plan, reset) && this.#scheduleRetry(plan, reset)) return;
    if (!begun && plan === undefined && reset === "stale-connection" && this.#retrySilently()) return;
    if (
      reset === "overflow" ||
      reset === "connect-failure" ||
      reset === "connect-timeout" ||
      reset === "stale-connection" ||
      reset === "reset" ||
      reset === "protocol-error"
    ) {
      this.stream.fail(upstreamReset(reset, message, this.#cause()));
    }
  }

  /** Gives up what is under way. */
  close(): void {
    this.#cancelTimers();
    const { attempt } = this;
    this.attempt = undefined;
    this.sending = false;
    this.#endRetry();
    attempt?.discard();
  }

  /** The exchange is over. */
  settle(): void {
    const { response, responseMs } = this.stream;
    if (!this.#over && response !== undefined) this.#counts?.response(response.status, responseMs);
    this.#over = true;
    this.#cancelTimers();
    this.#endRetry();
  }

  #cause(): string {
    const { cluster } = this;
    const own = this.stream.causeText();
    if (own !== "" || cluster?.config.cause === undefined) return own;
    return `${cluster.config.cause.resource} ${cluster.config.cause.rule}`.trim();
  }

  #chooseCluster(): string {
    const { target } = this.action;
    if (target.kind === "cluster") return target.name;
    if (target.kind === "header") return this.stream.head.headers.get(target.header) ?? "";
    const { weighted } = this.stream;
    return weighted?.name || (this.stream.head.headers.get(weighted?.header ?? "") ?? "");
  }

  #upgradeAllowed(upgrade: string): boolean {
    if (upgrade === "h2c") return true;
    return this.action.upgrades.get(upgrade) ?? this.stream.connection.runtime.config.upgrades.has(upgrade);
  }

  #readTimeouts(): void {
    const { headers } = this.stream.head;
    const asked = headers.get("x-envoy-upstream-rq-timeout-ms");
    if (asked !== undefined && /^\d{1,9}$/.test(asked)) this.timeoutMs = Number(asked);
    headers.remove("x-envoy-upstream-rq-timeout-ms");
    this.#perTryMs = this.#plan?.config.perTryTimeoutMs ?? 0;
    const askedTry = headers.get("x-envoy-upstream-rq-per-try-timeout-ms");
    if (askedTry !== undefined && /^\d{1,9}$/.test(askedTry)) this.#perTryMs = Number(askedTry);
    headers.remove("x-envoy-upstream-rq-per-try-timeout-ms");
    if (this.#perTryMs >= this.timeoutMs && this.timeoutMs > 0) this.#perTryMs = 0;
  }

  #prepare(): void {
    const { stream, action } = this;
    const { head, connection } = stream;
    if (action.hash.length > 0) {
      const key = hashKey(action.hash, head, {
        sourceIp: stream.remoteIp,
        freshId: () => Math.floor(stream.random() * 2 ** 52).toString(16),
      });
      this.#hash = key.hash;
      this.setCookie = key.setCookie;
    }
    const suppress = connection.runtime.config.suppressEnvoyHeaders;
    if (action.pathRewrite !== undefined) {
      if (!suppress) head.headers.set("x-envoy-original-path", head.path);
      head.path = rewritePath(head.path, action.pathRewrite);
    }
    const { weighted } = stream;
    if (weighted !== undefined) this.#mutate(weighted.requestMutations, head);
    this.#mutate(this.route.requestMutations, head);
    if (action.hostRewrite !== undefined && action.hostRewrite.kind !== "auto") {
      const host = rewriteHost(head, action, "");
      if (action.appendForwardedHost && host !== head.authority)
        head.headers.append("x-forwarded-host", head.authority);
      head.authority = host;
    }
    if (weighted?.hostRewrite !== undefined && weighted.hostRewrite !== "") head.authority = weighted.hostRewrite;
    if (head.framing === "chunked") head.headers.add("transfer-encoding", "chunked");
    if (!suppress && this.timeoutMs > 0) {
      const expected = this.#perTryMs > 0 ? this.#perTryMs : this.timeoutMs;
      head.headers.set("x-envoy-expected-rq-timeout-ms", String(Math.round(expected)));
    }
  }

  #try(): void {
    const { stream, cluster } = this;
    if (cluster === undefined || this.#over) return;
    const plan = this.#plan;
    const host = cluster.pick(
      {
        hash: this.#hash,
        avoid: plan?.config.avoidPreviousHosts === true ? (this.#tried ?? NONE) : NONE,
        attemptsMax: plan?.config.hostSelectionAttempts || 1,
        trail: this.#trail,
        override: headerDestination(cluster, stream.head),
        metadata: stream.weighted === undefined ? this.action.metadataMatch : stream.weighted.metadataMatch,
      },
      this.#destinationFor(cluster),
    );
    if (host === undefined) {
      stream.fail(noHealthyUpstream(this.#cause(), cluster.config.unreachable));
      return;
    }
    this.host = host;
    this.attempts += 1;
    this.#counts?.total.inc();
    if (plan !== undefined) {
      this.#tried ??= [];
      this.#tried.push(host);
      this.#trailPriority(plan.config.priorityFrequency, host);
    }
    if (this.action.hostRewrite?.kind === "auto")
      stream.head.authority = rewriteHost(stream.head, this.action, host.endpoint.hostname);
    if (this.route.virtualHost.includeRequestAttemptCount) {
      stream.head.headers.set("x-envoy-attempt-count", String(this.attempts));
    }
    stream.span?.onTry(this);
    this.sending = false;
    const attempt = new Attempt(
      stream,
      host,
      host.pool(
        this.endsConnect ? TUNNELLED : stream.protocols,
        this.action.priority,
        cluster.nameFor(stream.head.authority, stream.head.headers, stream.connection.info),
      ),
    );
    this.attempt = attempt;
    if (stream.requestEnded) this.#armTry();
    attempt.start();
  }

  #trailPriority(frequency: number, host: Host): void {
    if (frequency === 0) return;
    this.#trail ??= new PriorityTrail(frequency);
    this.#trail.onTried(host.endpoint.priority);
  }

  #destinationFor(cluster: Cluster): Destination | undefined {
    const { kind } = cluster.config.lb;
    if (kind === "original-dst") return this.#destination();
    return kind === "dynamic-dns" ? cluster.destinationOf(this.stream.head.authority) : undefined;
  }

  /** Where there is no redirected connection, the listener's own address is where the client went. */
  #destination(): { host: string; port: number } {
    const { info } = this.stream.connection;
    return info.originalDst ?? { host: info.localIp, port: info.localPort };
  }

  #armTry(): void {
    this.#tryTimer?.cancel();
    if (this.#perTryMs === 0) return;
    this.#tryTimer = this.stream.connection.runtime.core.deadlines.set(this.#perTryMs, this);
  }

  #tryTimedOut(): void {
    const { attempt, stream } = this;
    if (attempt === undefined || this.#over || stream.response !== undefined) return;
    this.attempt = undefined;
    this.sending = false;
    this.cluster?.stats.counters.upstream_rq_per_try_timeout.inc();
    this.host?.onLocalOrigin("timeout");
    attempt.discard();
    stream.span?.onTryEnd(0, "UT");
    const plan = this.#plan;
    if (plan !== undefined && retriesReset(plan, "per-try-timeout") && this.#scheduleRetry(plan, "per-try-timeout"))
      return;
    stream.fail(perTryTimeout(this.#cause()));
    stream.flushDownstream();
  }

  #timedOut(): void {
    if (this.#over) return;
    this.cluster?.stats.counters.upstream_rq_timeout.inc();
    this.#counts?.timeout.inc();
    if (this.attempt !== undefined) this.host?.onLocalOrigin("timeout");
    this.stream.fail(routeTimeout(this.#cause()));
    this.stream.flushDownstream();
  }

  /** Whether there will be another try: bounded by count, budget, and by what of the request can be sent again. */
  #scheduleRetry(plan: RetryPlan, end: ResponseHead | Reset): boolean {
    const { cluster, stream } = this;
    if (cluster === undefined) return false;
    const { counters } = cluster.stats;
    if (plan.left <= 0) {
      counters.upstream_rq_retry_limit_exceeded.value += 1;
      this.#counts?.retryLimitExceeded.inc();
      stream.addFlag("URX");
      return false;
    }
    if (!stream.replayable || !this.#retryAllowed) return false;
    const breaker = cluster.breaker(this.action.priority);
    if (!this.#retrying && !breaker.retryAvailable) {
      counters.upstream_rq_retry_overflow.value += 1;
      this.#counts?.retryOverflow.inc();
      return false;
    }
    noteFailed(this, end);
    plan.left -= 1;
    counters.upstream_rq_retry.value += 1;
    this.#counts?.retry.inc();
    if (!this.#retrying) breaker.retries.take();
    this.#retrying = true;
    this.attempt = undefined;
    this.sending = false;
    this.#tryTimer?.cancel();
    const { core } = stream.connection.runtime;
    const response = typeof end === "string" ? undefined : end;
    this.#waitTimer = core.clock.after(this.#delayMs(plan, response, cluster), () => this.#try());
    return true;
  }

  /** What the host asked for, up to half as much again; else longer with each try. */
  #delayMs(plan: RetryPlan, response: ResponseHead | undefined, cluster: Cluster): number {
    const { clock, random } = this.stream.connection.runtime.core;
    const { backoffBaseMs, backoffMaxMs, resetHeaders } = plan.config;
    const { counters } = cluster.stats;
    const asked =
      response === undefined || resetHeaders.length === 0
        ? undefined
        : askedDelayMs(plan.config, response, clock.wallMs());
    if (asked !== undefined) {
      counters.upstream_rq_retry_backoff_ratelimited.value += 1;
      return asked + (asked / 2) * random();
    }
    counters.upstream_rq_retry_backoff_exponential.value += 1;
    return backoffMs(this.attempts, { baseMs: backoffBaseMs, maxMs: backoffMaxMs, random });
  }

  /**
   * The keep-alive race: the host closed a connection that had served before, and not a byte came back. A request that is
   * safe to repeat goes once more, on a new connection, even where no policy says so.
   */
  #retrySilently(): boolean {
    const { stream } = this;
    const safe =
      SAFE_METHODS.has(stream.head.method) && stream.replayable && stream.requestEnded && stream.bytesReceived === 0;
    if (!safe || this.attempts > 1) return false;
    noteFailed(this, "stale-connection");
    this.attempt = undefined;
    this.#try();
    return true;
  }

  #finishHeaders(head: ResponseHead, serviceMs: number): void {
    const { stream } = this;
    const { headers } = head;
    if (!stream.connection.runtime.config.suppressEnvoyHeaders) {
      headers.set("x-envoy-upstream-service-time", String(Math.max(0, Math.round(serviceMs))));
    }
    if (this.route.virtualHost.includeAttemptCountInResponse)
      headers.set("x-envoy-attempt-count", String(this.attempts));
    const { weighted } = stream;
    if (weighted !== undefined) this.#mutate(weighted.responseMutations, head);
    this.#mutate(this.route.responseMutations, head);
    if (this.setCookie !== undefined) headers.add("set-cookie", this.setCookie);
  }

  #mutate(mutations: readonly HeaderMutation[], head: RequestHead | ResponseHead): void {
    if (mutations.length === 0) return;
    const request = head.kind === "request" ? head : undefined;
    const about = head.kind === "response" ? { response: head } : {};
    applyMutations(mutations, head.headers, request, () => this.stream.record(about));
  }

  #endRetry(): void {
    if (!this.#retrying) return;
    this.#retrying = false;
    this.cluster?.breaker(this.action.priority).retries.give();
  }

  #cancelTimers(): void {
    this.#timer?.cancel();
    this.#tryTimer?.cancel();
    this.#waitTimer?.cancel();
  }
}

/** `ADDRESS:PORT` in the header that an ORIGINAL_DST cluster is told to follow. */
function headerDestination(cluster: Cluster, head: RequestHead): { host: string; port: number } | undefined {
  const { lb } = cluster.config;
  if (lb.kind !== "original-dst" || lb.header === undefined) return undefined;
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(head.headers.get(lb.header) ?? "");
  const host = match?.[1] ?? match?.[2];
  return host === undefined || isIP(host) === 0 ? undefined : { host, port: Number(match?.[3]) };
}

const NONE: readonly Host[] = [];
const ASKED = [
  "x-envoy-retry-on",
  "x-envoy-retry-grpc-on",
  "x-envoy-max-retries",
  "x-envoy-retriable-status-codes",
  "x-envoy-retriable-header-names",
];
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS", "TRACE"]);
