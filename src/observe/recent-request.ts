// What a proxy remembers of a request for a while, as its admin interface tells it: JSON, one object a request.

import { isRecord } from "../base/json.ts";

/** One end of a request, as far as the proxy knows it. */
export interface RequestEnd {
  /** The name in the certificate, such as `spiffe://cluster.local/ns/shop/sa/web`; empty: it showed none. */
  readonly identity: string;
  /** `10.0.0.1:8080`; empty: there was no connection. */
  readonly address: string;
}

/** A try after which there was another. */
export interface FailedTry {
  readonly host: string;
  /** 0 where no answer came. */
  readonly code: number;
  /** Why no answer came: `connect-failure`, `reset`, `per-try-timeout`. */
  readonly reset: string;
  /** From the request's start to the end of the try. */
  readonly endMs: number;
}

export interface RecentRequest {
  /** One in this process: `WORKER-NUMBER`. */
  readonly key: string;
  readonly startTimeMs: number;
  /** When it was over. */
  readonly endTimeMs: number;
  readonly durationMs: number;
  readonly direction: "inbound" | "outbound" | "unspecified";
  /** `x-request-id`; empty where there is none. */
  readonly requestId: string;
  /** Empty where it isn't traced. */
  readonly traceId: string;
  /** `HTTP/1.1`, `TCP`. */
  readonly protocol: string;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  /** 0: no answer, or no HTTP. */
  readonly code: number;
  /** Envoy's short flags, joined by commas. */
  readonly flags: string;
  readonly details: string;
  /** The resource and rule behind an answer that the proxy gave by itself, and why. */
  readonly cause: string;
  /** What the route was made of: `VirtualService shop/api spec.http[0]`. */
  readonly rule: string;
  readonly route: string;
  readonly cluster: string;
  readonly tries: number;
  readonly failedTries: readonly FailedTry[];
  /** What the transport said of the last try. */
  readonly transportFailure: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** The client, and the certificate that it showed. */
  readonly source: RequestEnd;
  /** Where the client meant to go, and the certificate that it was shown, or that the host showed. */
  readonly destination: RequestEnd;
  /** The host that answered, or that was tried last. */
  readonly upstreamHost: string;
}

/** As they are kept: each line is a `RecentRequest` as JSON. */
export interface RecentLines {
  readonly lines: readonly string[];
  readonly passedOver: number;
}

/** A proxy's answer to `/weft/requests`. */
export interface RecentRequests {
  /** The newest last. */
  readonly requests: readonly RecentRequest[];
  /** Since the proxy started: those that it had no room for in their second. */
  readonly passedOver: number;
}

/** Undefined: something else. A field that a proxy of another version leaves out is empty. */
export function readRecentRequests(value: unknown): RecentRequests | undefined {
  if (!isRecord(value) || !Array.isArray(value["requests"])) return undefined;
  return {
    requests: value["requests"].filter(isRecord).map(readRequest),
    passedOver: numberOf(value["passedOver"]),
  };
}

function readRequest(one: Readonly<Record<string, unknown>>): RecentRequest {
  const text = (name: string): string => textOf(one[name]);
  const number = (name: string): number => numberOf(one[name]);
  const { direction } = one;
  const tries = one["failedTries"];
  return {
    key: text("key"),
    startTimeMs: number("startTimeMs"),
    endTimeMs: number("endTimeMs"),
    durationMs: number("durationMs"),
    direction: direction === "inbound" || direction === "outbound" ? direction : "unspecified",
    requestId: text("requestId"),
    traceId: text("traceId"),
    protocol: text("protocol"),
    method: text("method"),
    authority: text("authority"),
    path: text("path"),
    code: number("code"),
    flags: text("flags"),
    details: text("details"),
    cause: text("cause"),
    rule: text("rule"),
    route: text("route"),
    cluster: text("cluster"),
    tries: number("tries"),
    failedTries: Array.isArray(tries) ? tries.filter(isRecord).map(readTry) : [],
    transportFailure: text("transportFailure"),
    bytesReceived: number("bytesReceived"),
    bytesSent: number("bytesSent"),
    source: readEnd(one["source"]),
    destination: readEnd(one["destination"]),
    upstreamHost: text("upstreamHost"),
  };
}

function readTry(one: Readonly<Record<string, unknown>>): FailedTry {
  return {
    host: textOf(one["host"]),
    code: numberOf(one["code"]),
    reset: textOf(one["reset"]),
    endMs: numberOf(one["endMs"]),
  };
}

function readEnd(value: unknown): RequestEnd {
  const end = isRecord(value) ? value : {};
  return { identity: textOf(end["identity"]), address: textOf(end["address"]) };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
