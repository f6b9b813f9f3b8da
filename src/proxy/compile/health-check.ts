// Active health checks: what is asked of a host, how often, and what counts as an answer.

import {
  type HeaderValueOption,
  HeaderValueOption_HeaderAppendAction,
} from "../../proto/gen/envoy/config/core/v3/base.ts";
import type {
  HealthCheck,
  HealthCheck_HttpHealthCheck,
  HealthCheck_Payload,
} from "../../proto/gen/envoy/config/core/v3/health_check.ts";
import type { Endpoint_HealthCheckConfig } from "../../proto/gen/envoy/config/endpoint/v3/endpoint_components.ts";
import { CodecClientType } from "../../proto/gen/envoy/type/v3/http.ts";
import type { Int64Range } from "../../proto/gen/envoy/type/v3/range.ts";
import { type Field, fields } from "./field.ts";
import { compileString } from "./matcher.ts";
import { durationMs, socketTarget } from "./value.ts";

export interface HttpCheck {
  readonly kind: "http";
  /** "": the endpoint's name for checks, or the cluster's. */
  readonly host: string;
  readonly path: string;
  readonly method: string;
  readonly send: Buffer | undefined;
  /** Found in the body in this order. */
  readonly receive: readonly Buffer[];
  readonly bodyBytesMax: number;
  /** Headers to add, with their values as they are. */
  readonly headers: readonly { readonly name: string; readonly value: string; readonly replaces: boolean }[];
  readonly removed: ReadonlySet<string>;
  readonly expected: readonly StatusRange[];
  readonly retriable: readonly StatusRange[];
  /** Of `x-envoy-upstream-healthchecked-cluster` in the answer. */
  readonly serviceName: ((value: string) => boolean) | undefined;
}

export interface TcpCheck {
  readonly kind: "tcp";
  readonly send: Buffer | undefined;
  readonly receive: readonly Buffer[];
}

/** From `start` on, below `end`. */
export interface StatusRange {
  readonly start: number;
  readonly end: number;
}

export interface HealthCheckConfig {
  readonly checker: HttpCheck | TcpCheck;
  readonly timeoutMs: number;
  readonly intervalMs: number;
  readonly initialJitterMs: number;
  readonly intervalJitterMs: number;
  readonly intervalJitterPercent: number;
  readonly unhealthyThreshold: number;
  readonly healthyThreshold: number;
  readonly altPort: number;
  readonly reuseConnection: boolean;
  /** Of a cluster that has not been called yet. */
  readonly noTrafficMs: number;
  readonly noTrafficHealthyMs: number;
  readonly unhealthyMs: number;
  readonly unhealthyEdgeMs: number;
  readonly healthyEdgeMs: number;
  readonly alpnProtocols: readonly string[] | undefined;
  /** Labels by which the transport socket is chosen instead of the endpoint's own. */
  readonly socketLabels: Readonly<Record<string, unknown>> | undefined;
}

/** What an endpoint says about how it is checked. */
export interface EndpointCheck {
  readonly host: string | undefined;
  readonly port: number;
  readonly hostname: string;
  readonly disabled: boolean;
}

const HONOURED =
  fields(`timeout interval initialJitter intervalJitter intervalJitterPercent unhealthyThreshold healthyThreshold altPort
  reuseConnection healthChecker noTrafficInterval noTrafficHealthyInterval unhealthyInterval unhealthyEdgeInterval healthyEdgeInterval
  tlsOptions transportSocketMatchCriteria`);
const HTTP =
  fields(`host path send receive responseBufferSize requestHeadersToAdd requestHeadersToRemove expectedStatuses
  retriableStatuses codecClientType serviceNameMatcher method`);
const NO_TRAFFIC_MS = 60_000;
const BODY_BYTES_MAX = 1024;

export function compileHealthCheck(checks: readonly HealthCheck[], at: Field): HealthCheckConfig | undefined {
  const [check] = checks;
  if (check === undefined) return undefined;
  if (checks.length > 1) at.at(1).refuse("a cluster has one health check, as in Envoy");
  const field = at.at(0);
  field.only(check, HONOURED);
  const needed = (value: number | undefined, name: string): number => {
    if (value === undefined || value <= 0) field.at(name).refuse("is needed, above 0");
    return value ?? 1;
  };
  const intervalMs = needed(durationMs(check.interval), "interval");
  const unhealthyMs = durationMs(check.unhealthyInterval) ?? intervalMs;
  const noTrafficMs = durationMs(check.noTrafficInterval) ?? NO_TRAFFIC_MS;
  return {
    checker: compileChecker(check, field),
    timeoutMs: needed(durationMs(check.timeout), "timeout"),
    intervalMs,
    initialJitterMs: durationMs(check.initialJitter) ?? 0,
    intervalJitterMs: durationMs(check.intervalJitter) ?? 0,
    intervalJitterPercent: check.intervalJitterPercent,
    unhealthyThreshold: needed(check.unhealthyThreshold, "unhealthyThreshold"),
    healthyThreshold: needed(check.healthyThreshold, "healthyThreshold"),
    altPort: check.altPort ?? 0,
    reuseConnection: check.reuseConnection ?? true,
    noTrafficMs,
    noTrafficHealthyMs: durationMs(check.noTrafficHealthyInterval) ?? noTrafficMs,
    unhealthyMs,
    unhealthyEdgeMs: durationMs(check.unhealthyEdgeInterval) ?? unhealthyMs,
    healthyEdgeMs: durationMs(check.healthyEdgeInterval) ?? intervalMs,
    alpnProtocols: check.tlsOptions === undefined ? undefined : check.tlsOptions.alpnProtocols,
    socketLabels: check.transportSocketMatchCriteria,
  };
}

export function compileEndpointCheck(
  config: Endpoint_HealthCheckConfig | undefined,
  at: Field,
): EndpointCheck | undefined {
  if (config === undefined) return undefined;
  const target = config.address === undefined ? undefined : socketTarget(config.address, at.at("address"));
  if (target?.kind === "pipe") at.at("address").refuse("an endpoint is checked at an address, not at a pipe");
  const place = target?.kind === "tcp" ? target : undefined;
  return {
    host: place?.host,
    port: config.portValue === 0 ? (place?.port ?? 0) : config.portValue,
    hostname: config.hostname,
    disabled: config.disableActiveHealthCheck,
  };
}

function compileChecker(check: HealthCheck, at: Field): HealthCheckConfig["checker"] {
  const checker = check.healthChecker;
  switch (checker?.$case) {
    case "httpHealthCheck":
      return compileHttp(checker.value, at.at("httpHealthCheck"));
    case "tcpHealthCheck": {
      const field = at.at("tcpHealthCheck");
      field.only(checker.value, fields("send receive"));
      return {
        kind: "tcp",
        send: payload(checker.value.send, field.at("send")),
        receive: payloads(checker.value.receive, field.at("receive")),
      };
    }
    case "grpcHealthCheck":
      at.at("grpcHealthCheck").refuse("gRPC health checks are not built in yet; use http_health_check");
      break;
    case "customHealthCheck":
      at.at("customHealthCheck").refuse("custom health checks are not built in");
      break;
    case undefined:
      at.refuse("a health check needs http_health_check or tcp_health_check");
  }
  return { kind: "tcp", send: undefined, receive: [] };
}

function compileHttp(check: HealthCheck_HttpHealthCheck, at: Field): HttpCheck {
  at.only(check, HTTP);
  if (check.codecClientType !== CodecClientType.HTTP1) {
    at.at("codecClientType").refuse("HTTP/2 and HTTP/3 to upstreams are not built in yet");
  }
  if (check.path === "") at.at("path").refuse("is needed");
  const method = METHODS[check.method - 1] ?? "GET";
  if (method === "CONNECT") at.at("method").refuse("CONNECT checks nothing");
  const send = payload(check.send, at.at("send"));
  if (send !== undefined && method !== "POST" && method !== "PUT") at.at("send").refuse("goes with POST or PUT only");
  return {
    kind: "http",
    host: check.host,
    path: check.path,
    method,
    send,
    receive: payloads(check.receive, at.at("receive")),
    bodyBytesMax:
      check.responseBufferSize === 0 ? Number.POSITIVE_INFINITY : (check.responseBufferSize ?? BODY_BYTES_MAX),
    headers: check.requestHeadersToAdd.map((one, index) => header(one, at.at("requestHeadersToAdd").at(index))),
    removed: new Set(check.requestHeadersToRemove.map((name) => name.toLowerCase())),
    expected: check.expectedStatuses.length === 0 ? [{ start: 200, end: 201 }] : ranges(check.expectedStatuses),
    retriable: ranges(check.retriableStatuses),
    serviceName:
      check.serviceNameMatcher === undefined
        ? undefined
        : compileString(check.serviceNameMatcher, at.at("serviceNameMatcher")),
  };
}

/** By Envoy's numbers, from 1 on. */
const METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;

function ranges(list: readonly Int64Range[]): readonly StatusRange[] {
  return list.map(({ start, end }) => ({ start, end }));
}

function header(option: HeaderValueOption, at: Field): HttpCheck["headers"][number] {
  const name = option.header?.key.toLowerCase() ?? "";
  const raw = option.header?.rawValue ?? Buffer.alloc(0);
  const value = raw.length > 0 ? raw.toString("latin1") : (option.header?.value ?? "");
  if (name === "" || name.startsWith(":")) at.at("header").at("key").refuse("a header to add needs a name");
  // A check belongs to no request, so that there is little to format.
  if (value.replaceAll("%%", "").includes("%")) at.at("header").at("value").refuse("no formatters in a health check");
  const overwrites = option.appendAction === HeaderValueOption_HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD;
  return { name, value: value.replaceAll("%%", "%"), replaces: option.append === false || overwrites };
}

function payloads(list: readonly HealthCheck_Payload[], at: Field): readonly Buffer[] {
  return list.map((one, index) => payload(one, at.at(index))).filter((one) => one !== undefined);
}

/** Text is hexadecimal. */
function payload(message: HealthCheck_Payload | undefined, at: Field): Buffer | undefined {
  const inner = message?.payload;
  if (inner === undefined) return undefined;
  if (inner.$case === "binary") return inner.value;
  if (inner.value.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(inner.value)) {
    at.at("text").refuse("must be pairs of hexadecimal digits");
  }
  return Buffer.from(inner.value, "hex");
}
