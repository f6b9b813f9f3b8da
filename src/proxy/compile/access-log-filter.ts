// Which requests an access logger writes.

import type { AccessRecord } from "../../observe/access-record.ts";
import { RECORD_ATTRIBUTES } from "../../observe/attributes.ts";
import { compileCel } from "../../observe/cel.ts";
import { RESPONSE_FLAGS } from "../../observe/operators.ts";
import {
  type AccessLogFilter,
  type ComparisonFilter,
  ComparisonFilter_Op,
  type ExtensionFilter,
  type GrpcStatusFilter,
  type LogTypeFilter,
  type MetadataFilter,
  type ResponseFlagFilter,
  type RuntimeFilter,
} from "../../proto/gen/envoy/config/accesslog/v3/accesslog.ts";
import { accessLogTypeToJSON } from "../../proto/gen/envoy/data/accesslog/v3/accesslog.ts";
import { ExpressionFilter } from "../../proto/gen/envoy/extensions/access_loggers/filters/cel/v3/cel.ts";
import { MATCHER_DEPTH_MAX } from "../limits.ts";
import type { Field } from "./field.ts";
import { compileHeader, compileMetadata } from "./matcher.ts";
import { fraction } from "./value.ts";

export type LogFilter = (record: AccessRecord) => boolean;

const ALWAYS: LogFilter = () => true;

export function compileLogFilter(filter: AccessLogFilter, at: Field, depth: number): LogFilter {
  const specifier = filter.filterSpecifier;
  if (depth > MATCHER_DEPTH_MAX) {
    at.refuse("filters are nested too deeply");
    return ALWAYS;
  }
  switch (specifier?.$case) {
    case "statusCodeFilter": {
      const compare = comparison(specifier.value.comparison);
      return (record) => compare(record.responseCode);
    }
    case "durationFilter": {
      const compare = comparison(specifier.value.comparison);
      return (record) => compare(Math.floor(record.durationMs ?? 0));
    }
    case "responseFlagFilter":
      return flagFilter(specifier.value, at.at("responseFlagFilter"));
    case "headerFilter": {
      const { header } = specifier.value;
      if (header === undefined) {
        at.at("headerFilter").at("header").refuse("a header filter needs a header");
        return ALWAYS;
      }
      const matches = compileHeader(header, at.at("headerFilter").at("header"));
      return (record) => record.requestHeaders !== undefined && matches(record.requestHeaders);
    }
    case "andFilter":
    case "orFilter": {
      const field = at.at(specifier.$case).at("filters");
      const inner = specifier.value.filters.map((one, index) => compileLogFilter(one, field.at(index), depth + 1));
      if (specifier.$case === "andFilter") return (record) => inner.every((accepts) => accepts(record));
      return (record) => inner.some((accepts) => accepts(record));
    }
    case "runtimeFilter":
      return shareFilter(specifier.value);
    case "notHealthCheckFilter":
      // Nothing here marks a request as a health check: that takes Envoy's health-check filter, which is not built in.
      return ALWAYS;
    case "traceableFilter":
      return (record) => /^.{14}[9ab]/.test(record.streamId ?? "");
    case "grpcStatusFilter":
      return grpcFilter(specifier.value);
    case "metadataFilter":
      return metadataFilter(specifier.value, at.at("metadataFilter"));
    case "logTypeFilter":
      return typeFilter(specifier.value);
    case "extensionFilter":
      return expressionFilter(specifier.value, at.at("extensionFilter"));
    case undefined:
      at.refuse("a filter needs a kind");
      return ALWAYS;
  }
}

function comparison(filter: ComparisonFilter | undefined): (value: number) => boolean {
  const wanted = filter?.value?.defaultValue ?? 0;
  switch (filter?.op) {
    case ComparisonFilter_Op.GE:
      return (value) => value >= wanted;
    case ComparisonFilter_Op.LE:
      return (value) => value <= wanted;
    case ComparisonFilter_Op.NE:
      return (value) => value !== wanted;
    default:
      return (value) => value === wanted;
  }
}

function flagFilter(filter: ResponseFlagFilter, at: Field): LogFilter {
  const { flags } = filter;
  for (const [index, flag] of flags.entries())
    if (!RESPONSE_FLAGS.has(flag)) at.at("flags").at(index).refuse(`${flag} is not a response flag`);
  if (flags.length === 0) return (record) => record.responseFlags !== "";
  return (record) => record.responseFlags.split(",").some((flag) => flags.includes(flag));
}

/** Chance comes from the request's id, so that every logger with the same share takes the same requests. */
function shareFilter(filter: RuntimeFilter): LogFilter {
  const share = fraction(filter.percentSampled);
  return (record) => {
    const digits = Number.parseInt((record.streamId ?? "").slice(0, 8), 16);
    return (Number.isNaN(digits) ? 0 : digits / 2 ** 32) < share;
  };
}

/** A response without grpc-status stands for what its HTTP status means to gRPC, which for 200 is unknown. */
function grpcFilter(filter: GrpcStatusFilter): LogFilter {
  const wanted = new Set(filter.statuses.map(Number));
  return (record) => {
    const told = record.responseTrailers?.get("grpc-status") ?? record.responseHeaders?.get("grpc-status");
    const status = told === undefined ? grpcOf(record.responseCode) : Number(told);
    return wanted.has(status) !== filter.exclude;
  };
}

const GRPC_OF_HTTP: Readonly<Record<number, number>> = { 400: 13, 401: 16, 403: 7, 404: 12 };

function grpcOf(code: number): number {
  if ([429, 502, 503, 504].includes(code)) return 14;
  return GRPC_OF_HTTP[code] ?? 2;
}

function metadataFilter(filter: MetadataFilter, at: Field): LogFilter {
  const ifAbsent = filter.matchIfKeyNotFound ?? true;
  if (filter.matcher === undefined) return () => ifAbsent;
  const predicate = compileMetadata(filter.matcher, at.at("matcher"));
  return (record) => {
    const metadata = record.dynamicMetadata?.(predicate.namespace);
    return predicate.has(metadata) ? predicate.matches(metadata) : ifAbsent;
  };
}

const CEL = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";

/** What can't be evaluated of a request is not logged. */
function expressionFilter(filter: ExtensionFilter, at: Field): LogFilter {
  const any = filter.configType?.value;
  if (any?.typeUrl !== CEL) {
    at.refuse(`the filter ${any?.typeUrl ?? filter.name} is not built in`);
    return ALWAYS;
  }
  const field = at.at("typedConfig").as(CEL).at("expression");
  const evaluate = compileCel(ExpressionFilter.decode(any.value).expression, RECORD_ATTRIBUTES);
  if (evaluate.ok) return (record) => evaluate.value(record) === true;
  field.refuse(evaluate.error);
  return ALWAYS;
}

function typeFilter(filter: LogTypeFilter): LogFilter {
  const wanted = new Set(filter.types.map((type) => accessLogTypeToJSON(type)));
  return (record) => wanted.has(record.logType ?? "NotSet") !== filter.exclude;
}
