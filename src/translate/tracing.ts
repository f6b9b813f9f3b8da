// Tracing of a connection manager, the clusters that its spans go through, and the operations that routes are called.

import { endpointsOfPort } from "../model/endpoint.ts";
import type { CustomTags } from "../model/telemetry.ts";
import type { TraceTarget } from "../model/trace-target.ts";
import { Cluster, Cluster_DiscoveryType } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { HeaderValueOption } from "../proto/gen/envoy/config/core/v3/base.ts";
import { GrpcService } from "../proto/gen/envoy/config/core/v3/grpc_service.ts";
import { HttpService } from "../proto/gen/envoy/config/core/v3/http_service.ts";
import { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { LbEndpoint } from "../proto/gen/envoy/config/endpoint/v3/endpoint_components.ts";
import type { Route } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { OpenTelemetryConfig } from "../proto/gen/envoy/config/trace/v3/opentelemetry.ts";
import {
  ZipkinConfig,
  ZipkinConfig_CollectorEndpointVersion,
  ZipkinConfig_TraceContextOption,
} from "../proto/gen/envoy/config/trace/v3/zipkin.ts";
import {
  type HttpConnectionManager,
  HttpConnectionManager_Tracing,
} from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { UuidRequestIdConfig } from "../proto/gen/envoy/extensions/request_id/uuid/v3/uuid.ts";
import { HttpProtocolOptions } from "../proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import { CustomTag } from "../proto/gen/envoy/type/tracing/v3/custom_tag.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { JaegerAgentConfig } from "../proto/gen/weft/trace.ts";
import { isReport } from "./agent.ts";
import { isDiscovered, outboundCluster } from "./cluster.ts";
import { loadAssignment } from "./endpoint.ts";
import { AGENT_SPANS_CLUSTER, tracesName } from "./names.ts";
import type { ClusterTarget } from "./target.ts";
import type { ProxyTelemetry } from "./telemetry.ts";
import { type ClientView, ruleFor } from "./view.ts";
import { adsSource, any, durationOf, socketAddress } from "./wire.ts";

const COLLECTOR_TIMEOUT_MS = 5_000;
const EVERY = { value: 100 };
const ISTIO_PATH_TAG_LENGTH = 256;

export function setTracing(
  manager: HttpConnectionManager,
  telemetry: ProxyTelemetry | undefined,
  direction: "inbound" | "outbound" | "edge",
): void {
  const rule = direction === "inbound" ? telemetry?.server : telemetry?.client;
  if (telemetry === undefined || rule === undefined) return;
  manager.tracing = HttpConnectionManager_Tracing.fromPartial({
    clientSampling: EVERY,
    randomSampling: { value: rule.samplingPercent },
    overallSampling: EVERY,
    maxPathTagLength: rule.pathLengthMax ?? ISTIO_PATH_TAG_LENGTH,
    noContextPropagation: !rule.propagates,
    // A gateway is the server of its clients and the client of its services.
    spawnUpstreamSpan: direction === "edge",
    provider: provider(rule.target, telemetry),
  });
  manager.tracing.customTags = [
    ...(rule.enableIstioTags ? istioTags() : []),
    ...(telemetry.agent ? keptHeaders() : []),
    ...customTags(rule.customTags),
  ];
  manager.requestIdExtension = { typedConfig: requestIds(rule.useRequestId) };
}

function requestIds(useRequestIdForTraceSampling: boolean): Any {
  const config = UuidRequestIdConfig.fromPartial({ useRequestIdForTraceSampling });
  return any("envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig", UuidRequestIdConfig, config);
}

/** From the sidecar's environment, so that all workloads get the same configuration. */
function istioTags(): CustomTag[] {
  const tag = (name: string, variable: string, defaultValue: string) =>
    CustomTag.fromPartial({ tag: name, type: { $case: "environment", value: { name: variable, defaultValue } } });
  return [
    tag("istio.canonical_revision", "CANONICAL_REVISION", "latest"),
    tag("istio.canonical_service", "CANONICAL_SERVICE", "unknown"),
    tag("istio.cluster_id", "ISTIO_META_CLUSTER_ID", "unknown"),
    tag("istio.mesh_id", "ISTIO_META_MESH_ID", "unknown"),
    tag("istio.namespace", "POD_NAMESPACE", "default"),
  ];
}

/** What of other tracers' contexts came with a request, as weft's own proxy tells it. */
function keptHeaders(): CustomTag[] {
  return ["jaeger-traceid", "uber-trace-id"].map((name) =>
    CustomTag.fromPartial({ tag: name, type: { $case: "requestHeader", value: { name } } }),
  );
}

function customTags(tags: CustomTags): CustomTag[] {
  return Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, { literal, environment, header, formatter }]) => {
      if (literal !== undefined)
        return [CustomTag.fromPartial({ tag: name, type: { $case: "literal", value: literal } })];
      if (environment !== undefined)
        return [CustomTag.fromPartial({ tag: name, type: { $case: "environment", value: environment } })];
      if (header !== undefined)
        return [CustomTag.fromPartial({ tag: name, type: { $case: "requestHeader", value: header } })];
      if (formatter !== undefined)
        return [CustomTag.fromPartial({ tag: name, type: { $case: "value", value: formatter.value } })];
      return [];
    });
}

type Provider = NonNullable<HttpConnectionManager_Tracing["provider"]>;

function provider(target: TraceTarget, { serviceName, agent }: ProxyTelemetry): Provider {
  switch (target.protocol) {
    case "zipkin":
      return typed("envoy.tracers.zipkin", any("envoy.config.trace.v3.ZipkinConfig", ZipkinConfig, zipkin(target)));
    case "otlp-http":
    case "otlp-grpc": {
      const config = OpenTelemetryConfig.fromPartial({ serviceName });
      if (target.protocol === "otlp-http") config.httpService = httpService(target);
      else config.grpcService = grpcService(target);
      const name = "envoy.config.trace.v3.OpenTelemetryConfig";
      return typed("envoy.tracers.opentelemetry", any(name, OpenTelemetryConfig, config));
    }
    case "jaeger-agent": {
      if (agent) {
        const config = zipkinToAgent(target);
        return typed("envoy.tracers.zipkin", any("envoy.config.trace.v3.ZipkinConfig", ZipkinConfig, config));
      }
      const config = JaegerAgentConfig.fromPartial({ agentCluster: tracesName(target.port, target.host), serviceName });
      return typed("weft.tracers.jaeger_agent", any("weft.trace.v1.JaegerAgentConfig", JaegerAgentConfig, config));
    }
  }
}

function typed(name: string, value: Any): Provider {
  return { name, configType: { $case: "typedConfig", value } };
}

function zipkin(target: TraceTarget): ZipkinConfig {
  const config = ZipkinConfig.fromPartial({
    collectorCluster: tracesName(target.port, target.host),
    collectorEndpoint: target.path,
    collectorEndpointVersion: ZipkinConfig_CollectorEndpointVersion.HTTP_JSON,
    collectorHostname: target.host,
    traceId128bit: target.longTraceIds,
    sharedSpanContext: false,
  });
  if (target.withW3c) config.traceContextOption = ZipkinConfig_TraceContextOption.USE_B3_WITH_W3C_PROPAGATION;
  if (target.headers.length > 0 || target.timeoutMs !== undefined) config.collectorService = httpService(target);
  return config;
}

/** Envoy has no way to speak to a Jaeger agent: weft's own agent, beside it, has. */
function zipkinToAgent(target: TraceTarget): ZipkinConfig {
  return ZipkinConfig.fromPartial({
    collectorCluster: AGENT_SPANS_CLUSTER,
    collectorEndpoint: `/api/v2/spans?cluster=${encodeURIComponent(tracesName(target.port, target.host))}`,
    collectorEndpointVersion: ZipkinConfig_CollectorEndpointVersion.HTTP_JSON,
    collectorHostname: "agent",
    traceId128bit: true,
    sharedSpanContext: false,
    traceContextOption: ZipkinConfig_TraceContextOption.USE_B3_WITH_W3C_PROPAGATION,
  });
}

function httpService(target: TraceTarget): HttpService {
  const service = HttpService.fromPartial({
    httpUri: {
      uri: `http://${target.host}:${target.port}${target.path}`,
      httpUpstreamType: { $case: "cluster", value: tracesName(target.port, target.host) },
      timeout: durationOf(target.timeoutMs ?? COLLECTOR_TIMEOUT_MS),
    },
  });
  service.requestHeadersToAdd = headerPairs(target).map(
    ({ key, value }): HeaderValueOption => ({
      header: { key, value, rawValue: Buffer.alloc(0) },
      append: undefined,
      appendAction: 0,
      keepEmptyValue: false,
    }),
  );
  return service;
}

export function grpcService(target: TraceTarget): GrpcService {
  return GrpcService.fromPartial({
    targetSpecifier: {
      $case: "envoyGrpc",
      value: { clusterName: tracesName(target.port, target.host), authority: target.host },
    },
    timeout: durationOf(target.timeoutMs ?? COLLECTOR_TIMEOUT_MS),
    initialMetadata: headerPairs(target),
  });
}

function headerPairs({ headers }: TraceTarget): { readonly key: string; readonly value: string }[] {
  const out: { key: string; value: string }[] = [];
  for (let at = 0; at < headers.length; at += 2) out.push({ key: headers[at] ?? "", value: headers[at + 1] ?? "" });
  return out;
}

export interface TraceClusters {
  readonly clusters: readonly Cluster[];
  readonly endpoints: readonly ClusterLoadAssignment[];
}

/** Clusters of their own, which are there whatever else of the mesh the workload sees. */
export function traceClusters(view: ClientView): TraceClusters {
  const { client, server } = view.telemetry;
  const { clientLogs, serverLogs } = view.telemetry;
  const logs = [...clientLogs, ...serverLogs].map((rule) => (isReport(rule) ? undefined : rule.collector));
  const all = [client, server, ...logs].flatMap((each) => (each === undefined ? [] : [each.target]));
  const targets = new Map(all.map((target) => [key(target), target]));
  const built = [...targets.values()].map((target) => traceCluster(target, view));
  const endpoints = built.flatMap(({ assignment }) => (assignment === undefined ? [] : [assignment]));
  return { clusters: built.map(({ cluster }) => cluster), endpoints };
}

function key({ port, host }: TraceTarget): string {
  return tracesName(port, host);
}

interface Built {
  readonly cluster: Cluster;
  /** Undefined where the cluster finds its endpoints itself. */
  readonly assignment: ClusterLoadAssignment | undefined;
}

function traceCluster(target: TraceTarget, view: ClientView): Built {
  const name = key(target);
  const service = view.snapshot.services.get(target.host);
  const port = service?.ports.find((each) => each.number === target.port);
  if (service === undefined || port === undefined)
    return { cluster: plainCluster(name), assignment: agents(target, view) };
  const of: ClusterTarget = { service, port, subset: undefined, rule: ruleFor(view, service) };
  const cluster = outboundCluster(of, view);
  cluster.name = name;
  if (target.protocol === "otlp-grpc") cluster.typedExtensionProtocolOptions = HTTP2;
  if (!isDiscovered(of, view)) return { cluster, assignment: undefined };
  return { cluster, assignment: { ...loadAssignment(of, view), clusterName: name } };
}

const OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
const HTTP2 = {
  [OPTIONS]: any(
    OPTIONS,
    HttpProtocolOptions,
    HttpProtocolOptions.fromPartial({
      upstreamProtocolOptions: {
        $case: "explicitHttpConfig",
        value: { protocolConfig: { $case: "http2ProtocolOptions", value: {} } },
      },
    }),
  ),
};

function plainCluster(name: string): Cluster {
  return Cluster.fromPartial({
    name,
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: adsSource() },
    connectTimeout: durationOf(COLLECTOR_TIMEOUT_MS),
  });
}

/** Datagrams go to the applications themselves, since no sidecar takes them. */
function agents(target: TraceTarget, { snapshot }: ClientView): ClusterLoadAssignment {
  const spec = snapshot.resources.services.get(target.service)?.spec?.ports?.find(({ port }) => port === target.port);
  const slices = snapshot.slices.byService.get(target.service) ?? [];
  const found = endpointsOfPort(slices, spec?.name ?? "", snapshot.pods.byAddress);
  return ClusterLoadAssignment.fromPartial({
    clusterName: key(target),
    endpoints: [
      {
        lbEndpoints: found.map(({ address, port }) =>
          LbEndpoint.fromPartial({
            hostIdentifier: { $case: "endpoint", value: { address: socketAddress(address, port) } },
          }),
        ),
      },
    ],
  });
}

/** As Istio names it: `api.production.svc.cluster.local:8080/*`. `place` stands where a route leads to several clusters. */
export function decorate(route: Route, place: string): void {
  const cluster = route.action?.$case === "route" ? route.action.value.clusterSpecifier : undefined;
  const [, clusterPort, , host] = cluster?.$case === "cluster" ? cluster.value.split("|") : [];
  const called = host === undefined || host === "" ? place : `${host}:${clusterPort}`;
  route.decorator = { operation: `${called}${pathOf(route)}`, propagate: undefined };
}

function pathOf({ match }: Route): string {
  const path = match?.pathSpecifier;
  switch (path?.$case) {
    case "prefix":
      return `${path.value}*`;
    case "path":
      return path.value;
    case "safeRegex":
      return path.value.regex;
    default:
      return "/*";
  }
}
