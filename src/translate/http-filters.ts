// The one list of HTTP filters, in the order they run, and the connection manager that holds them.

import type { MeshConfig } from "../model/mesh-config.ts";
import { Filter } from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { FilterStateValue_SharedWithUpstream } from "../proto/gen/envoy/extensions/filters/common/set_filter_state/v3/value.ts";
import { Cors } from "../proto/gen/envoy/extensions/filters/http/cors/v3/cors.ts";
import { HTTPFault } from "../proto/gen/envoy/extensions/filters/http/fault/v3/fault.ts";
import { Router } from "../proto/gen/envoy/extensions/filters/http/router/v3/router.ts";
import { Config as SetFilterState } from "../proto/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.ts";
import {
  HttpConnectionManager,
  HttpConnectionManager_ForwardClientCertDetails,
  HttpConnectionManager_PathWithEscapedSlashesAction,
  HttpConnectionManager_ServerHeaderTransformation,
  HttpFilter,
} from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { accessLoggers } from "./access-log.ts";
import { clientPeerFilters, serverPeerFilters } from "./agent.ts";
import { causes } from "./local-reply.ts";
import type { GatewayTopology } from "./proxy.ts";
import type { ProxyTelemetry } from "./telemetry.ts";
import { setTracing } from "./tracing.ts";
import { any, durationOf } from "./wire.ts";

export function httpFilter(name: string, typedConfig: Any): HttpFilter {
  return HttpFilter.fromPartial({ name, configType: { $case: "typedConfig", value: typedConfig } });
}

/** `names`: what looks up the names that requests bring. */
export function outboundHttpFilters(
  { agent }: Pick<ProxyTelemetry, "agent">,
  names: readonly HttpFilter[] = [],
): HttpFilter[] {
  const fault = any("envoy.extensions.filters.http.fault.v3.HTTPFault", HTTPFault, HTTPFault.fromPartial({}));
  const cors = any("envoy.extensions.filters.http.cors.v3.Cors", Cors, {});
  return [
    httpFilter("envoy.filters.http.fault", fault),
    httpFilter("envoy.filters.http.cors", cors),
    meshAlpn(),
    ...(agent ? clientPeerFilters() : []),
    ...names,
    router(),
  ];
}

/** `isMesh`: the connection is of the mesh's TLS. */
export function inboundHttpFilters(
  { agent }: Pick<ProxyTelemetry, "agent">,
  access: readonly HttpFilter[],
  isMesh: boolean,
): HttpFilter[] {
  return [...(agent ? serverPeerFilters(isMesh) : []), ...access, router()];
}

/** At the edge of the mesh: who may come in, then as for any request into the mesh. */
export function gatewayHttpFilters(
  telemetry: Pick<ProxyTelemetry, "agent">,
  rbac: readonly HttpFilter[],
  names: readonly HttpFilter[],
): HttpFilter[] {
  return [...rbac, ...outboundHttpFilters(telemetry, names)];
}

/** HTTP requests open their upstream connection with these protocols, by which the server's sidecar knows them. */
function meshAlpn(): HttpFilter {
  const config = SetFilterState.fromPartial({
    onRequestHeaders: [
      {
        key: { $case: "objectKey", value: "envoy.network.application_protocols" },
        value: {
          $case: "formatString",
          value: { format: { $case: "textFormat", value: "istio-http/1.1,istio,http/1.1" } },
        },
        sharedWithUpstream: FilterStateValue_SharedWithUpstream.ONCE,
      },
    ],
  });
  return httpFilter(
    "envoy.filters.http.set_filter_state",
    any("envoy.extensions.filters.http.set_filter_state.v3.Config", SetFilterState, config),
  );
}

function router(): HttpFilter {
  const config = Router.fromPartial({});
  return httpFilter("envoy.filters.http.router", any("envoy.extensions.filters.http.router.v3.Router", Router, config));
}

export interface ManagerOptions {
  readonly mesh: MeshConfig;
  readonly statPrefix: string;
  readonly direction: "inbound" | "outbound" | "edge";
  readonly route: NonNullable<HttpConnectionManager["routeSpecifier"]>;
  readonly filters: HttpFilter[];
  readonly telemetry?: ProxyTelemetry;
  readonly explicit?: true;
  /** At the edge: what stands in front of it. */
  readonly topology?: GatewayTopology;
}

const FORWARD: Readonly<Record<string, HttpConnectionManager_ForwardClientCertDetails>> = {
  SANITIZE: HttpConnectionManager_ForwardClientCertDetails.SANITIZE,
  FORWARD_ONLY: HttpConnectionManager_ForwardClientCertDetails.FORWARD_ONLY,
  APPEND_FORWARD: HttpConnectionManager_ForwardClientCertDetails.APPEND_FORWARD,
  SANITIZE_SET: HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET,
  ALWAYS_FORWARD_ONLY: HttpConnectionManager_ForwardClientCertDetails.ALWAYS_FORWARD_ONLY,
};

/** Callers are strangers: their address is the connection's own, or that of as many proxies in front as are trusted. */
function setEdge(manager: HttpConnectionManager, topology: GatewayTopology | undefined): void {
  manager.useRemoteAddress = true;
  manager.xffNumTrustedHops = topology?.numTrustedProxies ?? 0;
  const details = FORWARD[topology?.forwardClientCertDetails ?? ""];
  manager.forwardClientCertDetails = details ?? HttpConnectionManager_ForwardClientCertDetails.SANITIZE_SET;
  manager.setCurrentClientCertDetails = { subject: true, cert: true, chain: false, dns: true, uri: true };
}

type Normalization = NonNullable<MeshConfig["settings"]["pathNormalization"]>["normalization"];

/** Before any route or policy sees the path. */
function pathNormalization({ settings }: MeshConfig) {
  const wanted: Normalization = settings.pathNormalization?.normalization ?? "DEFAULT";
  const merging = wanted === "MERGE_SLASHES" || wanted === "DECODE_AND_MERGE_SLASHES";
  const { UNESCAPE_AND_FORWARD, IMPLEMENTATION_SPECIFIC_DEFAULT } = HttpConnectionManager_PathWithEscapedSlashesAction;
  return {
    normalizePath: wanted !== "NONE",
    mergeSlashes: merging,
    pathWithEscapedSlashesAction:
      wanted === "DECODE_AND_MERGE_SLASHES" ? UNESCAPE_AND_FORWARD : IMPLEMENTATION_SPECIFIC_DEFAULT,
  };
}

export function connectionManager(options: ManagerOptions): Filter {
  const inbound = options.direction === "inbound";
  const manager = HttpConnectionManager.fromPartial({
    statPrefix: options.statPrefix,
    serverName: "istio-envoy",
    useRemoteAddress: false,
    generateRequestId: true,
    ...pathNormalization(options.mesh),
    streamIdleTimeout: durationOf(0),
    upgradeConfigs: [{ upgradeType: "websocket" }],
    ...(options.explicit === true ? { httpProtocolOptions: { allowAbsoluteUrl: true } } : {}),
  });
  if (inbound) {
    manager.serverHeaderTransformation = HttpConnectionManager_ServerHeaderTransformation.PASS_THROUGH;
    manager.forwardClientCertDetails = HttpConnectionManager_ForwardClientCertDetails.APPEND_FORWARD;
    manager.setCurrentClientCertDetails = { subject: true, cert: false, chain: false, dns: true, uri: true };
  }
  if (options.direction === "edge") setEdge(manager, options.topology);
  setTracing(manager, options.telemetry, options.direction);
  const logs = inbound ? options.telemetry?.serverLogs : options.telemetry?.clientLogs;
  manager.accessLog = accessLoggers(logs ?? [], "http");
  if (options.telemetry?.agent === true) manager.localReplyConfig = causes();
  manager.routeSpecifier = options.route;
  manager.httpFilters = options.filters;
  return Filter.fromPartial({
    name: "envoy.filters.network.http_connection_manager",
    configType: {
      $case: "typedConfig",
      value: any(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        HttpConnectionManager,
        manager,
      ),
    },
  });
}
