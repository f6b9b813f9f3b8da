// Access loggers of connection managers and TCP proxies.

import type { AccessLogRule } from "../model/access-log.ts";
import { ISTIO_DEFAULT_FORMAT } from "../observe/access-record.ts";
import { AccessLog, AccessLogFilter } from "../proto/gen/envoy/config/accesslog/v3/accesslog.ts";
import { SubstitutionFormatString } from "../proto/gen/envoy/config/core/v3/substitution_format_string.ts";
import { AccessLogType } from "../proto/gen/envoy/data/accesslog/v3/accesslog.ts";
import { FileAccessLog } from "../proto/gen/envoy/extensions/access_loggers/file/v3/file.ts";
import { ExpressionFilter } from "../proto/gen/envoy/extensions/access_loggers/filters/cel/v3/cel.ts";
import { StderrAccessLog, StdoutAccessLog } from "../proto/gen/envoy/extensions/access_loggers/stream/v3/stream.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { agentLog, isReport, type LogRule } from "./agent.ts";
import { collectorLog } from "./log-collector.ts";
import { any } from "./wire.ts";

export function accessLoggers(rules: readonly LogRule[], protocol: "http" | "tcp"): AccessLog[] {
  const reports = rules.some(isReport);
  return rules.flatMap((rule) => {
    if (isReport(rule)) return [agentLog(rule, protocol)];
    const made = loggerOf(rule, protocol, reports);
    if (made === undefined) return [];
    const log = AccessLog.fromPartial(made);
    // The agent is told of a connection while it is open, a person once.
    const once = reports && protocol === "tcp" ? [AT_END] : [];
    const filters = [...(rule.filter === undefined ? [] : [expressionFilter(rule.filter)]), ...once];
    const [first] = filters;
    if (first !== undefined) log.filter = filters.length === 1 ? first : all(filters);
    return [log];
  });
}

/** Undefined: it is for the other protocol. */
function loggerOf(rule: AccessLogRule, protocol: "http" | "tcp", reports: boolean) {
  const { collector } = rule;
  if (collector === undefined) return reports ? streamOf(rule) : fileOf(rule);
  const sink = collectorLog(rule, collector, protocol);
  return sink === undefined ? undefined : typed(sink.name, sink.config);
}

function fileOf(rule: AccessLogRule) {
  const file = FileAccessLog.fromPartial({
    path: rule.path,
    accessLogFormat: { $case: "logFormat", value: logFormat(rule) },
  });
  const value = any("envoy.extensions.access_loggers.file.v3.FileAccessLog", FileAccessLog, file);
  return typed("envoy.access_loggers.file", value);
}

/** Envoy's standard output may be a socket, which it can't open by a path. */
function streamOf(rule: AccessLogRule) {
  const format = { accessLogFormat: { $case: "logFormat" as const, value: logFormat(rule) } };
  const prefix = "envoy.extensions.access_loggers.stream.v3";
  switch (rule.path) {
    case "/dev/stdout":
      return stream("stdout", any(`${prefix}.StdoutAccessLog`, StdoutAccessLog, StdoutAccessLog.fromPartial(format)));
    case "/dev/stderr":
      return stream("stderr", any(`${prefix}.StderrAccessLog`, StderrAccessLog, StderrAccessLog.fromPartial(format)));
    default:
      return fileOf(rule);
  }
}

function stream(name: string, value: Any) {
  return typed(`envoy.access_loggers.${name}`, value);
}

function typed(name: string, value: Any) {
  return { name, configType: { $case: "typedConfig" as const, value } };
}

const AT_END = AccessLogFilter.fromPartial({
  filterSpecifier: { $case: "logTypeFilter", value: { types: [AccessLogType.TcpConnectionEnd] } },
});

function all(filters: AccessLogFilter[]): AccessLogFilter {
  return AccessLogFilter.fromPartial({ filterSpecifier: { $case: "andFilter", value: { filters } } });
}

function logFormat({ format }: AccessLogRule): SubstitutionFormatString {
  return SubstitutionFormatString.fromPartial({
    format:
      format?.kind === "json"
        ? { $case: "jsonFormat", value: { ...format.labels } }
        : { $case: "textFormat", value: format?.text ?? ISTIO_DEFAULT_FORMAT },
  });
}

export function expressionFilter(expression: string): AccessLogFilter {
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
