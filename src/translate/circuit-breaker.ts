// Connection pool settings to Envoy's circuit breakers and protocol options.

import type { ConnectionPool } from "../api/istio/traffic.ts";
import { CircuitBreakers } from "../proto/gen/envoy/config/cluster/v3/circuit_breaker.ts";
import { UpstreamConnectionOptions } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { HttpProtocolOptions } from "../proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { any, durationFromText } from "./wire.ts";

/** Istio's way to say "no limit": Envoy's own default would be 1024. */
const UNLIMITED = 4_294_967_295;

export function circuitBreakers(pool: ConnectionPool | undefined): CircuitBreakers {
  return CircuitBreakers.fromPartial({
    thresholds: [
      {
        maxConnections: limit(pool?.tcp?.maxConnections),
        maxPendingRequests: limit(pool?.http?.http1MaxPendingRequests),
        maxRequests: limit(pool?.http?.http2MaxRequests),
        maxRetries: limit(pool?.http?.maxRetries),
        trackRemaining: true,
      },
    ],
  });
}

function limit(value: number | undefined): number {
  return value === undefined || value <= 0 ? UNLIMITED : value;
}

const OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/** HTTP/1.1 towards the endpoints, with the pool's limits per connection. */
export function httpProtocolOptions(pool: ConnectionPool | undefined): { [key: string]: Any } {
  const requestsMax = pool?.http?.maxRequestsPerConnection;
  const idle = pool?.http?.idleTimeout;
  const options = HttpProtocolOptions.fromPartial({
    upstreamProtocolOptions: {
      $case: "explicitHttpConfig",
      value: { protocolConfig: { $case: "httpProtocolOptions", value: {} } },
    },
  });
  if (idle !== undefined || (requestsMax ?? 0) > 0) {
    options.commonHttpProtocolOptions = HttpProtocolOptions.fromPartial({
      commonHttpProtocolOptions: {
        ...(idle === undefined ? {} : { idleTimeout: durationFromText(idle) }),
        ...((requestsMax ?? 0) > 0 ? { maxRequestsPerConnection: requestsMax } : {}),
      },
    }).commonHttpProtocolOptions;
  }
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
