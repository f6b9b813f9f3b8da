// The fault filter's configuration: which requests wait, and which are answered with an error.

import type { HTTPFault } from "../../proto/gen/envoy/extensions/filters/http/fault/v3/fault.ts";
import { type Field, fields } from "./field.ts";
import { compileHeaders, type HeaderPredicate } from "./matcher.ts";
import { denominator, durationMs, fraction } from "./value.ts";

export interface FaultConfig {
  readonly kind: "fault";
  readonly delayMs: number;
  readonly delayShare: number;
  /** Delay and abort come from the request's x-envoy-fault-… headers. */
  readonly delayByHeader: boolean;
  readonly abortStatus: number;
  /** Instead: what a gRPC caller reads. Anyone else gets a 200 with the abort's words. */
  readonly abortGrpcStatus: number | undefined;
  readonly abortShare: number;
  readonly abortByHeader: boolean;
  readonly abortBody: string;
  /** What one of the share's parts is, where the request says how many: 100, 10,000 or 1,000,000. */
  readonly delayDenominator: number;
  readonly abortDenominator: number;
  readonly headers: readonly HeaderPredicate[];
  readonly upstreamCluster: string;
  /** Calling nodes that it is for; empty: all. */
  readonly downstreamNodes: ReadonlySet<string>;
  readonly activeMax: number;
}

export function compileFault(fault: HTTPFault, at: Field): FaultConfig {
  at.only(
    fault,
    fields("delay abort upstreamCluster headers downstreamNodes maxActiveFaults disableDownstreamClusterStats"),
  );
  const delay = fault.delay?.faultDelaySecifier;
  const abort = fault.abort?.errorType;
  return {
    kind: "fault",
    delayMs: delay?.$case === "fixedDelay" ? (durationMs(delay.value) ?? 0) : 0,
    delayShare: fault.delay === undefined ? 0 : fraction(fault.delay.percentage),
    delayByHeader: delay?.$case === "headerDelay",
    abortStatus: abort?.$case === "httpStatus" ? abort.value : 0,
    abortGrpcStatus: abort?.$case === "grpcStatus" ? abort.value : undefined,
    abortShare: fault.abort === undefined ? 0 : fraction(fault.abort.percentage),
    abortByHeader: abort?.$case === "headerAbort",
    abortBody: fault.abort?.responseBody || "fault filter abort",
    delayDenominator: denominator(fault.delay?.percentage),
    abortDenominator: denominator(fault.abort?.percentage),
    headers: compileHeaders(fault.headers, at.at("headers")),
    upstreamCluster: fault.upstreamCluster,
    downstreamNodes: new Set(fault.downstreamNodes),
    activeMax: fault.maxActiveFaults ?? Number.POSITIVE_INFINITY,
  };
}
