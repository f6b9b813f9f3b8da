// Connection pool settings to Envoy's circuit breakers and protocol options.

import type { TrafficPolicy } from "../api/istio/destination-rule.ts";
import type { ConnectionPool, OutlierDetectionSettings } from "../api/istio/traffic.ts";
import { CircuitBreakers } from "../proto/gen/envoy/config/cluster/v3/circuit_breaker.ts";
import { type Cluster, UpstreamConnectionOptions } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { UpstreamHttpProtocolOptions } from "../proto/gen/envoy/config/core/v3/protocol.ts";
import { HttpProtocolOptions } from "../proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { any, durationFromText } from "./wire.ts";

/** Istio's way to say "no limit": Envoy's own default would be 1024. */
const UNLIMITED = 4_294_967_295;

export function circuitBreakers(
  pool: ConnectionPool | undefined,
  budget?: TrafficPolicy["retryBudget"],
): CircuitBreakers {
  return CircuitBreakers.fromPartial({
    thresholds: [
      {
        maxConnections: limit(pool?.tcp?.maxConnections),
        maxPendingRequests: limit(pool?.http?.http1MaxPendingRequests),
        maxRequests: limit(pool?.http?.http2MaxRequests),
        maxRetries: limit(pool?.http?.maxRetries),
        trackRemaining: true,
        ...(budget === undefined ? {} : { retryBudget: retryBudget(budget) }),
      },
    ],
  });
}

/** Instead of the limit on retries: a share of the requests that are under way or wait. */
function retryBudget({ percent, minRetryConcurrency }: NonNullable<TrafficPolicy["retryBudget"]>) {
  return {
    ...(percent === undefined ? {} : { budgetPercent: { value: percent } }),
    ...(minRetryConcurrency === undefined ? {} : { minRetryConcurrency }),
  };
}

function limit(value: number | undefined): number {
  return value === undefined || value <= 0 ? UNLIMITED : value;
}

const OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** HTTP/1.1 towards the endpoints, with the pool's limits per connection, and what counts as an error of an endpoint. */
export function httpProtocolOptions(
  pool: ConnectionPool | undefined,
  outlier?: OutlierDetectionSettings,
): { [key: string]: Any } {
  const requestsMax = pool?.http?.maxRequestsPerConnection ?? 0;
  const idle = pool?.http?.idleTimeout ?? pool?.tcp?.idleTimeout;
  const duration = pool?.tcp?.maxConnectionDuration;
  const common = {
    ...(idle === undefined ? {} : { idleTimeout: durationFromText(idle) }),
    ...(requestsMax > 0 ? { maxRequestsPerConnection: requestsMax } : {}),
    ...(duration === undefined ? {} : { maxConnectionDuration: durationFromText(duration) }),
  };
  const options = HttpProtocolOptions.fromPartial({
    upstreamProtocolOptions: {
      $case: "explicitHttpConfig",
      value: { protocolConfig: { $case: "httpProtocolOptions", value: {} } },
    },
    ...(Object.keys(common).length === 0 ? {} : { commonHttpProtocolOptions: common }),
    ...errorStatuses(outlier?.outlierDetectionHttpErrorCodes ?? []),
  });
  return { [OPTIONS]: any(OPTIONS, HttpProtocolOptions, options) };
}

/** Which statuses eject an endpoint, where not the 5xx do. */
function errorStatuses(codes: readonly number[]) {
  if (codes.length === 0) return {};
  const matcher = {
    name: ":status",
    headerMatchSpecifier: {
      $case: "stringMatch" as const,
      value: { matchPattern: { $case: "safeRegex" as const, value: { regex: codes.join("|") } } },
    },
  };
  const rule = { $case: "httpResponseHeadersMatch" as const, value: { headers: [matcher] } };
  return { outlierDetection: { errorMatcher: { rule } } };
}

/** What calls a gRPC service by itself, such as a filter that asks an authorizer, speaks HTTP/2. */
export function grpcProtocolOptions(): { [key: string]: Any } {
  const options = HttpProtocolOptions.fromPartial({
    upstreamProtocolOptions: {
      $case: "explicitHttpConfig",
      value: { protocolConfig: { $case: "http2ProtocolOptions", value: {} } },
    },
  });
  return { [OPTIONS]: any(OPTIONS, HttpProtocolOptions, options) };
}

export function keepalive(pool: ConnectionPool | undefined): UpstreamConnectionOptions | undefined {
  const settings = pool?.tcp?.tcpKeepalive;
  if (settings === undefined) return undefined;
  return UpstreamConnectionOptions.fromPartial({
    tcpKeepalive: {
      ...(settings.probes === undefined ? {} : { keepaliveProbes: settings.probes }),
      ...(settings.time === undefined ? {} : { keepaliveTime: durationFromText(settings.time).seconds }),
      ...(settings.interval === undefined ? {} : { keepaliveInterval: durationFromText(settings.interval).seconds }),
    },
  });
}

/** The server name is the host that the request names; `verify`: the certificate has to be that host's too. */
export function takeNameFromRequest(cluster: Cluster, { verify }: { readonly verify: boolean }): void {
  const known = cluster.typedExtensionProtocolOptions[OPTIONS];
  if (known === undefined) return;
  const options = HttpProtocolOptions.decode(known.value);
  options.upstreamHttpProtocolOptions = UpstreamHttpProtocolOptions.fromPartial({
    autoSni: true,
    autoSanValidation: verify,
  });
  cluster.typedExtensionProtocolOptions[OPTIONS] = any(OPTIONS, HttpProtocolOptions, options);
}
