// Which outcomes are tried again, and how often.

import type { Json, WalkCase } from "./case.ts";
import { TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };
const FAST = { retryBackOff: { baseInterval: "0.001s" } };

/** A policy, a path, and how many tries it takes in all. */
function tries(name: string, retryPolicy: Json, path: string, wanted: number): WalkCase {
  return {
    name: `retry-${name}`,
    routes: [toOrigin(ANY, { retryPolicy: { ...FAST, ...retryPolicy } })],
    host: { includeAttemptCountInResponse: true },
    call: { path },
    expect: {
      status: Number(/\/status\/(\d+)/.exec(path)?.[1] ?? 200),
      headers: { "x-envoy-attempt-count": String(wanted) },
      origin: { times: wanted },
    },
  };
}

const policies: readonly WalkCase[] = [
  tries("gateway-error-502", { retryOn: "gateway-error" }, "/status/502", 2),
  tries("gateway-error-500", { retryOn: "gateway-error" }, "/status/500", 1),
  tries("5xx-500", { retryOn: "5xx" }, "/status/500", 2),
  tries("5xx-404", { retryOn: "5xx" }, "/status/404", 1),
  tries("4xx-409", { retryOn: "retriable-4xx" }, "/status/409", 2),
  tries("4xx-404", { retryOn: "retriable-4xx" }, "/status/404", 1),
  tries("codes-without-name", { retryOn: "connect-failure", retriableStatusCodes: [503] }, "/status/503", 1),
  tries("codes", { retryOn: "retriable-status-codes", retriableStatusCodes: [404, 503] }, "/status/404", 2),
  tries(
    "headers",
    { retryOn: "retriable-headers", retriableHeaders: [{ name: "x-again", presentMatch: true }] },
    "/status/200?x-again=1",
    2,
  ),
  tries(
    "headers-absent",
    { retryOn: "retriable-headers", retriableHeaders: [{ name: "x-again", presentMatch: true }] },
    "/status/200",
    1,
  ),
  tries("ratelimited", { retryOn: "envoy-ratelimited" }, "/status/429?x-envoy-ratelimited=true", 2),
  tries("ratelimited-under-5xx", { retryOn: "5xx" }, "/status/503?x-envoy-ratelimited=true", 1),
  tries("number", { retryOn: "5xx", numRetries: 3 }, "/status/500", 4),
  tries("none", { retryOn: "5xx", numRetries: 0 }, "/status/500", 1),
  tries("several-conditions", { retryOn: "connect-failure,gateway-error" }, "/status/503", 2),
  tries("request-header-absent", { retryOn: "5xx", retriableRequestHeaders: [{ name: "x-retry" }] }, "/status/500", 1),
  tries("grpc-not-in-plain-http", { retryOn: "unavailable" }, "/status/503", 1),
];

/** Resets have no answer of the host: the tries are told by what the origin saw. */
function resets(name: string, retryPolicy: Json, path: string, wanted: number): WalkCase {
  return {
    name: `retry-${name}`,
    routes: [toOrigin(ANY, { retryPolicy: { ...FAST, ...retryPolicy } })],
    call: { path },
    expect: { status: 503, origin: { times: wanted } },
  };
}

const broken: readonly WalkCase[] = [
  resets("reset", { retryOn: "reset" }, "/reset", 2),
  resets("reset-5xx", { retryOn: "5xx" }, "/reset", 2),
  resets("reset-gateway-error", { retryOn: "gateway-error" }, "/reset", 2),
  resets("reset-before-request", { retryOn: "reset-before-request" }, "/reset", 1),
  resets("reset-connect-failure", { retryOn: "connect-failure" }, "/reset", 1),
  resets("reset-retriable-4xx", { retryOn: "retriable-4xx" }, "/reset", 1),
  {
    name: "retry-per-try-timeout",
    routes: [toOrigin(ANY, { retryPolicy: { ...FAST, retryOn: "5xx", perTryTimeout: "0.05s" } })],
    call: { path: "/slow" },
    expect: { status: 504, origin: { times: 2 }, log: /^UT,URX|URX,UT/ },
  },
  {
    name: "retry-per-try-timeout-not-on-connect-failure",
    routes: [toOrigin(ANY, { retryPolicy: { ...FAST, retryOn: "connect-failure", perTryTimeout: "0.05s" } })],
    call: { path: "/slow" },
    expect: { status: 504, origin: { times: 1 } },
  },
  {
    name: "retry-of-a-post",
    routes: [toOrigin(ANY, { retryPolicy: { ...FAST, retryOn: "5xx" } })],
    call: { method: "POST", path: "/status/500", body: "body" },
    expect: { status: 500, origin: { times: 2, body: "body" } },
  },
  {
    name: "retry-of-the-host",
    routes: [toOrigin(ANY)],
    host: { retryPolicy: { ...FAST, retryOn: "5xx" }, includeRequestAttemptCount: true },
    call: { path: "/status/500" },
    expect: { status: 500, origin: { times: 2, headers: { "x-envoy-attempt-count": "2" } } },
  },
  {
    name: "retry-route-over-host",
    routes: [toOrigin(ANY, { retryPolicy: { ...FAST, retryOn: "connect-failure" } })],
    host: { retryPolicy: { ...FAST, retryOn: "5xx" } },
    call: { path: "/status/500" },
    expect: { status: 500, origin: { times: 1 } },
  },
];

const INTERNAL = { internalAddressConfig: { cidrRanges: [{ addressPrefix: "10.0.0.0", prefixLen: 8 }] } };

/** What callers ask by headers: heard from internal ones only. */
function asked(name: string, headers: Readonly<Record<string, string>>, path: string, wanted: number): WalkCase {
  return {
    name: `retry-asked-${name}`,
    routes: [toOrigin(ANY)],
    host: { includeAttemptCountInResponse: true },
    manager: INTERNAL,
    call: { path, headers: { "x-forwarded-for": "10.1.1.1", ...headers } },
    expect: {
      status: Number(/\/status\/(\d+)/.exec(path)?.[1] ?? 200),
      headers: { "x-envoy-attempt-count": String(wanted) },
    },
  };
}

const byHeader: readonly WalkCase[] = [
  asked("on", { "x-envoy-retry-on": "5xx" }, "/status/500", 2),
  asked("max", { "x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3" }, "/status/500", 4),
  asked(
    "codes",
    { "x-envoy-retry-on": "retriable-status-codes", "x-envoy-retriable-status-codes": "404,410" },
    "/status/404",
    2,
  ),
  asked(
    "header-names",
    { "x-envoy-retry-on": "retriable-headers", "x-envoy-retriable-header-names": "x-again" },
    "/status/200?x-again=1",
    2,
  ),
  asked("unknown", { "x-envoy-retry-on": "whatever" }, "/status/500", 1),
  { ...asked("by-a-stranger", { "x-envoy-retry-on": "5xx", "x-forwarded-for": "8.8.8.8" }, "/status/500", 1) },
];

/** Each host has a priority of its own: whose turn the last try was. */
function places(updateFrequency: number, numRetries: number, host: string): WalkCase {
  const retryPriority = {
    name: "envoy.retry_priorities.previous_priorities",
    typedConfig: { "@type": `${TYPE}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig`, updateFrequency },
  };
  const retryPolicy = { ...FAST, retryOn: "5xx", numRetries, retryPriority };
  return {
    name: `retry-priority-${updateFrequency}-${numRetries}`,
    routes: [toOrigin(ANY, { cluster: "three-places", autoHostRewrite: true, retryPolicy })],
    call: { path: "/status/500" },
    expect: { status: 500, origin: { times: numRetries + 1, headers: { host } } },
  };
}

const byPlace: readonly WalkCase[] = [
  places(1, 0, "one.host"),
  places(1, 1, "two.host"),
  places(1, 2, "three.host"),
  places(1, 3, "one.host"),
  places(1, 4, "two.host"),
  places(2, 1, "one.host"),
  places(2, 2, "two.host"),
  places(2, 4, "three.host"),
];

const counted: readonly WalkCase[] = [
  {
    name: "retry-route-counts",
    routes: [toOrigin(ANY, { retryPolicy: { ...FAST, retryOn: "5xx" } }, { statPrefix: "counted" })],
    call: { path: "/status/503" },
    expect: {
      status: 503,
      stats: {
        "vhost.retry-route-counts.route.counted.upstream_rq_total": 2,
        "vhost.retry-route-counts.route.counted.upstream_rq_completed": 1,
        "vhost.retry-route-counts.route.counted.upstream_rq_503": 1,
        "vhost.retry-route-counts.route.counted.upstream_rq_5xx": 1,
        "vhost.retry-route-counts.route.counted.upstream_rq_retry": 1,
        "vhost.retry-route-counts.route.counted.upstream_rq_retry_success": 0,
        "vhost.retry-route-counts.route.counted.upstream_rq_retry_limit_exceeded": 1,
      },
    },
  },
];

export const retryCases: readonly WalkCase[] = [...policies, ...broken, ...byHeader, ...byPlace, ...counted];
