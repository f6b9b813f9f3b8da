// A Listener to what accepting needs: address, what to look at first, filter chains with their matches and what each ends in.

import { TrafficDirection } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { Listener } from "../../proto/gen/envoy/config/listener/v3/listener.ts";
import {
  type Filter,
  type FilterChain,
  type FilterChainMatch,
  FilterChainMatch_ConnectionSourceType,
  type ListenerFilterChainMatchPredicate,
} from "../../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { ConnectionLimit } from "../../proto/gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit.ts";
import { HttpConnectionManager } from "../../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { RBAC } from "../../proto/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts";
import {
  TcpProxy,
  type TcpProxy_TunnelingConfig,
} from "../../proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { MATCHER_DEPTH_MAX } from "../limits.ts";
import type { TlsConfig } from "../socket/tls-config.ts";
import { type AccessLogConfig, compileAccessLogs } from "./access-log.ts";
import { refuseOverlaps } from "./chain-keys.ts";
import { type Field, fields } from "./field.ts";
import { compileHttp, type HttpConfig } from "./http.ts";
import { compileRuleSets, type RbacConfig } from "./rbac-filter.ts";
import { compileDownstreamTls } from "./tls.ts";
import { type Cause, causeOf, durationMs, type IpRange, ipRange, type SocketTarget, socketTarget } from "./value.ts";

export interface ChainMatch {
  readonly destinationPort: number | undefined;
  readonly destinationRanges: readonly IpRange[];
  readonly serverNames: readonly string[];
  readonly transportProtocol: string;
  readonly applicationProtocols: readonly string[];
  readonly directSourceRanges: readonly IpRange[];
  readonly sourceType: "any" | "same-ip-or-loopback" | "external";
  readonly sourceRanges: readonly IpRange[];
  readonly sourcePorts: readonly number[];
}

export interface TcpConfig {
  readonly kind: "tcp";
  readonly statPrefix: string;
  readonly clusters: readonly { readonly name: string; readonly weight: number }[];
  readonly totalWeight: number;
  readonly idleTimeoutMs: number;
  readonly connectAttemptsMax: number;
  /** Consistent hashing goes by the client's address; otherwise a connection has no hash. */
  readonly hashesSource: boolean;
  readonly maxConnectionDurationMs: number;
  /** `host:port` that the upstream is asked to connect to before anything else; undefined: it is the destination itself. */
  readonly tunnelTo: string | undefined;
  readonly accessLogs: readonly AccessLogConfig[];
}

export interface ConnectionLimitConfig {
  readonly kind: "connection-limit";
  readonly statPrefix: string;
  readonly max: number;
  readonly delayMs: number;
  readonly enabled: boolean;
}

export type PortPredicate = (destinationPort: number) => boolean;

export interface ChainConfig {
  readonly name: string;
  readonly match: ChainMatch;
  readonly tls: TlsConfig | undefined;
  readonly rbac: readonly RbacConfig[];
  readonly limits: readonly ConnectionLimitConfig[];
  readonly terminal: HttpConfig | TcpConfig;
  readonly cause: Cause | undefined;
  readonly handshakeTimeoutMs: number;
}

export interface ListenerConfig {
  readonly name: string;
  readonly addresses: readonly SocketTarget[];
  readonly bindToPort: boolean;
  readonly useOriginalDst: boolean;
  readonly readOriginalDst: boolean;
  /** Whether a connection to this port is looked at for TLS, and for HTTP. */
  readonly inspectTls: PortPredicate;
  readonly inspectHttp: PortPredicate;
  readonly inspectTimeoutMs: number;
  readonly continueOnTimeout: boolean;
  readonly chains: readonly ChainConfig[];
  readonly defaultChain: ChainConfig | undefined;
  readonly direction: "inbound" | "outbound" | "unspecified";
  readonly statPrefix: string;
  readonly accessLogs: readonly AccessLogConfig[];
  readonly backlog: number;
}

export const LISTENER_TYPE = "type.googleapis.com/envoy.config.listener.v3.Listener";
const NETWORK = "type.googleapis.com/envoy.extensions.filters.network.";
/**
 * Accepted without effect: per_connection_buffer_limit_bytes (the runtime's own buffers are smaller), drain_type (a failed health
 * check drains nothing here), what concerns the sharing of sockets among threads, and exemptions from limits that there are not.
 */
const HONOURED =
  fields(`name address additionalAddresses statPrefix filterChains useOriginalDst defaultFilterChain perConnectionBufferLimitBytes
  metadata deprecatedV1 drainType listenerFilters listenerFiltersTimeout continueOnListenerFiltersTimeout trafficDirection
  connectionBalanceConfig reusePort enableReusePort accessLog tcpBacklogSize bindToPort maxConnectionsToAcceptPerSocketEvent
  ignoreGlobalConnLimit bypassOverloadManager`);
const CHAIN = fields("filterChainMatch filters metadata transportSocket transportSocketConnectTimeout name");
const MATCH =
  fields(`destinationPort prefixRanges directSourcePrefixRanges sourceType sourcePrefixRanges sourcePorts serverNames
  transportProtocol applicationProtocols`);
const TCP = fields(
  "statPrefix clusterSpecifier idleTimeout accessLog maxConnectAttempts maxDownstreamConnectionDuration hashPolicy tunnelingConfig",
);

export function compileListener(listener: Listener, at: Field): ListenerConfig {
  at.only(listener, HONOURED);
  const inspectors = compileInspectors(listener, at);
  const first = socketTarget(listener.address, at.at("address"));
  const more = listener.additionalAddresses.map((one, index) =>
    socketTarget(one.address, at.at("additionalAddresses").at(index).at("address")),
  );
  const chains = listener.filterChains.map((chain, index) => compileChain(chain, at.at("filterChains").at(index)));
  refuseOverlaps(listener.filterChains, at.at("filterChains"));
  const { defaultFilterChain } = listener;
  return {
    name: listener.name,
    addresses: [first, ...more].filter((one) => one !== undefined),
    bindToPort: listener.bindToPort ?? listener.deprecatedV1?.bindToPort ?? true,
    useOriginalDst: listener.useOriginalDst ?? false,
    ...inspectors,
    inspectTimeoutMs: durationMs(listener.listenerFiltersTimeout) ?? 15_000,
    continueOnTimeout: listener.continueOnListenerFiltersTimeout,
    chains,
    defaultChain:
      defaultFilterChain === undefined ? undefined : compileChain(defaultFilterChain, at.at("defaultFilterChain")),
    direction: directionOf(listener.trafficDirection),
    statPrefix: listener.statPrefix,
    accessLogs: compileAccessLogs(listener.accessLog, at.at("accessLog")),
    backlog: listener.tcpBacklogSize ?? 1024,
  };
}

function directionOf(direction: TrafficDirection): ListenerConfig["direction"] {
  if (direction === TrafficDirection.INBOUND) return "inbound";
  return direction === TrafficDirection.OUTBOUND ? "outbound" : "unspecified";
}

function compileInspectors(
  listener: Listener,
  at: Field,
): Pick<ListenerConfig, "inspectTls" | "inspectHttp" | "readOriginalDst"> {
  const found: { inspectTls: PortPredicate; inspectHttp: PortPredicate; readOriginalDst: boolean } = {
    // A chain that asks for TLS has it looked for, as Envoy puts the inspector in where it is missing.
    inspectTls: () => true,
    inspectHttp: () => false,
    readOriginalDst: listener.useOriginalDst ?? false,
  };
  for (const [index, filter] of listener.listenerFilters.entries()) {
    const field = at.at("listenerFilters").at(index);
    const url = filter.configType?.$case === "typedConfig" ? filter.configType.value.typeUrl : "";
    field.only(filter, fields("name configType filterDisabled"));
    const disabled = disabledAt(filter.filterDisabled, field.at("filterDisabled"), 0);
    if (url.endsWith(".tls_inspector.v3.TlsInspector")) found.inspectTls = (port) => !disabled(port);
    else if (url.endsWith(".http_inspector.v3.HttpInspector")) found.inspectHttp = (port) => !disabled(port);
    else if (url.endsWith(".original_dst.v3.OriginalDst")) found.readOriginalDst = true;
    else field.refuse(`listener filter ${filter.name} (${url}) is not built in`);
  }
  return found;
}

/** The ports that a listener filter leaves alone. */
function disabledAt(predicate: ListenerFilterChainMatchPredicate | undefined, at: Field, depth: number): PortPredicate {
  const rule = predicate?.rule;
  if (rule === undefined) return () => false;
  if (depth > MATCHER_DEPTH_MAX) {
    at.refuse("rules are nested too deeply");
    return () => false;
  }
  const each = (name: string, rules: readonly ListenerFilterChainMatchPredicate[]) =>
    rules.map((one, index) => disabledAt(one, at.at(name).at("rules").at(index), depth + 1));
  switch (rule.$case) {
    case "orMatch": {
      const inner = each("orMatch", rule.value.rules);
      return (port) => inner.some((matches) => matches(port));
    }
    case "andMatch": {
      const inner = each("andMatch", rule.value.rules);
      return (port) => inner.every((matches) => matches(port));
    }
    case "notMatch": {
      const inner = disabledAt(rule.value, at.at("notMatch"), depth + 1);
      return (port) => !inner(port);
    }
    case "anyMatch":
      return () => rule.value;
    case "destinationPortRange":
      return (port) => port >= rule.value.start && port < rule.value.end;
  }
}

function compileChain(chain: FilterChain, at: Field): ChainConfig {
  at.only(chain, CHAIN);
  const rbac: RbacConfig[] = [];
  const limits: ConnectionLimitConfig[] = [];
  let terminal: HttpConfig | TcpConfig | undefined;
  for (const [index, filter] of chain.filters.entries()) {
    const compiled = compileNetworkFilter(filter, at.at("filters").at(index));
    if (terminal !== undefined) at.at("filters").at(index).refuse("a filter behind the one that ends the chain");
    if (compiled?.kind === "rbac") rbac.push(compiled);
    else if (compiled?.kind === "connection-limit") limits.push(compiled);
    else if (compiled !== undefined) terminal = compiled;
  }
  if (terminal === undefined)
    at.at("filters").refuse("a filter chain must end in http_connection_manager or tcp_proxy");
  return {
    name: chain.name,
    match: compileMatch(chain.filterChainMatch, at.at("filterChainMatch")),
    tls: compileDownstreamTls(chain.transportSocket, at.at("transportSocket")),
    rbac,
    limits,
    terminal: terminal ?? NOWHERE,
    cause: causeOf(chain.metadata),
    handshakeTimeoutMs: durationMs(chain.transportSocketConnectTimeout) ?? 0,
  };
}

/** Stands where a refused chain has no end; a refused listener is never run. */
const NOWHERE: TcpConfig = {
  kind: "tcp",
  statPrefix: "",
  clusters: [],
  totalWeight: 0,
  idleTimeoutMs: 0,
  connectAttemptsMax: 1,
  hashesSource: false,
  maxConnectionDurationMs: 0,
  tunnelTo: undefined,
  accessLogs: [],
};

function compileNetworkFilter(
  filter: Filter,
  at: Field,
): RbacConfig | ConnectionLimitConfig | HttpConfig | TcpConfig | undefined {
  if (filter.configType?.$case !== "typedConfig") {
    at.refuse("a network filter needs a typed_config");
    return undefined;
  }
  const any = filter.configType.value;
  const field = at.at("typedConfig").as(any.typeUrl);
  switch (any.typeUrl) {
    case `${NETWORK}http_connection_manager.v3.HttpConnectionManager`:
      return compileHttp(HttpConnectionManager.decode(any.value), field);
    case `${NETWORK}tcp_proxy.v3.TcpProxy`:
      return compileTcp(TcpProxy.decode(any.value), field);
    case `${NETWORK}connection_limit.v3.ConnectionLimit`: {
      const limit = ConnectionLimit.decode(any.value);
      return {
        kind: "connection-limit",
        statPrefix: limit.statPrefix,
        max: limit.maxConnections ?? 0,
        delayMs: durationMs(limit.delay) ?? 0,
        enabled: limit.runtimeEnabled?.defaultValue ?? true,
      };
    }
    case `${NETWORK}rbac.v3.RBAC`: {
      const rbac = RBAC.decode(any.value);
      field.only(rbac, fields("rules shadowRules shadowRulesStatPrefix statPrefix enforcementType"));
      return {
        kind: "rbac",
        ...compileRuleSets(rbac, field),
        statPrefix: rbac.statPrefix,
        shadowStatPrefix: rbac.shadowRulesStatPrefix,
        statsByPolicy: false,
      };
    }
    default:
      at.refuse(`network filter ${filter.name} (${any.typeUrl}) is not built in`);
      return undefined;
  }
}

function compileTcp(tcp: TcpProxy, at: Field): TcpConfig {
  at.only(tcp, TCP);
  const specifier = tcp.clusterSpecifier;
  const clusters =
    specifier === undefined
      ? []
      : specifier.$case === "cluster"
        ? [{ name: specifier.value, weight: 1 }]
        : specifier.value.clusters.map((one) => ({ name: one.name, weight: one.weight }));
  if (clusters.length === 0) at.refuse("a TCP proxy needs a cluster");
  for (const [index, { policySpecifier }] of tcp.hashPolicy.entries()) {
    if (policySpecifier?.$case !== "sourceIp") at.at("hashPolicy").at(index).refuse("only source_ip is built in");
  }
  return {
    kind: "tcp",
    statPrefix: tcp.statPrefix,
    clusters,
    totalWeight: clusters.reduce((sum, one) => sum + one.weight, 0),
    idleTimeoutMs: durationMs(tcp.idleTimeout) ?? 3_600_000,
    connectAttemptsMax: tcp.maxConnectAttempts ?? 1,
    hashesSource: tcp.hashPolicy.length > 0,
    maxConnectionDurationMs: durationMs(tcp.maxDownstreamConnectionDuration) ?? 0,
    tunnelTo: compileTunnel(tcp.tunnelingConfig, at.at("tunnelingConfig")),
    accessLogs: compileAccessLogs(tcp.accessLog, at.at("accessLog")),
  };
}

function compileTunnel(tunnel: TcpProxy_TunnelingConfig | undefined, at: Field): string | undefined {
  if (tunnel === undefined) return undefined;
  at.only(tunnel, fields("hostname"));
  if (!/^[^\s%]+$/.test(tunnel.hostname)) at.at("hostname").refuse("must be host:port, without formats");
  return tunnel.hostname;
}

function compileMatch(match: FilterChainMatch | undefined, at: Field): ChainMatch {
  if (match !== undefined) at.only(match, MATCH);
  const sourceType = match?.sourceType;
  return {
    destinationPort: match?.destinationPort,
    destinationRanges: (match?.prefixRanges ?? []).map((range, index) =>
      ipRange(range, at.at("prefixRanges").at(index)),
    ),
    serverNames: (match?.serverNames ?? []).map((name) => name.toLowerCase()),
    transportProtocol: match?.transportProtocol ?? "",
    applicationProtocols: match?.applicationProtocols ?? [],
    directSourceRanges: (match?.directSourcePrefixRanges ?? []).map((range, index) =>
      ipRange(range, at.at("directSourcePrefixRanges").at(index)),
    ),
    sourceType:
      sourceType === FilterChainMatch_ConnectionSourceType.SAME_IP_OR_LOOPBACK
        ? "same-ip-or-loopback"
        : sourceType === FilterChainMatch_ConnectionSourceType.EXTERNAL
          ? "external"
          : "any",
    sourceRanges: (match?.sourcePrefixRanges ?? []).map((range, index) =>
      ipRange(range, at.at("sourcePrefixRanges").at(index)),
    ),
    sourcePorts: match?.sourcePorts ?? [],
  };
}
