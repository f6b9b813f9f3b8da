// Faults that a route injects, for the fault filter.

import type { HttpFault } from "../api/istio/virtual-service.ts";
import { FaultDelay } from "../proto/gen/envoy/extensions/filters/common/fault/v3/fault.ts";
import { FaultAbort, HTTPFault } from "../proto/gen/envoy/extensions/filters/http/fault/v3/fault.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { any, durationFromText, percentOf } from "./wire.ts";

const GRPC_CODES: readonly string[] = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

export function faultConfig(fault: HttpFault): Any {
  const out = HTTPFault.fromPartial({});
  const { delay, abort } = fault;
  if (delay?.fixedDelay !== undefined) {
    out.delay = FaultDelay.fromPartial({
      faultDelaySecifier: { $case: "fixedDelay", value: durationFromText(delay.fixedDelay) },
      percentage: percentOf(delay.percentage?.value ?? delay.percent ?? 0),
    });
  }
  if (abort?.httpStatus !== undefined || abort?.grpcStatus !== undefined) {
    const code = GRPC_CODES.indexOf(abort.grpcStatus?.toUpperCase() ?? "");
    out.abort = FaultAbort.fromPartial({
      errorType:
        abort.httpStatus === undefined
          ? { $case: "grpcStatus", value: code < 0 ? GRPC_CODES.indexOf("UNKNOWN") : code }
          : { $case: "httpStatus", value: abort.httpStatus },
      percentage: percentOf(abort.percentage?.value ?? 0),
    });
  }
  return any("envoy.extensions.filters.http.fault.v3.HTTPFault", HTTPFault, out);
}
