// Outlier detection's numbers with Envoy's defaults, plus weft's own minimum of requests.

import type { OutlierDetection } from "../../proto/gen/envoy/config/cluster/v3/outlier_detection.ts";
import type { MatchPredicate } from "../../proto/gen/envoy/config/common/matcher/v3/matcher.ts";
import { MATCHER_DEPTH_MAX } from "../limits.ts";
import { type Field, fields } from "./field.ts";
import { compileHeaders } from "./matcher.ts";
import { durationMs } from "./value.ts";

export interface OutlierConfig {
  readonly consecutive5xx: number;
  readonly consecutiveGatewayFailure: number;
  readonly consecutiveLocalOriginFailure: number;
  readonly splitLocalOrigin: boolean;
  readonly intervalMs: number;
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  readonly maxEjectionJitterMs: number;
  readonly maxEjectionPercent: number;
  readonly alwaysEjectOneHost: boolean;
  /** An active check that passes ends an ejection. */
  readonly checksUneject: boolean;
  readonly successRateMinimumHosts: number;
  readonly successRateRequestVolume: number;
  readonly successRateStdevFactor: number;
  readonly failurePercentageThreshold: number;
  readonly failurePercentageMinimumHosts: number;
  readonly failurePercentageRequestVolume: number;
  /** Percent of detections that eject. */
  readonly enforcing: Readonly<Record<DetectionKind, number>>;
  /** No ejection before the host had this many requests in the interval; 0: Envoy's behaviour. */
  readonly minRequestVolume: number;
}

export type DetectionKind =
  | "consecutive_5xx"
  | "consecutive_gateway_failure"
  | "consecutive_local_origin_failure"
  | "success_rate"
  | "local_origin_success_rate"
  | "failure_percentage"
  | "local_origin_failure_percentage";

const HONOURED =
  fields(`consecutive5xx interval baseEjectionTime maxEjectionPercent enforcingConsecutive5xx enforcingSuccessRate
  successRateMinimumHosts successRateRequestVolume successRateStdevFactor consecutiveGatewayFailure enforcingConsecutiveGatewayFailure
  splitExternalLocalOriginErrors consecutiveLocalOriginFailure enforcingConsecutiveLocalOriginFailure enforcingLocalOriginSuccessRate
  failurePercentageThreshold enforcingFailurePercentage enforcingFailurePercentageLocalOrigin failurePercentageMinimumHosts
  failurePercentageRequestVolume maxEjectionTime maxEjectionTimeJitter successfulActiveHealthCheckUnejectHost alwaysEjectOneHost`);

export function compileOutlier(outlier: OutlierDetection, minRequestVolume: number, at: Field): OutlierConfig {
  at.only(outlier, HONOURED);
  const baseEjectionMs = durationMs(outlier.baseEjectionTime) ?? 30_000;
  return {
    consecutive5xx: outlier.consecutive5xx ?? 5,
    consecutiveGatewayFailure: outlier.consecutiveGatewayFailure ?? 5,
    consecutiveLocalOriginFailure: outlier.consecutiveLocalOriginFailure ?? 5,
    splitLocalOrigin: outlier.splitExternalLocalOriginErrors,
    intervalMs: durationMs(outlier.interval) ?? 10_000,
    baseEjectionMs,
    maxEjectionMs: Math.max(durationMs(outlier.maxEjectionTime) ?? 300_000, baseEjectionMs),
    maxEjectionJitterMs: durationMs(outlier.maxEjectionTimeJitter) ?? 0,
    maxEjectionPercent: Math.min(outlier.maxEjectionPercent ?? 10, 100),
    alwaysEjectOneHost: outlier.alwaysEjectOneHost ?? false,
    checksUneject: outlier.successfulActiveHealthCheckUnejectHost ?? true,
    successRateMinimumHosts: outlier.successRateMinimumHosts ?? 5,
    successRateRequestVolume: outlier.successRateRequestVolume ?? 100,
    successRateStdevFactor: (outlier.successRateStdevFactor ?? 1900) / 1000,
    failurePercentageThreshold: outlier.failurePercentageThreshold ?? 85,
    failurePercentageMinimumHosts: outlier.failurePercentageMinimumHosts ?? 5,
    failurePercentageRequestVolume: outlier.failurePercentageRequestVolume ?? 50,
    enforcing: enforcing(outlier),
    minRequestVolume,
  };
}

function enforcing(outlier: OutlierDetection): OutlierConfig["enforcing"] {
  return {
    consecutive_5xx: outlier.enforcingConsecutive5xx ?? 100,
    consecutive_gateway_failure: outlier.enforcingConsecutiveGatewayFailure ?? 0,
    consecutive_local_origin_failure: outlier.enforcingConsecutiveLocalOriginFailure ?? 100,
    success_rate: outlier.enforcingSuccessRate ?? 100,
    local_origin_success_rate: outlier.enforcingLocalOriginSuccessRate ?? 100,
    failure_percentage: outlier.enforcingFailurePercentage ?? 0,
    local_origin_failure_percentage: outlier.enforcingFailurePercentageLocalOrigin ?? 0,
  };
}

const STATUS_MIN = 100;
const STATUS_MAX = 599;

/** The statuses that count as a host's errors instead of the 5xx; undefined: those. */
export function compileErrorStatuses(matcher: MatchPredicate | undefined, at: Field): ReadonlySet<number> | undefined {
  if (matcher === undefined) return undefined;
  const matches = statusPredicate(matcher, at, 0);
  const statuses = new Set<number>();
  for (let status = STATUS_MIN; status <= STATUS_MAX; status += 1) if (matches(status)) statuses.add(status);
  return statuses;
}

type StatusPredicate = (status: number) => boolean;

function statusPredicate(matcher: MatchPredicate, at: Field, depth: number): StatusPredicate {
  const { rule } = matcher;
  if (depth > MATCHER_DEPTH_MAX) {
    at.refuse("rules are nested too deeply");
    return () => false;
  }
  switch (rule?.$case) {
    case "orMatch": {
      const inner = rule.value.rules.map((one, i) =>
        statusPredicate(one, at.at("orMatch").at("rules").at(i), depth + 1),
      );
      return (status) => inner.some((matches) => matches(status));
    }
    case "andMatch": {
      const inner = rule.value.rules.map((one, i) =>
        statusPredicate(one, at.at("andMatch").at("rules").at(i), depth + 1),
      );
      return (status) => inner.every((matches) => matches(status));
    }
    case "notMatch": {
      const inner = statusPredicate(rule.value, at.at("notMatch"), depth + 1);
      return (status) => !inner(status);
    }
    case "anyMatch":
      return () => rule.value;
    case "httpResponseHeadersMatch": {
      const field = at.at("httpResponseHeadersMatch").at("headers");
      const foreign = rule.value.headers.findIndex(({ name }) => name !== ":status");
      if (foreign >= 0) field.at(foreign).at("name").refuse("errors are told by :status alone here");
      const predicates = compileHeaders(rule.value.headers, field);
      return (status) => {
        const source = { get: (name: string) => (name === ":status" ? String(status) : undefined) };
        return predicates.every((matches) => matches(source));
      };
    }
    default:
      at.refuse("errors are told by the headers of responses alone here");
      return () => false;
  }
}
