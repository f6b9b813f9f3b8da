// Access logs that go to a collector over gRPC: OpenTelemetry's records, and Envoy's own entries.

import { createHash } from "node:crypto";
import type { RecordFormatter } from "../../observe/access-record.ts";
import { compileFormat } from "../../observe/format.ts";
import type {
  CommonGrpcAccessLogConfig,
  HttpGrpcAccessLogConfig,
  TcpGrpcAccessLogConfig,
} from "../../proto/gen/envoy/extensions/access_loggers/grpc/v3/als.ts";
import type { OpenTelemetryAccessLogConfig } from "../../proto/gen/envoy/extensions/access_loggers/open_telemetry/v3/logs_service.ts";
import type { AnyValue, KeyValueList } from "../../proto/gen/opentelemetry/proto/common/v1/common.ts";
import { type Field, fields } from "./field.ts";
import { type GrpcCollector, grpcCollector } from "./trace-provider.ts";
import { durationMs } from "./value.ts";

interface Sink {
  /** Equal ones share their way to the collector. */
  readonly key: string;
  readonly collector: GrpcCollector;
  readonly logName: string;
  /** Undefined: the proxy's own. */
  readonly waitMs: number | undefined;
}

export interface OtlpSink extends Sink {
  readonly kind: "otlp";
  /** Undefined: there is none. */
  readonly body: RecordFormatter | undefined;
  readonly attributes: readonly (readonly [name: string, value: RecordFormatter])[];
  /** Of the node, beside these. */
  readonly hasNodeLabels: boolean;
  /** Flat: name, value, name, value, … */
  readonly resourceAttributes: readonly string[];
}

export interface AlsSink extends Sink {
  readonly kind: "als-http" | "als-tcp";
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  readonly responseTrailers: readonly string[];
}

export type LogSink = OtlpSink | AlsSink;

export function compileOtlpSink(config: OpenTelemetryAccessLogConfig, at: Field): OtlpSink {
  at.only(config, fields("commonConfig disableBuiltinLabels resourceAttributes body attributes"));
  const { body } = config;
  const attributes = pairsOf(config.attributes, at.at("attributes")).map(
    ([name, text], i) => [name, compiled(text, at.at("attributes").at(i))] as const,
  );
  return {
    ...common(config.commonConfig, at.at("commonConfig"), config),
    kind: "otlp",
    body: body === undefined ? undefined : compiled(textOf(body, at.at("body")), at.at("body")),
    attributes,
    hasNodeLabels: !config.disableBuiltinLabels,
    resourceAttributes: pairsOf(config.resourceAttributes, at.at("resourceAttributes")).flat(),
  };
}

export function compileHttpSink(config: HttpGrpcAccessLogConfig, at: Field): AlsSink {
  const lower = (names: readonly string[]): readonly string[] => names.map((name) => name.toLowerCase());
  return {
    ...common(config.commonConfig, at.at("commonConfig"), config),
    kind: "als-http",
    requestHeaders: lower(config.additionalRequestHeadersToLog),
    responseHeaders: lower(config.additionalResponseHeadersToLog),
    responseTrailers: lower(config.additionalResponseTrailersToLog),
  };
}

export function compileTcpSink(config: TcpGrpcAccessLogConfig, at: Field): AlsSink {
  const shared = common(config.commonConfig, at.at("commonConfig"), config);
  return { ...shared, kind: "als-tcp", requestHeaders: [], responseHeaders: [], responseTrailers: [] };
}

function common(config: CommonGrpcAccessLogConfig | undefined, at: Field, whole: object): Sink {
  if (config === undefined) at.refuse("a collector is needed");
  else at.only(config, fields("logName grpcService transportApiVersion bufferFlushInterval bufferSizeBytes"));
  return {
    key: createHash("sha256").update(JSON.stringify(whole)).digest("hex"),
    collector: grpcCollector(config?.grpcService, at.at("grpcService")),
    logName: config?.logName ?? "",
    waitMs: durationMs(config?.bufferFlushInterval),
  };
}

function compiled(text: string, at: Field): RecordFormatter {
  const format = compileFormat(text);
  if (format.ok) return format.value;
  at.refuse(format.error);
  return () => "";
}

function pairsOf(list: KeyValueList | undefined, at: Field): readonly (readonly [string, string])[] {
  return (list?.values ?? []).map(({ key, value }, i) => [key, textOf(value, at.at(i))]);
}

function textOf(value: AnyValue | undefined, at: Field): string {
  if (value?.value?.$case === "stringValue") return value.value.value;
  at.refuse("only texts are built in");
  return "";
}
