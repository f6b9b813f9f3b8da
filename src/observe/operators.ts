// What each of Envoy's format operators reads of a record. An operator that is not built in is an error, by name.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { AccessRecord, CertificateView, HeaderLookup, TimePoint, TlsView } from "./access-record.ts";
import { maskAddress, portOf, withoutPort } from "./address.ts";
import { timeReader } from "./time-format.ts";

/** Undefined: absent. An object is written as JSON. */
export type ValueReader = (record: AccessRecord) => string | number | boolean | object | undefined;

const OPERATOR = /^([A-Z0-9_]+)(?:\((.*)\))?(?::(\d+))?$/s;

export function compileOperator(operator: string): Result<ValueReader, string> {
  const match = OPERATOR.exec(operator);
  if (match === null)
    return err(`%${operator}% is not an operator: expected %NAME%, %NAME(ARGUMENT)% or %NAME:LENGTH%`);
  const [, name = "", argument, length] = match;
  const read = readerOf(name, argument);
  if (!read.ok || length === undefined) return read;
  const charsMax = Number(length);
  const inner = read.value;
  return ok((record) => {
    const value = inner(record);
    return typeof value === "string" ? value.slice(0, charsMax) : value;
  });
}

function readerOf(name: string, argument: string | undefined): Result<ValueReader, string> {
  const withArgument = WITH_ARGUMENT[name];
  if (withArgument !== undefined) return withArgument(argument ?? "", name);
  const plain = PLAIN[name] ?? certificateReader(name);
  if (plain === undefined) {
    const known = [...Object.keys(PLAIN), ...Object.keys(WITH_ARGUMENT).map((one) => `${one}()`)];
    return err(`%${name}% is not an operator that weft writes: ${known.join(", ")}, DOWNSTREAM_PEER_… and so on`);
  }
  if (argument !== undefined) return err(`%${name}% takes no argument, got (${argument})`);
  return ok(plain);
}

const PLAIN: Readonly<Record<string, ValueReader>> = {
  PROTOCOL: (r) => r.protocol,
  RESPONSE_CODE: (r) => r.responseCode,
  RESPONSE_FLAGS: (r) => r.responseFlags || "-",
  RESPONSE_FLAGS_LONG: (r) => longFlags(r.responseFlags) || "-",
  RESPONSE_CODE_DETAILS: (r) => r.responseCodeDetails?.replaceAll(" ", "_"),
  CONNECTION_TERMINATION_DETAILS: (r) => r.connectionTerminationDetails,
  UPSTREAM_TRANSPORT_FAILURE_REASON: (r) => r.upstreamTransportFailureReason?.replaceAll(" ", "_"),
  DOWNSTREAM_TRANSPORT_FAILURE_REASON: (r) => r.downstreamTransportFailureReason,
  BYTES_RECEIVED: (r) => r.bytesReceived,
  BYTES_SENT: (r) => r.bytesSent,
  REQUEST_HEADERS_BYTES: (r) => r.requestHeaderBytes ?? 0,
  RESPONSE_HEADERS_BYTES: (r) => r.responseHeaderBytes ?? 0,
  RESPONSE_TRAILERS_BYTES: (r) => r.responseTrailerBytes ?? 0,
  LOCAL_REPLY_BODY: (r) => r.localReplyBody ?? "",
  ACCESS_LOG_TYPE: (r) => r.logType ?? "NotSet",
  DURATION: (r) => rounded(r.durationMs),
  REQUEST_DURATION: (r) => rounded(r.requestDurationMs),
  REQUEST_TX_DURATION: (r) => rounded(r.requestTxDurationMs),
  RESPONSE_DURATION: (r) => rounded(r.responseDurationMs),
  RESPONSE_TX_DURATION: (r) =>
    r.durationMs === undefined || r.responseDurationMs === undefined
      ? undefined
      : rounded(r.durationMs - r.responseDurationMs),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (r) => r.attemptCount ?? 0,
  UPSTREAM_HOST: (r) => r.upstreamHost,
  UPSTREAM_HOST_NAME: (r) => r.upstreamHostName,
  UPSTREAM_HOST_NAME_WITHOUT_PORT: (r) => withoutPort(r.upstreamHostName),
  UPSTREAM_REMOTE_ADDRESS: (r) => r.upstreamHost,
  UPSTREAM_REMOTE_PORT: (r) => portOf(r.upstreamHost),
  UPSTREAM_CLUSTER: (r) => r.upstreamCluster,
  UPSTREAM_CLUSTER_RAW: (r) => r.upstreamCluster,
  UPSTREAM_LOCAL_ADDRESS: (r) => r.upstreamLocalAddress,
  UPSTREAM_LOCAL_PORT: (r) => portOf(r.upstreamLocalAddress),
  UPSTREAM_PROTOCOL: (r) => r.upstreamProtocol,
  UPSTREAM_TLS_VERSION: (r) => r.upstreamTls?.version,
  UPSTREAM_TLS_CIPHER: (r) => r.upstreamTls?.cipher,
  DOWNSTREAM_LOCAL_ADDRESS: (r) => r.downstreamLocalAddress,
  DOWNSTREAM_LOCAL_PORT: (r) => portOf(r.downstreamLocalAddress),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS: (r) => r.downstreamLocalAddress,
  DOWNSTREAM_REMOTE_ADDRESS: (r) => r.downstreamRemoteAddress,
  DOWNSTREAM_REMOTE_PORT: (r) => portOf(r.downstreamRemoteAddress),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: (r) => direct(r),
  DOWNSTREAM_DIRECT_REMOTE_PORT: (r) => portOf(direct(r)),
  DOWNSTREAM_TLS_VERSION: (r) => r.downstreamTls?.version,
  DOWNSTREAM_TLS_CIPHER: (r) => r.downstreamTls?.cipher,
  ROUTE_NAME: (r) => r.routeName,
  FILTER_CHAIN_NAME: (r) => r.filterChainName,
  CONNECTION_ID: (r) => r.connectionId,
  STREAM_ID: (r) => r.streamId,
  TRACE_ID: (r) => r.traceId,
  HOSTNAME: always(hostname()),
  UNIQUE_ID: () => randomUUID(),
};

type WithArgument = (argument: string, name: string) => Result<ValueReader, string>;

/** Those that have, or may have, something in parentheses. */
const WITH_ARGUMENT: Readonly<Record<string, WithArgument>> = {
  REQ: (argument, name) => headerReader(name, argument, (record) => record.requestHeaders),
  REQ_WITHOUT_QUERY: (argument, name) => {
    const read = headerReader(name, argument, (record) => record.requestHeaders);
    return read.ok ? ok((record) => cutQuery(read.value(record))) : read;
  },
  RESP: (argument, name) => headerReader(name, argument, (record) => record.responseHeaders),
  TRAILER: (argument, name) => headerReader(name, argument, (record) => record.responseTrailers),
  START_TIME: (argument) => ok(timeReader(argument, (record) => record.startTimeMs, "utc")),
  START_TIME_LOCAL: (argument) => ok(timeReader(argument, (record) => record.startTimeMs, "local")),
  EMIT_TIME: (argument) => ok(timeReader(argument, () => Date.now(), "utc")),
  EMIT_TIME_LOCAL: (argument) => ok(timeReader(argument, () => Date.now(), "local")),
  COMMON_DURATION: (argument) => durationReader(argument),
  GRPC_STATUS: (argument) => grpcReader(argument),
  GRPC_STATUS_NUMBER: () => grpcReader("NUMBER"),
  DYNAMIC_METADATA: (argument, name) =>
    metadataReader(name, argument, (record, namespace) => record.dynamicMetadata?.(namespace)),
  METADATA: (argument) => typedMetadataReader(argument),
  FILTER_STATE: (argument) => filterStateReader(argument),
  ENVIRONMENT: (argument) =>
    argument === "" ? err("%ENVIRONMENT% needs a name") : ok(always(process.env[argument] ?? "-")),
  PATH: (argument) => pathReader(argument),
  QUERY_PARAM: (argument) =>
    argument === ""
      ? err("%QUERY_PARAM% needs a name")
      : ok((record) => queryOf(record, "ORIG_OR_PATH")?.get(argument) ?? undefined),
  QUERY_PARAMS: (argument) => queryReader(argument),
  REQUESTED_SERVER_NAME: (argument) => serverNameReader(argument),
  COALESCE: (argument) => coalesceReader(argument),
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: addressReader((record) => record.upstreamHost),
  UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: addressReader((record) => record.upstreamLocalAddress),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: addressReader((record) => record.downstreamLocalAddress),
  DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT: addressReader((record) => record.downstreamLocalAddress),
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: addressReader((record) => record.downstreamRemoteAddress),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: addressReader(direct),
  DOWNSTREAM_PEER_CERT_V_START: validityReader((record) => record.downstreamTls?.peer?.validFromMs),
  DOWNSTREAM_PEER_CERT_V_END: validityReader((record) => record.downstreamTls?.peer?.validToMs),
  UPSTREAM_PEER_CERT_V_START: validityReader((record) => record.upstreamTls?.peer?.validFromMs),
  UPSTREAM_PEER_CERT_V_END: validityReader((record) => record.upstreamTls?.peer?.validToMs),
};

const CERTIFICATE: Readonly<Record<string, (certificate: CertificateView) => string>> = {
  URI_SAN: (one) => one.uriSans.join(","),
  DNS_SAN: (one) => one.dnsSans.join(","),
  IP_SAN: (one) => one.ipSans.join(","),
  EMAIL_SAN: (one) => one.emailSans.join(","),
  SUBJECT: (one) => one.subject,
  ISSUER: (one) => one.issuer,
  SERIAL: (one) => one.serial,
  FINGERPRINT_256: (one) => one.fingerprint256,
  FINGERPRINT_1: (one) => one.fingerprint1,
  CERT: (one) => encodeURIComponent(one.pem),
};

/** `DOWNSTREAM_PEER_SUBJECT`, `UPSTREAM_LOCAL_URI_SAN` and their kin. */
function certificateReader(name: string): ValueReader | undefined {
  const match = /^(DOWNSTREAM|UPSTREAM)_(PEER|LOCAL)_(\w+)$/.exec(name);
  const read = CERTIFICATE[match?.[3] ?? ""];
  if (match === null || read === undefined) return undefined;
  const tlsOf = (record: AccessRecord): TlsView | undefined =>
    match[1] === "DOWNSTREAM" ? record.downstreamTls : record.upstreamTls;
  return (record) => {
    const tls = tlsOf(record);
    const certificate = match[2] === "PEER" ? tls?.peer : tls?.local;
    return certificate === undefined ? undefined : read(certificate) || undefined;
  };
}

function always(value: string): ValueReader {
  return () => value;
}

function direct(record: AccessRecord): string | undefined {
  return record.downstreamDirectRemoteAddress ?? record.downstreamRemoteAddress;
}

function rounded(durationMs: number | undefined): number | undefined {
  return durationMs === undefined ? undefined : Math.floor(durationMs);
}

function cutQuery(value: ReturnType<ValueReader>): ReturnType<ValueReader> {
  return typeof value === "string" ? value.split("?", 1)[0] : value;
}

/** `REQ(A?B)`: A, or B where A is absent. */
function headerReader(
  operator: string,
  argument: string,
  from: (record: AccessRecord) => HeaderLookup | undefined,
): Result<ValueReader, string> {
  const [main = "", alternative = "", ...more] = argument.toLowerCase().split("?");
  if (main === "" || more.length > 0) {
    return err(`%${operator}% needs the name of a header: %${operator}(X-NAME)% or %${operator}(X-NAME?ALTERNATIVE)%`);
  }
  if (/[^!#$%&'*+\-.^_`|~0-9a-z:]/.test(main + alternative)) return err(`%${operator}(${argument})% names no header`);
  if (alternative === "") return ok((record) => from(record)?.get(main));
  return ok((record) => {
    const headers = from(record);
    return headers?.get(main) ?? headers?.get(alternative);
  });
}

/** `NAMESPACE:KEY:KEY`: text as it is, everything else as JSON. */
function metadataReader(
  operator: string,
  argument: string,
  from: (record: AccessRecord, namespace: string) => unknown,
): Result<ValueReader, string> {
  const [namespace = "", ...keys] = argument.split(":");
  if (namespace === "") return err(`%${operator}% needs a namespace: %${operator}(NAMESPACE:KEY)%`);
  return ok((record) => {
    let value: unknown = from(record, namespace);
    for (const key of keys) value = isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    if (value === undefined || value === null) return undefined;
    return isPrintable(value) ? value : undefined;
  });
}

function isPrintable(value: unknown): value is string | number | boolean | object {
  return ["string", "number", "boolean", "object"].includes(typeof value);
}

function typedMetadataReader(argument: string): Result<ValueReader, string> {
  const colon = argument.indexOf(":");
  const kind = argument.slice(0, Math.max(colon, 0));
  const rest = argument.slice(colon + 1);
  if (kind === "DYNAMIC") return metadataReader("METADATA", rest, (record, name) => record.dynamicMetadata?.(name));
  if (kind === "ROUTE") return metadataReader("METADATA", rest, (record, name) => record.routeMetadata?.(name));
  return err(`%METADATA(${argument})% is not known here: it must begin with DYNAMIC: or ROUTE:`);
}

function filterStateReader(argument: string): Result<ValueReader, string> {
  const [key = "", form = "TYPED", ...more] = argument.split(":");
  if (key === "" || more.length > 0 || !["PLAIN", "TYPED"].includes(form))
    return err(`%FILTER_STATE(${argument})% must be %FILTER_STATE(KEY)% or %FILTER_STATE(KEY:PLAIN)%`);
  return ok((record) => {
    const value = record.filterState?.(key);
    return value === undefined || form === "PLAIN" ? value : JSON.stringify(value);
  });
}

const TIME_POINTS: readonly TimePoint[] = [
  "DS_RX_BEG",
  "DS_RX_END",
  "US_TX_BEG",
  "US_TX_END",
  "US_RX_BEG",
  "US_RX_END",
  "DS_TX_BEG",
  "DS_TX_END",
];
const PER_MS: Readonly<Record<string, number>> = { ms: 1, us: 1000, ns: 1_000_000 };

/** `START:END` or `START:END:PRECISION`, milliseconds unless it says otherwise. */
function durationReader(argument: string): Result<ValueReader, string> {
  const [from, to, unit = "ms", ...more] = argument.split(":");
  const start = TIME_POINTS.find((one) => one === from);
  const end = TIME_POINTS.find((one) => one === to);
  const perMs = PER_MS[unit];
  if (start === undefined || end === undefined || perMs === undefined || more.length > 0)
    return err(
      `%COMMON_DURATION(${argument})% must be two of ${TIME_POINTS.join(", ")}, then ms, us or ns, with colons between`,
    );
  return ok((record) => {
    const startMs = record.timeOf?.(start);
    const endMs = record.timeOf?.(end);
    return startMs === undefined || endMs === undefined ? undefined : Math.floor((endMs - startMs) * perMs);
  });
}

const GRPC = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

/** The status of a gRPC call: `Unavailable`, `UNAVAILABLE` or `14`. */
function grpcReader(argument: string): Result<ValueReader, string> {
  const form = argument === "" ? "CAMEL_STRING" : argument;
  if (!["CAMEL_STRING", "SNAKE_STRING", "NUMBER"].includes(form))
    return err(`%GRPC_STATUS(${argument})% must be CAMEL_STRING, SNAKE_STRING or NUMBER`);
  return ok((record) => {
    if (!/^application\/grpc($|[+;])/.test(record.requestHeaders?.get("content-type") ?? "")) return undefined;
    const text = record.responseTrailers?.get("grpc-status") ?? record.responseHeaders?.get("grpc-status");
    if (text === undefined || !/^\d+$/.test(text)) return undefined;
    if (form === "NUMBER") return Number(text);
    const name = GRPC[Number(text)] ?? text;
    return form === "CAMEL_STRING" ? name : name.replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase();
  });
}

const PATHS = ["ORIG", "PATH", "ORIG_OR_PATH"] as const;
type WhichPath = (typeof PATHS)[number];

function pathOf(record: AccessRecord, which: WhichPath): string | undefined {
  const original = record.requestHeaders?.get("x-envoy-original-path");
  if (which === "ORIG") return original;
  const path = record.requestHeaders?.get(":path");
  return which === "PATH" ? path : (original ?? path);
}

/** `PATH(WQ|NQ:WHICH)`: with or without the query. */
function pathReader(argument: string): Result<ValueReader, string> {
  const [query = "", from = ""] = argument.split(":");
  const which = from === "" ? "ORIG_OR_PATH" : PATHS.find((one) => one === from);
  if (which === undefined || !["", "WQ", "NQ"].includes(query))
    return err(`%PATH(${argument})% must be WQ or NQ, then ORIG, PATH or ORIG_OR_PATH`);
  return ok((record) => (query === "NQ" ? cutQuery(pathOf(record, which)) : pathOf(record, which)));
}

function queryOf(record: AccessRecord, which: WhichPath): URLSearchParams | undefined {
  const path = pathOf(record, which);
  const question = path?.indexOf("?") ?? -1;
  return question === -1 ? undefined : new URLSearchParams(path?.slice(question + 1));
}

/** The query as it came, or decoded. */
function queryReader(argument: string): Result<ValueReader, string> {
  if (!["", "ORIG", "DECODED"].includes(argument)) return err(`%QUERY_PARAMS(${argument})% must be ORIG or DECODED`);
  return ok((record) => {
    const path = pathOf(record, "ORIG_OR_PATH") ?? "";
    const question = path.indexOf("?");
    if (question === -1) return undefined;
    const query = path.slice(question + 1);
    return argument === "DECODED" ? decoded(query) : query;
  });
}

function decoded(text: string): string {
  return text.replace(/%[0-9a-fA-F]{2}/g, (coded) => String.fromCharCode(Number.parseInt(coded.slice(1), 16)));
}

/** The name of the handshake, or of the request's authority. */
function serverNameReader(argument: string): Result<ValueReader, string> {
  const sni: ValueReader = (record) => record.requestedServerName;
  const host: ValueReader = (record) => record.requestHeaders?.get(":authority");
  switch (argument) {
    case "":
    case "SNI_ONLY":
      return ok(sni);
    case "SNI_FIRST":
      return ok((record) => sni(record) || host(record));
    case "HOST_FIRST":
      return ok((record) => host(record) || sni(record));
    default:
      return err(`%REQUESTED_SERVER_NAME(${argument})% must be SNI_ONLY, SNI_FIRST or HOST_FIRST`);
  }
}

/** The first of several operators that has a value. */
function coalesceReader(argument: string): Result<ValueReader, string> {
  const parsed = parseJson(argument);
  const given = parsed.ok && isRecord(parsed.value) ? parsed.value["operators"] : undefined;
  const list: readonly unknown[] = Array.isArray(given) ? given : [];
  if (list.length === 0)
    return err('%COALESCE()% needs {"operators":[{"command":"REQ","param":"x-name"}, "ROUTE_NAME"]}');
  const readers: ValueReader[] = [];
  for (const one of list) {
    const text = operatorText(one);
    const read = text === undefined ? err("%COALESCE()%: an operator has no command") : compileOperator(text);
    if (!read.ok) return read;
    readers.push(read.value);
  }
  return ok((record) => {
    for (const read of readers) {
      const value = read(record);
      if (value !== undefined && value !== "") return value;
    }
    return undefined;
  });
}

function operatorText(one: unknown): string | undefined {
  if (typeof one === "string") return one;
  if (!isRecord(one) || typeof one["command"] !== "string") return undefined;
  const { command, param, max_length: length } = one;
  return `${command}${typeof param === "string" ? `(${param})` : ""}${typeof length === "number" ? `:${length}` : ""}`;
}

/** Optionally the length of a prefix that is kept: `(16)` gives a network. */
function addressReader(from: (record: AccessRecord) => string | undefined): WithArgument {
  return (argument, name) => {
    if (argument === "") return ok((record) => withoutPort(from(record)));
    if (!/^\d{1,3}$/.test(argument)) return err(`%${name}(${argument})% needs the length of a prefix`);
    const bits = Number(argument);
    return ok((record) => {
      const address = withoutPort(from(record));
      return address === undefined ? undefined : maskAddress(address, bits);
    });
  };
}

function validityReader(from: (record: AccessRecord) => number | undefined): WithArgument {
  return (argument) => {
    const read = timeReader(argument, (record) => from(record) ?? 0, "utc");
    return ok((record) => (from(record) === undefined ? undefined : read(record)));
  };
}

const LONG_FLAGS: Readonly<Record<string, string>> = {
  LH: "FailedLocalHealthCheck",
  UH: "NoHealthyUpstream",
  UT: "UpstreamRequestTimeout",
  LR: "LocalReset",
  UR: "UpstreamRemoteReset",
  UF: "UpstreamConnectionFailure",
  UC: "UpstreamConnectionTermination",
  UO: "UpstreamOverflow",
  NR: "NoRouteFound",
  DI: "DelayInjected",
  FI: "FaultInjected",
  RL: "RateLimited",
  UAEX: "UnauthorizedExternalService",
  RLSE: "RateLimitServiceError",
  DC: "DownstreamConnectionTermination",
  URX: "UpstreamRetryLimitExceeded",
  SI: "StreamIdleTimeout",
  IH: "InvalidEnvoyRequestHeaders",
  DPE: "DownstreamProtocolError",
  UMSDR: "UpstreamMaxStreamDurationReached",
  RFCF: "ResponseFromCacheFilter",
  NFCF: "NoFilterConfigFound",
  DT: "DurationTimeout",
  UPE: "UpstreamProtocolError",
  NC: "NoClusterFound",
  OM: "OverloadManagerTerminated",
  DF: "DnsResolutionFailed",
  DO: "DropOverload",
  DR: "DownstreamRemoteReset",
  UDO: "UnconditionalDropOverload",
};

export const RESPONSE_FLAGS: ReadonlySet<string> = new Set(Object.keys(LONG_FLAGS));

function longFlags(flags: string): string {
  return flags === ""
    ? ""
    : flags
        .split(",")
        .map((flag) => LONG_FLAGS[flag] ?? flag)
        .join(",");
}
