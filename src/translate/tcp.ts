// TCP: the proxy filter, and the listener filters that look before a chain is chosen.

import { isIPv6 } from "node:net";
import type { TrafficPolicy } from "../api/istio/destination-rule.ts";
import { Filter, ListenerFilter } from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { HttpInspector } from "../proto/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector.ts";
import { OriginalDst } from "../proto/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst.ts";
import { TlsInspector } from "../proto/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts";
import {
  TcpProxy,
  TcpProxy_TcpAccessLogOptions,
} from "../proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { accessLoggers } from "./access-log.ts";
import { isReport, type LogRule } from "./agent.ts";
import { any, durationFromText, durationOf } from "./wire.ts";

/** What of a destination's policy concerns connections. */
export type TcpPolicy = Pick<TrafficPolicy, "connectionPool" | "loadBalancer" | "tunnel">;

export function tcpProxy(cluster: string, policy?: TcpPolicy, logs?: readonly LogRule[]): Filter {
  const clusterSpecifier = { $case: "cluster" as const, value: cluster };
  return proxyFilter(TcpProxy.fromPartial({ statPrefix: cluster, clusterSpecifier, ...settings(policy) }), logs);
}

/** Each connection goes to one of them. */
export function weightedTcpProxy(
  clusters: readonly { readonly name: string; readonly weight: number }[],
  statPrefix: string,
  policy: TcpPolicy | undefined,
  logs: readonly LogRule[],
): Filter {
  const value = { clusters: clusters.map((each) => ({ ...each })) };
  const clusterSpecifier = { $case: "weightedClusters" as const, value };
  return proxyFilter(TcpProxy.fromPartial({ statPrefix, clusterSpecifier, ...settings(policy) }), logs);
}

/** How long a connection may be silent, how old it may grow, and what it is hashed by. */
function settings(policy: TcpPolicy | undefined) {
  const idle = policy?.connectionPool?.tcp?.idleTimeout;
  const duration = policy?.connectionPool?.tcp?.maxConnectionDuration;
  const bySource = policy?.loadBalancer?.consistentHash?.useSourceIp === true;
  return {
    ...(idle === undefined ? {} : { idleTimeout: durationFromText(idle) }),
    ...(duration === undefined ? {} : { maxDownstreamConnectionDuration: durationFromText(duration) }),
    ...tunneling(policy?.tunnel),
    ...(bySource ? { hashPolicy: [{ policySpecifier: { $case: "sourceIp" as const, value: {} } }] } : {}),
  };
}

/** The server is asked to connect to somewhere else first. */
function tunneling(tunnel: TcpPolicy["tunnel"]) {
  if (tunnel === undefined) return {};
  const { protocol = "", targetHost, targetPort } = tunnel;
  const host = isIPv6(targetHost) ? `[${targetHost}]` : targetHost;
  return { tunnelingConfig: { hostname: `${host}:${targetPort}`, usePost: protocol.toUpperCase() === "POST" } };
}

function proxyFilter(config: TcpProxy, logs: readonly LogRule[] = []): Filter {
  config.accessLog = accessLoggers(logs, "tcp");
  if (logs.some(isReport)) config.accessLogOptions = REPORT_OPTIONS;
  return Filter.fromPartial({
    name: "envoy.filters.network.tcp_proxy",
    configType: {
      $case: "typedConfig",
      value: any("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", TcpProxy, config),
    },
  });
}

/** Istio's reporting interval of TCP. */
const REPORT_INTERVAL_MS = 5_000;
const REPORT_OPTIONS = TcpProxy_TcpAccessLogOptions.fromPartial({
  flushAccessLogOnConnected: true,
  accessLogFlushInterval: durationOf(REPORT_INTERVAL_MS),
});

export function originalDst(): ListenerFilter {
  const typeName = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst";
  return listenerFilter("envoy.filters.listener.original_dst", any(typeName, OriginalDst, OriginalDst.fromPartial({})));
}

export function tlsInspector(): ListenerFilter {
  const typeName = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
  return listenerFilter(
    "envoy.filters.listener.tls_inspector",
    any(typeName, TlsInspector, TlsInspector.fromPartial({})),
  );
}

export function httpInspector(): ListenerFilter {
  const typeName = "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector";
  return listenerFilter("envoy.filters.listener.http_inspector", any(typeName, HttpInspector, {}));
}

function listenerFilter(name: string, typedConfig: Any): ListenerFilter {
  return ListenerFilter.fromPartial({ name, configType: { $case: "typedConfig", value: typedConfig } });
}
