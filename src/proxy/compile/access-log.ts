// Access loggers: where to, in which format, for which requests.

import type { AccessRecord } from "../../observe/access-log.ts";
import { compileFormat, compileJsonFormat, type RecordFormatter } from "../../observe/access-log.ts";
import {
  type AccessLog,
  type AccessLogFilter,
  type ComparisonFilter,
  ComparisonFilter_Op,
} from "../../proto/gen/envoy/config/accesslog/v3/accesslog.ts";
import type { SubstitutionFormatString } from "../../proto/gen/envoy/config/core/v3/substitution_format_string.ts";
import { FileAccessLog } from "../../proto/gen/envoy/extensions/access_loggers/file/v3/file.ts";
import { StderrAccessLog, StdoutAccessLog } from "../../proto/gen/envoy/extensions/access_loggers/stream/v3/stream.ts";
import type { Field } from "./field.ts";
import { compileHeader } from "./matcher.ts";
import { inlineText } from "./value.ts";

export interface AccessLogConfig {
  readonly path: string;
  readonly format: RecordFormatter;
  readonly accepts: (record: AccessRecord) => boolean;
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
  const accepts = log.filter === undefined ? () => true : compileFilter(log.filter, at.at("filter"));
  const field = at.at("typedConfig").as(any.typeUrl);
  switch (any.typeUrl) {
    case `${PREFIX}file.v3.FileAccessLog`: {
      const file = FileAccessLog.decode(any.value);
      const format = file.accessLogFormat;
      const compiled = compileAny(
        format?.$case === "logFormat"
          ? format.value
          : format?.$case === "format"
            ? { format: { $case: "textFormat", value: format.value } }
            : format === undefined
              ? undefined
              : { format: { $case: "jsonFormat", value: format.value } },
        field,
      );
      return { path: file.path, format: compiled, accepts };
    }
    case `${PREFIX}stream.v3.StdoutAccessLog`:
      return {
        path: "/dev/stdout",
        format: compileAny(StdoutAccessLog.decode(any.value).accessLogFormat?.value, field),
        accepts,
      };
    case `${PREFIX}stream.v3.StderrAccessLog`:
      return {
        path: "/dev/stderr",
        format: compileAny(StderrAccessLog.decode(any.value).accessLogFormat?.value, field),
        accepts,
      };
    default:
      at.refuse(`access logger ${any.typeUrl} is not built in`);
      return undefined;
  }
}

function compileAny(format: Pick<SubstitutionFormatString, "format"> | undefined, at: Field): RecordFormatter {
  const specifier = format?.format;
  const compiled =
    specifier?.$case === "jsonFormat"
      ? compileJsonFormat(specifier.value)
      : compileFormat(
          specifier === undefined
            ? DEFAULT_FORMAT
            : specifier.$case === "textFormat"
              ? specifier.value
              : (inlineText(specifier.value, at) ?? DEFAULT_FORMAT),
        );
  if (compiled.ok) return compiled.value;
  at.refuse(compiled.error);
  return () => "";
}

function compileFilter(filter: AccessLogFilter, at: Field): (record: AccessRecord) => boolean {
  const specifier = filter.filterSpecifier;
  switch (specifier?.$case) {
    case "statusCodeFilter": {
      const compare = comparison(specifier.value.comparison);
      return (record) => compare(record.responseCode);
    }
    case "durationFilter": {
      const compare = comparison(specifier.value.comparison);
      return (record) => compare(record.durationMs ?? 0);
    }
    case "responseFlagFilter": {
      const { flags } = specifier.value;
      return (record) =>
        flags.length === 0
          ? record.responseFlags !== ""
          : record.responseFlags.split(",").some((flag) => flags.includes(flag));
    }
    case "headerFilter": {
      const header = specifier.value.header;
      if (header === undefined) return () => true;
      const matches = compileHeader(header, at.at("headerFilter"));
      return (record) => record.requestHeaders !== undefined && matches(record.requestHeaders);
    }
    case "andFilter": {
      const inner = specifier.value.filters.map((one, index) => compileFilter(one, at.at("andFilter").at(index)));
      return (record) => inner.every((accepts) => accepts(record));
    }
    case "orFilter": {
      const inner = specifier.value.filters.map((one, index) => compileFilter(one, at.at("orFilter").at(index)));
      return (record) => inner.some((accepts) => accepts(record));
    }
    default:
      at.refuse("this kind of access-log filter is not built in");
      return () => true;
  }
}

function comparison(filter: ComparisonFilter | undefined): (value: number) => boolean {
  const wanted = filter?.value?.defaultValue ?? 0;
  switch (filter?.op) {
    case ComparisonFilter_Op.GE:
      return (value) => value >= wanted;
    case ComparisonFilter_Op.LE:
      return (value) => value <= wanted;
    default:
      return (value) => value === wanted;
  }
}
