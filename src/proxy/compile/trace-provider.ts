// The backend that spans go to: Zipkin, OpenTelemetry over HTTP or gRPC, a Jaeger agent.

import type { TraceFormat } from "../../observe/trace-context.ts";
import type { GrpcService } from "../../proto/gen/envoy/config/core/v3/grpc_service.ts";
import type { HttpService } from "../../proto/gen/envoy/config/core/v3/http_service.ts";
import type { Tracing_Http } from "../../proto/gen/envoy/config/trace/v3/http_tracer.ts";
import { OpenTelemetryConfig } from "../../proto/gen/envoy/config/trace/v3/opentelemetry.ts";
import {
  ZipkinConfig,
  ZipkinConfig_CollectorEndpointVersion,
  ZipkinConfig_TraceContextOption,
} from "../../proto/gen/envoy/config/trace/v3/zipkin.ts";
import { JaegerAgentConfig } from "../../proto/gen/weft/trace.ts";
import { type Field, fields } from "./field.ts";
import { durationMs } from "./value.ts";

export interface HttpCollector {
  readonly cluster: string;
  readonly path: string;
  readonly authority: string;
  /** Flat: name, value, name, value, … */
  readonly headers: readonly string[];
  readonly timeoutMs: number;
}

export interface GrpcCollector {
  readonly cluster: string;
  readonly authority: string;
  readonly metadata: readonly { readonly name: string; readonly value: string }[];
  readonly timeoutMs: number;
}

export type TraceBackend =
  | { readonly kind: "zipkin"; readonly collector: HttpCollector }
  | { readonly kind: "otlp-http"; readonly collector: HttpCollector }
  | { readonly kind: "otlp-grpc"; readonly collector: GrpcCollector }
  | { readonly kind: "jaeger-agent"; readonly cluster: string };

export interface TraceProvider {
  readonly backend: TraceBackend;
  /** Empty: the node's cluster, where Envoy says `unknown_service:envoy` to OpenTelemetry. */
  readonly serviceName: string;
  /** What is sent on, and read first. */
  readonly formats: readonly TraceFormat[];
  readonly longTraceIds: boolean;
  /** A server's span has its client's id. */
  readonly sharesIds: boolean;
  /** The two ends of a proxy are two spans. */
  readonly splitsSpans: boolean;
}

const PREFIX = "type.googleapis.com/";
const TIMEOUT_MS = 5000;
const ZIPKIN =
  fields(`collectorCluster collectorEndpoint traceId128bit sharedSpanContext collectorEndpointVersion collectorHostname
  splitSpansForRequest traceContextOption collectorService`);

export function compileTraceProvider(provider: Tracing_Http | undefined, at: Field): TraceProvider | undefined {
  const any = provider?.configType?.value;
  if (provider === undefined || any === undefined) return undefined;
  const field = at.at("typedConfig").as(any.typeUrl);
  switch (any.typeUrl) {
    case `${PREFIX}envoy.config.trace.v3.ZipkinConfig`:
      return compileZipkin(ZipkinConfig.decode(any.value), field);
    case `${PREFIX}envoy.config.trace.v3.OpenTelemetryConfig`:
      return compileOpenTelemetry(OpenTelemetryConfig.decode(any.value), field);
    case `${PREFIX}weft.trace.v1.JaegerAgentConfig`: {
      const { agentCluster, serviceName } = JaegerAgentConfig.decode(any.value);
      if (agentCluster === "") field.at("agentCluster").refuse("an agent needs a cluster");
      return {
        backend: { kind: "jaeger-agent", cluster: agentCluster },
        serviceName,
        // What Jaeger's clients send, and what everybody else does.
        formats: ["jaeger", "w3c", "b3-single"],
        longTraceIds: true,
        sharesIds: false,
        splitsSpans: false,
      };
    }
    default:
      at.refuse(`tracer ${provider.name} (${any.typeUrl}) is not built in`);
      return undefined;
  }
}

function compileZipkin(config: ZipkinConfig, at: Field): TraceProvider {
  at.only(config, ZIPKIN);
  if (config.collectorEndpointVersion !== ZipkinConfig_CollectorEndpointVersion.HTTP_JSON)
    at.at("collectorEndpointVersion").refuse("only HTTP_JSON is built in");
  const plain: HttpCollector = {
    cluster: config.collectorCluster,
    path: config.collectorEndpoint,
    authority: config.collectorHostname || config.collectorCluster,
    headers: [],
    timeoutMs: TIMEOUT_MS,
  };
  const service = config.collectorService;
  const collector = service === undefined ? plain : httpCollector(service, at.at("collectorService"));
  if (collector.cluster === "") at.at("collectorCluster").refuse("a collector needs a cluster");
  const isBoth = config.traceContextOption === ZipkinConfig_TraceContextOption.USE_B3_WITH_W3C_PROPAGATION;
  return {
    backend: { kind: "zipkin", collector },
    serviceName: "",
    formats: isBoth ? ["b3", "w3c"] : ["b3"],
    longTraceIds: config.traceId128bit,
    sharesIds: config.sharedSpanContext ?? true,
    splitsSpans: config.splitSpansForRequest,
  };
}

function compileOpenTelemetry(config: OpenTelemetryConfig, at: Field): TraceProvider {
  at.only(config, fields("grpcService httpService serviceName maxCacheSize"));
  return {
    backend: openTelemetryBackend(config, at),
    serviceName: config.serviceName,
    formats: ["w3c"],
    longTraceIds: true,
    sharesIds: false,
    splitsSpans: false,
  };
}

function openTelemetryBackend(config: OpenTelemetryConfig, at: Field): TraceBackend {
  if (config.httpService !== undefined)
    return { kind: "otlp-http", collector: httpCollector(config.httpService, at.at("httpService")) };
  if (config.grpcService === undefined) at.refuse("an exporter needs grpc_service or http_service");
  return { kind: "otlp-grpc", collector: grpcCollector(config.grpcService, at.at("grpcService")) };
}

function httpCollector(service: HttpService, at: Field): HttpCollector {
  at.only(service, fields("httpUri requestHeadersToAdd"));
  const uri = service.httpUri;
  const match = /^(?:https?:\/\/([^/?#]*))?(\/[^#]*)?$/.exec(uri?.uri ?? "");
  const cluster = uri?.httpUpstreamType?.value ?? "";
  if (match === null || cluster === "") at.at("httpUri").refuse("a collector needs a uri and a cluster");
  return {
    cluster,
    path: match?.[2] ?? "/",
    authority: match?.[1] || cluster,
    headers: service.requestHeadersToAdd.flatMap(({ header }) =>
      header === undefined ? [] : [header.key.toLowerCase(), header.value],
    ),
    timeoutMs: durationMs(uri?.timeout) ?? TIMEOUT_MS,
  };
}

export function grpcCollector(service: GrpcService | undefined, at: Field): GrpcCollector {
  if (service !== undefined) at.only(service, fields("targetSpecifier timeout initialMetadata"));
  const target = service?.targetSpecifier;
  if (service !== undefined && target?.$case !== "envoyGrpc") at.refuse("an envoy_grpc is needed");
  const envoy = target?.$case === "envoyGrpc" ? target.value : undefined;
  return {
    cluster: envoy?.clusterName ?? "",
    authority: envoy?.authority || (envoy?.clusterName ?? ""),
    metadata: (service?.initialMetadata ?? []).map(({ key, value }) => ({ name: key.toLowerCase(), value })),
    timeoutMs: durationMs(service?.timeout) || TIMEOUT_MS,
  };
}
