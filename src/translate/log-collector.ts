// Access logs that go to a collector over gRPC: OpenTelemetry's, and Envoy's own service for HTTP and for TCP.

import type { AccessLogRule, LogCollector } from "../model/access-log.ts";
import { ISTIO_DEFAULT_FORMAT } from "../observe/access-record.ts";
import { ApiVersion } from "../proto/gen/envoy/config/core/v3/config_source.ts";
import {
  CommonGrpcAccessLogConfig,
  HttpGrpcAccessLogConfig,
  TcpGrpcAccessLogConfig,
} from "../proto/gen/envoy/extensions/access_loggers/grpc/v3/als.ts";
import { OpenTelemetryAccessLogConfig } from "../proto/gen/envoy/extensions/access_loggers/open_telemetry/v3/logs_service.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { KeyValue } from "../proto/gen/opentelemetry/proto/common/v1/common.ts";
import { grpcService } from "./tracing.ts";
import { any } from "./wire.ts";

const LOGGERS = "envoy.extensions.access_loggers";

export interface CollectorLog {
  readonly name: string;
  readonly config: Any;
}

/** Undefined: it is for the other layer. */
export function collectorLog(
  rule: AccessLogRule,
  collector: LogCollector,
  layer: "http" | "tcp",
): CollectorLog | undefined {
  switch (collector.kind) {
    case "otlp":
      return { name: "envoy.access_loggers.open_telemetry", config: otlpLog(rule, collector) };
    case "als-http":
      return layer === "http" ? { name: "envoy.access_loggers.http_grpc", config: httpAls(collector) } : undefined;
    case "als-tcp":
      return layer === "tcp" ? { name: "envoy.access_loggers.tcp_grpc", config: tcpAls(collector) } : undefined;
  }
}

function common({ logName, target }: LogCollector): CommonGrpcAccessLogConfig {
  const config = CommonGrpcAccessLogConfig.fromPartial({ logName, transportApiVersion: ApiVersion.V3 });
  config.grpcService = grpcService(target);
  return config;
}

/** As Istio does: the text is the body, labels are attributes, and neither has the node's own. */
function otlpLog({ format }: AccessLogRule, collector: LogCollector): Any {
  const config = OpenTelemetryAccessLogConfig.fromPartial({ disableBuiltinLabels: true });
  config.commonConfig = common(collector);
  if (format?.kind === "json") {
    config.attributes = {
      values: Object.entries(format.labels).map(([key, value]) =>
        keyValue(key, typeof value === "string" ? value : JSON.stringify(value)),
      ),
    };
  }
  const text = format?.kind === "text" ? format.text : ISTIO_DEFAULT_FORMAT;
  config.body = { value: { $case: "stringValue", value: text.trimEnd() } };
  return any(`${LOGGERS}.open_telemetry.v3.OpenTelemetryAccessLogConfig`, OpenTelemetryAccessLogConfig, config);
}

function keyValue(key: string, value: string): KeyValue {
  return KeyValue.fromPartial({ key, value: { value: { $case: "stringValue", value } } });
}

function httpAls(collector: LogCollector): Any {
  const config = HttpGrpcAccessLogConfig.fromPartial({
    additionalRequestHeadersToLog: [...collector.requestHeaders],
    additionalResponseHeadersToLog: [...collector.responseHeaders],
    additionalResponseTrailersToLog: [...collector.responseTrailers],
  });
  config.commonConfig = common(collector);
  return any(`${LOGGERS}.grpc.v3.HttpGrpcAccessLogConfig`, HttpGrpcAccessLogConfig, config);
}

function tcpAls(collector: LogCollector): Any {
  const config = TcpGrpcAccessLogConfig.fromPartial({});
  config.commonConfig = common(collector);
  return any(`${LOGGERS}.grpc.v3.TcpGrpcAccessLogConfig`, TcpGrpcAccessLogConfig, config);
}
