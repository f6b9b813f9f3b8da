// Retry policies: Istio's default, and what a route sets on top of it.

import { parseDurationMs } from "../api/istio/rules.ts";
import type { HttpRetries } from "../api/istio/virtual-service.ts";
import { RetryPolicy } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { PreviousHostsPredicate } from "../proto/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.ts";
import { PreviousPrioritiesConfig } from "../proto/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.ts";
import { any, durationFromText, durationOf } from "./wire.ts";

const DEFAULT_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
const DEFAULT_ATTEMPTS = 2;
const HOST_SELECTION_TRIES_MAX = 5;
/** Envoy's own relation of the two where only one is given. */
const BACKOFF_MAX_FACTOR = 10;

const PRIORITIES = "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig";
/** Two tries in a place, then the next place. */
const PLACES = { updateFrequency: 2 };

/** Undefined when the route turns retries off. */
export function retryPolicy(retries: HttpRetries | undefined): RetryPolicy | undefined {
  const attempts = retries?.attempts ?? (retries === undefined ? DEFAULT_ATTEMPTS : 0);
  if (attempts <= 0) return undefined;
  const { conditions, codes } = splitConditions(retries?.retryOn);
  const policy = RetryPolicy.fromPartial({ retryOn: conditions, numRetries: attempts, retriableStatusCodes: codes });
  if (retries?.retryIgnorePreviousHosts !== false) {
    policy.hostSelectionRetryMaxAttempts = HOST_SELECTION_TRIES_MAX;
    policy.retryHostPredicate = [
      {
        name: "envoy.retry_host_predicates.previous_hosts",
        configType: {
          $case: "typedConfig",
          value: any(
            "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
            PreviousHostsPredicate,
            {},
          ),
        },
      },
    ];
  }
  if (retries?.retryRemoteLocalities === true) {
    policy.retryPriority = {
      name: "envoy.retry_priorities.previous_priorities",
      configType: { $case: "typedConfig", value: any(PRIORITIES, PreviousPrioritiesConfig, PLACES) },
    };
  }
  if (retries?.perTryTimeout !== undefined) policy.perTryTimeout = durationFromText(retries.perTryTimeout);
  if (retries?.backoff !== undefined) {
    const baseMs = parseDurationMs(retries.backoff) ?? 0;
    policy.retryBackOff = { baseInterval: durationOf(baseMs), maxInterval: durationOf(baseMs * BACKOFF_MAX_FACTOR) };
  }
  return policy;
}

/** Status codes among the conditions go where Envoy wants them. */
function splitConditions(retryOn: string | undefined): { readonly conditions: string; readonly codes: number[] } {
  if (retryOn === undefined || retryOn === "") return { conditions: DEFAULT_ON, codes: [] };
  const parts = retryOn.split(",").map((part) => part.trim());
  const codes = parts.filter((part) => /^\d+$/.test(part)).map(Number);
  const names = parts.filter((part) => part !== "" && !/^\d+$/.test(part));
  if (codes.length > 0 && !names.includes("retriable-status-codes")) names.push("retriable-status-codes");
  return { conditions: names.join(","), codes };
}

/** The application closed a kept-alive connection before it read anything: safe to send again. */
export function inboundRetryPolicy(): RetryPolicy {
  return RetryPolicy.fromPartial({ retryOn: "reset-before-request", numRetries: DEFAULT_ATTEMPTS });
}
