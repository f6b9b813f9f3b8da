// Circuit breakers: how much of a cluster may be in use at once, for each of the two priorities.

import type {
  CircuitBreakers,
  CircuitBreakers_Thresholds,
} from "../../proto/gen/envoy/config/cluster/v3/circuit_breaker.ts";
import { RoutingPriority } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { type Field, fields } from "./field.ts";

export interface BreakerConfig {
  readonly maxConnections: number;
  readonly maxPendingRequests: number;
  readonly maxRequests: number;
  readonly maxRetries: number;
  readonly retryBudget: { readonly share: number; readonly minConcurrency: number } | undefined;
  readonly trackRemaining: boolean;
  /** Connections to one host. */
  readonly hostConnectionsMax: number;
}

const THRESHOLDS = fields(
  "priority maxConnections maxPendingRequests maxRequests maxRetries retryBudget trackRemaining",
);

export function compileBreakers(
  breakers: CircuitBreakers | undefined,
  at: Field,
): { readonly default: BreakerConfig; readonly high: BreakerConfig } {
  for (const [index, one] of (breakers?.thresholds ?? []).entries())
    at.at("thresholds").at(index).only(one, THRESHOLDS);
  for (const [index, one] of (breakers?.perHostThresholds ?? []).entries())
    at.at("perHostThresholds").at(index).only(one, fields("priority maxConnections"));
  return { default: breaker(breakers, RoutingPriority.DEFAULT), high: breaker(breakers, RoutingPriority.HIGH) };
}

function breaker(breakers: CircuitBreakers | undefined, priority: RoutingPriority): BreakerConfig {
  const ofPriority = (one: CircuitBreakers_Thresholds) => one.priority === priority;
  const found = breakers?.thresholds.find(ofPriority);
  const budget = found?.retryBudget;
  return {
    maxConnections: found?.maxConnections ?? 1024,
    maxPendingRequests: found?.maxPendingRequests ?? 1024,
    maxRequests: found?.maxRequests ?? 1024,
    maxRetries: found?.maxRetries ?? 3,
    retryBudget:
      budget === undefined
        ? undefined
        : { share: (budget.budgetPercent?.value ?? 20) / 100, minConcurrency: budget.minRetryConcurrency ?? 3 },
    trackRemaining: found?.trackRemaining ?? false,
    hostConnectionsMax: breakers?.perHostThresholds.find(ofPriority)?.maxConnections ?? Number.POSITIVE_INFINITY,
  };
}
