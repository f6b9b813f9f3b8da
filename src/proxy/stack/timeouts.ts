// The time limits of a stream beside those of its tries: idle, whole request, whole exchange.

import { SHORT_TIMEOUT_MS } from "../limits.ts";
import type { HttpStream } from "./http-stream.ts";
import type { LocalReply } from "./rescue.ts";

function idleMsOf(stream: HttpStream): number {
  const action = stream.route?.action;
  const own = action?.kind === "forward" ? action.idleTimeoutMs : undefined;
  return own ?? stream.connection.runtime.config.streamIdleTimeoutMs;
}

function maxMsOf(stream: HttpStream): number {
  const action = stream.route?.action;
  const own = action?.kind === "forward" ? action.maxStreamDurationMs : undefined;
  return own ?? stream.connection.runtime.config.maxStreamDurationMs;
}

function isShort(ms: number): boolean {
  return ms > 0 && ms <= SHORT_TIMEOUT_MS;
}

/** Which limit is over, as the answer that says so. */
export function overdue(stream: HttpStream, nowMs: number): LocalReply | undefined {
  const { stats, config } = stream.connection.runtime;
  const requestMs = config.requestTimeoutMs;
  const idleMs = idleMsOf(stream);
  const maxMs = maxMsOf(stream);
  const totalMs = nowMs - stream.startMs;
  if (maxMs > 0 && totalMs >= maxMs) {
    stats.rqMaxDuration.value += 1;
    return late(stream, { body: "downstream duration timeout", flag: "", details: "max_duration_timeout" });
  }
  if (requestMs > 0 && !stream.requestEnded && totalMs >= requestMs) {
    stats.rqTimeout.value += 1;
    return late(stream, { body: "request timeout", flag: "", details: "request_overall_timeout" });
  }
  if (idleMs > 0 && nowMs - stream.activeMs >= idleMs) {
    stats.rqIdleTimeout.value += 1;
    return late(stream, { body: "stream timeout", flag: "SI", details: "stream_idle_timeout" });
  }
  return undefined;
}

/** Who is late is the client while its request is under way, and the upstream after that. */
function late(stream: HttpStream, words: Pick<LocalReply, "body" | "flag" | "details">): LocalReply {
  return {
    ...words,
    status: stream.requestEnded ? 504 : 408,
    headers: ["content-type", "text/plain"],
    cause: stream.causeText(),
  };
}

/** All streams are looked at once a second; those with limits of that order are looked at by a timer of their own. */
export function watchTimes(stream: HttpStream): { cancel(): void } | undefined {
  const requestMs = stream.connection.runtime.config.requestTimeoutMs;
  const idleMs = idleMsOf(stream);
  const maxMs = maxMsOf(stream);
  if (!isShort(idleMs) && !isShort(requestMs) && !isShort(maxMs)) return undefined;
  const { clock } = stream.connection.runtime.core;
  const stepMs = Math.min(...[idleMs, requestMs, maxMs].filter((ms) => ms > 0));
  let cancelled = false;
  let timer = clock.after(stepMs, look);
  function look(): void {
    if (cancelled) return;
    const nowMs = clock.monotonicMs();
    stream.sweep(nowMs);
    const left = [
      idleMs > 0 ? stream.activeMs + idleMs - nowMs : stepMs,
      maxMs > 0 ? stream.startMs + maxMs - nowMs : stepMs,
      requestMs > 0 && !stream.requestEnded ? stream.startMs + requestMs - nowMs : stepMs,
    ];
    if (!cancelled) timer = clock.after(Math.max(1, Math.min(...left)), look);
  }
  return {
    cancel() {
      cancelled = true;
      timer.cancel();
    },
  };
}
