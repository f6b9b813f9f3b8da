// Access loggers: where to, in which format, for which requests.

import type { AccessRecord, RecordFormatter } from "../../observe/access-record.ts";
import type { AccessLog } from "../../proto/gen/envoy/config/accesslog/v3/accesslog.ts";
import { SubstitutionFormatString } from "../../proto/gen/envoy/config/core/v3/substitution_format_string.ts";
import { FileAccessLog } from "../../proto/gen/envoy/extensions/access_loggers/file/v3/file.ts";
import {
  HttpGrpcAccessLogConfig,
  TcpGrpcAccessLogConfig,
} from "../../proto/gen/envoy/extensions/access_loggers/grpc/v3/als.ts";
import { OpenTelemetryAccessLogConfig } from "../../proto/gen/envoy/extensions/access_loggers/open_telemetry/v3/logs_service.ts";
import { StderrAccessLog, StdoutAccessLog } from "../../proto/gen/envoy/extensions/access_loggers/stream/v3/stream.ts";
import { compileLogFilter } from "./access-log-filter.ts";
import type { Field } from "./field.ts";
import { compileSubstitutionFormat } from "./format.ts";
import { compileHttpSink, compileOtlpSink, compileTcpSink, type LogSink } from "./log-sink.ts";

export type AccessLogConfig = FileLog | CollectedLog;

interface Accepting {
  readonly accepts: (record: AccessRecord) => boolean;
}

export interface FileLog extends Accepting {
  readonly kind: "file";
  readonly path: string;
  readonly format: RecordFormatter;
}

/** Sent to a collector over gRPC. */
export interface CollectedLog extends Accepting {
  readonly kind: "collected";
  readonly sink: LogSink;
}

const PREFIX = "type.googleapis.com/envoy.extensions.access_loggers.";

/** Envoy's own default format. */
const DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" ' +
  '"%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

export function compileAccessLogs(logs: readonly AccessLog[], at: Field): readonly AccessLogConfig[] {
  return logs.flatMap((log, index) => {
    const one = compileAccessLog(log, at.at(index));
    return one === undefined ? [] : [one];
  });
}

function compileAccessLog(log: AccessLog, at: Field): AccessLogConfig | undefined {
  const any = log.configType?.value;
  if (any === undefined) {
    at.refuse("an access log needs a typed_config");
    return undefined;
  }
  const accepts = log.filter === undefined ? () => true : compileLogFilter(log.filter, at.at("filter"), 0);
  const field = at.at("typedConfig").as(any.typeUrl);
  switch (any.typeUrl) {
    case `${PREFIX}file.v3.FileAccessLog`: {
      const file = FileAccessLog.decode(any.value);
      if (file.path === "") field.at("path").refuse("a file log needs a path");
      return { kind: "file", path: file.path, format: compileFileFormat(file, field), accepts };
    }
    case `${PREFIX}stream.v3.StdoutAccessLog`:
      return {
        kind: "file",
        path: "/dev/stdout",
        format: compileLogFormat(StdoutAccessLog.decode(any.value).accessLogFormat?.value, field.at("logFormat")),
        accepts,
      };
    case `${PREFIX}stream.v3.StderrAccessLog`:
      return {
        kind: "file",
        path: "/dev/stderr",
        format: compileLogFormat(StderrAccessLog.decode(any.value).accessLogFormat?.value, field.at("logFormat")),
        accepts,
      };
    case `${PREFIX}open_telemetry.v3.OpenTelemetryAccessLogConfig`:
      return {
        kind: "collected",
        sink: compileOtlpSink(OpenTelemetryAccessLogConfig.decode(any.value), field),
        accepts,
      };
    case `${PREFIX}grpc.v3.HttpGrpcAccessLogConfig`:
      return { kind: "collected", sink: compileHttpSink(HttpGrpcAccessLogConfig.decode(any.value), field), accepts };
    case `${PREFIX}grpc.v3.TcpGrpcAccessLogConfig`:
      return { kind: "collected", sink: compileTcpSink(TcpGrpcAccessLogConfig.decode(any.value), field), accepts };
    default:
      at.refuse(`access logger ${any.typeUrl} is not built in`);
      return undefined;
  }
}

function compileFileFormat(file: FileAccessLog, at: Field): RecordFormatter {
  const format = file.accessLogFormat;
  switch (format?.$case) {
    case "format":
      // An empty text is the default one, as everywhere in protobuf.
      return compileLogFormat(format.value === "" ? undefined : textFormat(format.value), at.at("format"));
    case "jsonFormat":
    case "typedJsonFormat":
      return compileLogFormat(
        SubstitutionFormatString.fromPartial({ format: { $case: "jsonFormat", value: format.value } }),
        at.at(format.$case),
      );
    default:
      return compileLogFormat(format?.value, at.at("logFormat"));
  }
}

function textFormat(text: string): SubstitutionFormatString {
  return SubstitutionFormatString.fromPartial({ format: { $case: "textFormat", value: text } });
}

function compileLogFormat(format: SubstitutionFormatString | undefined, at: Field): RecordFormatter {
  return compileSubstitutionFormat(format ?? textFormat(DEFAULT_FORMAT), at).write;
}
