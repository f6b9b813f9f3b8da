// The one place where an error becomes a status, a text, a response flag and its details: Envoy's, and the resource behind it.

import { reasonOf } from "../codec/write.ts";
import type { Reset } from "../route/retry.ts";

export interface LocalReply {
  readonly status: number;
  readonly body: string;
  readonly flag: string;
  readonly details: string;
  readonly headers: readonly string[];
  /** For x-weft-cause. */
  readonly cause: string;
  /** What somebody outside the mesh is told of it, where not all. */
  readonly publicCause?: string;
}

const TEXT = ["content-type", "text/plain"];

export function noRoute(cause: string): LocalReply {
  return { status: 404, body: "", flag: "NR", details: "route_not_found", headers: [], cause };
}

export function noPath(cause: string): LocalReply {
  return { status: 404, body: "", flag: "", details: "absolute_path_rejected", headers: [], cause };
}

export function lateHead(): LocalReply {
  return {
    status: 408,
    body: "request header timeout",
    flag: "",
    details: "request_header_timeout",
    headers: TEXT,
    cause: "the head of the request took too long",
  };
}

export function noAddress(status: number): LocalReply {
  const cause = "the client's address is not where the configuration says";
  return { status, body: "", flag: "", details: "rejecting_because_detection_failed", headers: [], cause };
}

export function noCluster(status: number, cluster: string, cause: string): LocalReply {
  const reason = `cluster ${cluster} is not known to this proxy`;
  return { status, body: "", flag: "NC", details: "cluster_not_found", headers: [], cause: join(cause, reason) };
}

export function notRouted(cluster: string, cause: string): LocalReply {
  const reason = `cluster ${cluster} speaks HTTP/2, which requests are not routed to yet`;
  return {
    status: 503,
    body: "",
    flag: "",
    details: "http2_upstream_not_served",
    headers: [],
    cause: join(cause, reason),
  };
}

export function noHealthyUpstream(cause: string, unreachable: string): LocalReply {
  const reason = unreachable === "" ? "no healthy endpoint" : unreachable;
  return {
    status: 503,
    body: "no healthy upstream",
    flag: "UH",
    details: "no_healthy_upstream",
    headers: TEXT,
    cause: join(cause, reason),
  };
}

export function routeTimeout(cause: string): LocalReply {
  return {
    status: 504,
    body: "upstream request timeout",
    flag: "UT",
    details: "response_timeout",
    headers: TEXT,
    cause: join(cause, "the route's timeout is over"),
  };
}

export function perTryTimeout(cause: string): LocalReply {
  return {
    status: 504,
    body: "upstream request timeout",
    flag: "UT",
    details: "upstream_per_try_timeout",
    headers: TEXT,
    cause: join(cause, "the time of a try is over"),
  };
}

interface ResetWords {
  readonly status: number;
  readonly flag: string;
  readonly reason: string;
}

const RESETS: Readonly<Record<Exclude<Reset, "route-timeout" | "per-try-timeout">, ResetWords>> = {
  overflow: { status: 503, flag: "UO", reason: "overflow" },
  "connect-failure": { status: 503, flag: "UF", reason: "remote connection failure" },
  "connect-timeout": { status: 503, flag: "UF", reason: "connection timeout" },
  "stale-connection": { status: 503, flag: "UC", reason: "connection termination" },
  reset: { status: 503, flag: "UC", reason: "connection termination" },
  "protocol-error": { status: 502, flag: "UPE", reason: "protocol error" },
};

export function resetFlag(reset: Reset): string {
  return reset === "route-timeout" || reset === "per-try-timeout" ? "UT" : RESETS[reset].flag;
}

export function upstreamReset(
  reset: Exclude<Reset, "route-timeout" | "per-try-timeout">,
  transport: string,
  cause: string,
): LocalReply {
  const words = RESETS[reset];
  if (reset === "protocol-error") return ended(words, "", join(cause, `${words.reason}: ${transport}`));
  const failure = transport === "" ? "" : `, transport failure reason: ${transport}`;
  const overflow = reset === "overflow";
  const told = ended(
    words,
    transport,
    join(cause, overflow ? "a circuit breaker is open" : `${words.reason}${failure}`),
  );
  return overflow ? { ...told, headers: [...TEXT, "x-envoy-overloaded", "true"] } : told;
}

function ended(words: ResetWords, transport: string, cause: string): LocalReply {
  return {
    status: words.status,
    // What the transport said goes to the log and to x-weft-cause: it tells of the network behind the proxy.
    body: `upstream connect error or disconnect/reset before headers. reset reason: ${words.reason}`,
    flag: words.flag,
    details: `upstream_reset_before_response_started{${words.reason.replaceAll(" ", "_")}${transport === "" ? "" : `|${transport.replaceAll(" ", "_")}`}}`,
    headers: TEXT,
    cause,
  };
}

export function overloaded(): LocalReply {
  return {
    status: 503,
    body: "envoy overloaded",
    flag: "OM",
    details: "overload",
    headers: TEXT,
    cause: "the proxy is close to its memory limit: raise it, or send less at a time",
  };
}

export function tooLarge(): LocalReply {
  return {
    status: 413,
    body: "Payload Too Large",
    flag: "",
    details: "request_payload_too_large",
    headers: TEXT,
    cause: "the body is larger than a filter takes",
  };
}

export function badRequest(status: number, message: string): LocalReply {
  return {
    status,
    body: status === 426 ? "" : reasonOf(status),
    flag: "DPE",
    details: `http1.${detail(message)}`,
    headers: TEXT,
    cause: message,
  };
}

function detail(message: string): string {
  return message.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_");
}

function join(cause: string, reason: string): string {
  return cause === "" ? reason : `${cause}: ${reason}`;
}
