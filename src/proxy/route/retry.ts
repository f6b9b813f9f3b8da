// Whether an outcome is one that the policy tries again (pure).

import type { RequestHead, ResponseHead } from "../codec/head.ts";
import { parseRetryOn, type RetryConfig, type RetryOn } from "../compile/retry.ts";
import { RESET_MAX_MS } from "../limits.ts";

/** What ended an attempt without a response of the host. */
export type Reset =
  | "connect-failure"
  | "connect-timeout"
  /** Before any byte of the response, on a connection that other requests had used. */
  | "stale-connection"
  | "reset"
  | "protocol-error"
  | "overflow"
  | "per-try-timeout"
  | "route-timeout";

export interface RetryPlan {
  readonly config: RetryConfig;
  readonly on: ReadonlySet<RetryOn>;
  readonly codes: ReadonlySet<number>;
  /** Names of headers that the caller wants a response to be tried again for. */
  readonly headerNames: readonly string[];
  left: number;
}

const EMPTY: RetryConfig = {
  on: new Set(),
  numRetries: 1,
  perTryTimeoutMs: 0,
  retriableStatusCodes: new Set(),
  retriableHeaders: [],
  retriableRequestHeaders: [],
  avoidPreviousHosts: false,
  hostSelectionAttempts: 1,
  priorityFrequency: 0,
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  resetHeaders: [],
  resetMaxMs: RESET_MAX_MS,
};

/** The route's policy, and what the request's own x-envoy headers add to it. */
export function planRetries(config: RetryConfig | undefined, head: RequestHead): RetryPlan | undefined {
  const { headers } = head;
  const asked = headers.get("x-envoy-retry-on");
  if (config === undefined && asked === undefined) return undefined;
  const base = config ?? EMPTY;
  if (base.retriableRequestHeaders.length > 0 && !base.retriableRequestHeaders.some((matches) => matches(head))) {
    return undefined;
  }
  const max = headers.get("x-envoy-max-retries");
  const left = max !== undefined && /^\d{1,4}$/.test(max) ? Number(max) : base.numRetries;
  if (asked === undefined)
    return { config: base, on: base.on, codes: base.retriableStatusCodes, headerNames: [], left };
  const on = new Set([...base.on, ...parseRetryOn(asked, ignoreUnknown)]);
  return {
    config: base,
    on,
    codes: new Set([...base.retriableStatusCodes, ...askedCodes(headers.get("x-envoy-retriable-status-codes"))]),
    headerNames: (headers.get("x-envoy-retriable-header-names") ?? "")
      .split(",")
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== ""),
    left,
  };
}

/** How long the response asks to be left alone, in milliseconds; undefined: it doesn't, or too long. */
export function askedDelayMs(config: RetryConfig, response: ResponseHead, wallMs: number): number | undefined {
  for (const { name, form } of config.resetHeaders) {
    const value = response.headers.get(name) ?? "";
    if (!/^\d{1,12}$/.test(value)) continue;
    const delayMs = form === "seconds" ? Number(value) * 1000 : Number(value) * 1000 - wallMs;
    if (delayMs >= 0 && delayMs <= config.resetMaxMs) return delayMs;
  }
  return undefined;
}

function ignoreUnknown(): void {
  // A client's list may name conditions of another proxy; Envoy passes over them too.
}

function askedCodes(list: string | undefined): readonly number[] {
  return (list ?? "")
    .split(",")
    .map(Number)
    .filter((code) => code >= 100 && code < 600);
}

export function retriesResponse(plan: RetryPlan, response: ResponseHead): boolean {
  const { on } = plan;
  const { status } = response;
  if (response.headers.has("x-envoy-ratelimited")) return on.has("envoy-ratelimited");
  if (status >= 500 && on.has("5xx")) return true;
  if (status >= 502 && status <= 504 && on.has("gateway-error")) return true;
  if (status === 409 && on.has("retriable-4xx")) return true;
  if (on.has("retriable-status-codes") && plan.codes.has(status)) return true;
  if (on.has("retriable-headers")) {
    if (plan.config.retriableHeaders.some((matches) => matches(response))) return true;
    if (plan.headerNames.some((name) => response.headers.has(name))) return true;
  }
  return retriesGrpc(on, response);
}

const GRPC: Readonly<Record<string, RetryOn>> = {
  "1": "cancelled",
  "4": "deadline-exceeded",
  "8": "resource-exhausted",
  "13": "internal",
  "14": "unavailable",
};

function retriesGrpc(on: ReadonlySet<RetryOn>, response: ResponseHead): boolean {
  const status = response.headers.get("grpc-status");
  const name = status === undefined ? undefined : GRPC[status];
  return name !== undefined && on.has(name);
}

export function retriesReset(plan: RetryPlan, reset: Reset): boolean {
  const { on } = plan;
  switch (reset) {
    case "overflow":
    case "route-timeout":
      return false;
    case "connect-failure":
    case "connect-timeout":
      return (
        on.has("connect-failure") ||
        on.has("5xx") ||
        on.has("gateway-error") ||
        on.has("reset") ||
        on.has("reset-before-request")
      );
    case "per-try-timeout":
      return on.has("5xx") || on.has("gateway-error") || on.has("reset");
    case "stale-connection":
      return on.has("5xx") || on.has("gateway-error") || on.has("reset") || on.has("reset-before-request");
    case "reset":
    case "protocol-error":
      return on.has("5xx") || on.has("gateway-error") || on.has("reset");
  }
}
