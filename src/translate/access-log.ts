// Access loggers of connection managers and TCP proxies.

import type { AccessLogRule } from "../model/access-log.ts";
import { ISTIO_DEFAULT_FORMAT } from "../observe/access-record.ts";
import { AccessLog, AccessLogFilter } from "../proto/gen/envoy/config/accesslog/v3/accesslog.ts";
import { SubstitutionFormatString } from "../proto/gen/envoy/config/core/v3/substitution_format_string.ts";
import { FileAccessLog } from "../proto/gen/envoy/extensions/access_loggers/file/v3/file.ts";
import { ExpressionFilter } from "../proto/gen/envoy/extensions/access_loggers/filters/cel/v3/cel.ts";
import { any } from "./wire.ts";

export function accessLoggers(rules: readonly AccessLogRule[]): AccessLog[] {
  return rules.map((rule) => {
    const file = FileAccessLog.fromPartial({
      path: rule.path,
      accessLogFormat: { $case: "logFormat", value: logFormat(rule) },
    });
    const log = AccessLog.fromPartial({
      name: "envoy.access_loggers.file",
      configType: {
        $case: "typedConfig",
        value: any("envoy.extensions.access_loggers.file.v3.FileAccessLog", FileAccessLog, file),
      },
    });
    if (rule.filter !== undefined) log.filter = expressionFilter(rule.filter);
    return log;
  });
}

function logFormat({ format }: AccessLogRule): SubstitutionFormatString {
  return SubstitutionFormatString.fromPartial({
    format:
      format?.kind === "json"
        ? { $case: "jsonFormat", value: { ...format.labels } }
        : { $case: "textFormat", value: format?.text ?? ISTIO_DEFAULT_FORMAT },
  });
}

function expressionFilter(expression: string): AccessLogFilter {
  const name = "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";
  return AccessLogFilter.fromPartial({
    filterSpecifier: {
      $case: "extensionFilter",
      value: {
        name: "envoy.access_loggers.extension_filters.cel",
        configType: { $case: "typedConfig", value: any(name, ExpressionFilter, { expression }) },
      },
    },
  });
}
