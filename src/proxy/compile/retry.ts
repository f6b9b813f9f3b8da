// A retry policy to one table: which outcomes are tried again, how often, after how long, and on which host not.

import {
  type RetryPolicy,
  RetryPolicy_ResetHeaderFormat,
  type RetryPolicy_RetryPriority,
} from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import { PreviousPrioritiesConfig } from "../../proto/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.ts";
import { RESET_MAX_MS } from "../limits.ts";
import { type Field, fields } from "./field.ts";
import { compileHeaders, type HeaderPredicate } from "./matcher.ts";
import { durationMs } from "./value.ts";

const NAMES = [
  "5xx",
  "gateway-error",
  "reset",
  "reset-before-request",
  "connect-failure",
  "envoy-ratelimited",
  "retriable-4xx",
  "refused-stream",
  "retriable-status-codes",
  "retriable-headers",
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
] as const;

export type RetryOn = (typeof NAMES)[number];

export interface RetryConfig {
  readonly on: ReadonlySet<RetryOn>;
  readonly numRetries: number;
  readonly perTryTimeoutMs: number;
  readonly retriableStatusCodes: ReadonlySet<number>;
  readonly retriableHeaders: readonly HeaderPredicate[];
  readonly retriableRequestHeaders: readonly HeaderPredicate[];
  readonly avoidPreviousHosts: boolean;
  readonly hostSelectionAttempts: number;
  /** After so many tries the priorities that they led to are passed over; 0: never. */
  readonly priorityFrequency: number;
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** Headers of a response that say when to come back: in seconds from now, or since the epoch. */
  readonly resetHeaders: readonly { readonly name: string; readonly form: "seconds" | "epoch" }[];
  /** What such a header may ask for. */
  readonly resetMaxMs: number;
}

const HONOURED = fields(`retryOn numRetries perTryTimeout retryHostPredicate hostSelectionRetryMaxAttempts
  retryPriority retriableStatusCodes retryBackOff rateLimitedRetryBackOff retriableHeaders retriableRequestHeaders`);
const PREVIOUS_HOSTS = "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate";

export function compileRetry(policy: RetryPolicy, at: Field): RetryConfig {
  at.only(policy, HONOURED);
  const on = parseRetryOn(policy.retryOn, (name) => at.at("retryOn").refuse(`"${name}" is not a retry condition`));
  const baseMs = durationMs(policy.retryBackOff?.baseInterval) ?? 25;
  let avoidPreviousHosts = false;
  for (const [index, predicate] of policy.retryHostPredicate.entries()) {
    const url = predicate.configType?.value.typeUrl;
    if (url === PREVIOUS_HOSTS || predicate.name === "envoy.retry_host_predicates.previous_hosts")
      avoidPreviousHosts = true;
    else at.at("retryHostPredicate").at(index).refuse(`retry host predicate ${predicate.name} is not built in`);
  }
  return {
    on,
    numRetries: policy.numRetries ?? 1,
    perTryTimeoutMs: durationMs(policy.perTryTimeout) ?? 0,
    retriableStatusCodes: new Set(policy.retriableStatusCodes),
    retriableHeaders: compileHeaders(policy.retriableHeaders, at.at("retriableHeaders")),
    retriableRequestHeaders: compileHeaders(policy.retriableRequestHeaders, at.at("retriableRequestHeaders")),
    avoidPreviousHosts,
    priorityFrequency: compilePriority(policy.retryPriority, at.at("retryPriority")),
    hostSelectionAttempts: policy.hostSelectionRetryMaxAttempts,
    backoffBaseMs: baseMs,
    backoffMaxMs: durationMs(policy.retryBackOff?.maxInterval) ?? baseMs * 10,
    resetHeaders: (policy.rateLimitedRetryBackOff?.resetHeaders ?? []).map((one) => ({
      name: one.name.toLowerCase(),
      form: one.format === RetryPolicy_ResetHeaderFormat.UNIX_TIMESTAMP ? "epoch" : "seconds",
    })),
    resetMaxMs: durationMs(policy.rateLimitedRetryBackOff?.maxInterval) ?? RESET_MAX_MS,
  };
}

const PREVIOUS_PRIORITIES =
  "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig";

function compilePriority(priority: RetryPolicy_RetryPriority | undefined, at: Field): number {
  if (priority === undefined) return 0;
  const config = priority.configType?.value;
  if (config?.typeUrl !== PREVIOUS_PRIORITIES) {
    at.refuse(`retry priority ${priority.name} is not built in`);
    return 0;
  }
  const { updateFrequency } = PreviousPrioritiesConfig.decode(config.value);
  if (updateFrequency <= 0) at.at("typedConfig").at("updateFrequency").refuse("must be above 0");
  return updateFrequency;
}

/** A comma-separated list. Numbers are retriable status codes that Istio writes among the names; they are taken from the list of codes. */
export function parseRetryOn(list: string, unknown: (name: string) => void): ReadonlySet<RetryOn> {
  const on = new Set<RetryOn>();
  for (const item of list.split(",")) {
    const name = item.trim();
    if (name === "") continue;
    const known = NAMES.find((one) => one === name);
    if (known === undefined) unknown(name);
    else on.add(known);
  }
  return on;
}
