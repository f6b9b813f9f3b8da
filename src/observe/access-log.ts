// One line for each request: what is recorded, and Envoy's format strings compiled to a function that writes it.

import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";

/** A header list as the log sees it: names in lower case. A Map will do. */
export interface HeaderLookup {
  get(name: string): string | undefined;
}

/** Everything a format can name of one request or TCP connection. What doesn't apply is undefined and printed as `-`. */
export interface AccessRecord {
  readonly startTimeMs: number;
  readonly durationMs: number | undefined;
  /** From the start to the last byte of the request. */
  readonly requestDurationMs?: number | undefined;
  /** From the start to the first byte of the upstream's response. */
  readonly responseDurationMs?: number | undefined;
  /** With `:method`, `:path`, `:authority`, `:scheme`. Undefined for TCP. */
  readonly requestHeaders: HeaderLookup | undefined;
  readonly responseHeaders: HeaderLookup | undefined;
  readonly responseTrailers?: HeaderLookup | undefined;
  readonly protocol: string | undefined;
  /** 0 for TCP and for a request that got no response. */
  readonly responseCode: number;
  /** Envoy's short flags, joined by commas: `UH`, `URX,UF`. Empty: none. */
  readonly responseFlags: string;
  readonly responseCodeDetails: string | undefined;
  readonly connectionTerminationDetails: string | undefined;
  readonly upstreamTransportFailureReason: string | undefined;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly attemptCount?: number | undefined;
  readonly upstreamHost: string | undefined;
  readonly upstreamCluster: string | undefined;
  readonly upstreamLocalAddress: string | undefined;
  readonly downstreamLocalAddress: string | undefined;
  readonly downstreamRemoteAddress: string | undefined;
  readonly requestedServerName: string | undefined;
  readonly routeName: string | undefined;
  readonly downstreamPeerUriSan?: string | undefined;
  readonly downstreamLocalUriSan?: string | undefined;
  readonly downstreamTlsVersion?: string | undefined;
  readonly traceId?: string | undefined;
  /** What filters wrote of this request, by their namespace. */
  readonly dynamicMetadata?: (namespace: string) => unknown;
  readonly routeMetadata?: (namespace: string) => unknown;
}

export type RecordFormatter = (record: AccessRecord) => string;

/** The format that Istio gives its proxies when the mesh configuration names none. */
export const ISTIO_DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
  "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

/** Compiles a text format; `absent` stands for what a record doesn't have. The error names the operator and what is wrong with it. */
export function compileFormat(format: string, absent = "-"): Result<RecordFormatter, string> {
  const parsed = parsePieces(format);
  if (!parsed.ok) return parsed;
  const pieces = parsed.value.map((piece) => toWriter(piece, absent));
  return ok((record) => {
    let line = "";
    for (const write of pieces) line += write(record);
    return line;
  });
}

/** Compiles a JSON format (a tree whose leaves are format strings). A leaf that is one numeric operator stays a number; the line ends with a newline. */
export function compileJsonFormat(format: unknown): Result<RecordFormatter, string> {
  const compiled = compileNode(format, "");
  if (!compiled.ok) return compiled;
  const node = compiled.value;
  return ok((record) => `${JSON.stringify(node(record))}\n`);
}

type ValueReader = (record: AccessRecord) => string | number | undefined;
type NodeReader = (record: AccessRecord) => unknown;
type Piece = { readonly kind: "text"; readonly text: string } | { readonly kind: "value"; readonly read: ValueReader };

function toWriter(piece: Piece, absent: string): RecordFormatter {
  if (piece.kind === "text") return () => piece.text;
  const { read } = piece;
  return (record) => {
    const value = read(record);
    return value === undefined || value === "" ? absent : typeof value === "string" ? value : String(value);
  };
}

function compileNode(format: unknown, path: string): Result<NodeReader, string> {
  if (typeof format === "string") {
    const parsed = parsePieces(format);
    if (!parsed.ok) return err(path === "" ? parsed.error : `${path}: ${parsed.error}`);
    const [only, ...rest] = parsed.value;
    if (only?.kind === "value" && rest.length === 0) return ok((record) => only.read(record) ?? null);
    const writers = parsed.value.map((piece) => toWriter(piece, "-"));
    return ok((record) => writers.map((write) => write(record)).join(""));
  }
  if (Array.isArray(format)) return compileList(format, path);
  if (typeof format === "object" && format !== null) return compileObject(format, path);
  return ok(() => format);
}

function compileList(format: readonly unknown[], path: string): Result<NodeReader, string> {
  const nodes: NodeReader[] = [];
  for (const [index, item] of format.entries()) {
    const node = compileNode(item, `${path}[${index}]`);
    if (!node.ok) return node;
    nodes.push(node.value);
  }
  return ok((record) => nodes.map((node) => node(record)));
}

function compileObject(format: object, path: string): Result<NodeReader, string> {
  const entries: [string, NodeReader][] = [];
  for (const [key, value] of Object.entries(format)) {
    const node = compileNode(value, path === "" ? key : `${path}.${key}`);
    if (!node.ok) return node;
    entries.push([key, node.value]);
  }
  return ok((record) => Object.fromEntries(entries.map(([key, node]) => [key, node(record)])));
}

function parsePieces(format: string): Result<readonly Piece[], string> {
  const pieces: Piece[] = [];
  let text = "";
  let at = 0;
  while (at < format.length) {
    const percent = format.indexOf("%", at);
    if (percent === -1) {
      text += format.slice(at);
      break;
    }
    text += format.slice(at, percent);
    if (format[percent + 1] === "%") {
      text += "%";
      at = percent + 2;
      continue;
    }
    const end = operatorEnd(format, percent + 1);
    if (end === -1) return err(`"${format.slice(percent)}" begins an operator that has no closing %`);
    const read = compileOperator(format.slice(percent + 1, end));
    if (!read.ok) return read;
    if (text !== "") pieces.push({ kind: "text", text });
    text = "";
    pieces.push({ kind: "value", read: read.value });
    at = end + 1;
  }
  if (text !== "") pieces.push({ kind: "text", text });
  return ok(pieces);
}

/** The closing percent sign; those inside parentheses belong to a time format. */
function operatorEnd(format: string, from: number): number {
  const paren = format.indexOf("(", from);
  const percent = format.indexOf("%", from);
  if (paren === -1 || percent === -1 || percent < paren) return percent;
  const close = format.indexOf(")", paren);
  return close === -1 ? -1 : format.indexOf("%", close);
}

const OPERATOR = /^([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d+))?$/;

function compileOperator(operator: string): Result<ValueReader, string> {
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
  switch (name) {
    case "REQ":
      return headerReader(name, argument, (record) => record.requestHeaders);
    case "RESP":
      return headerReader(name, argument, (record) => record.responseHeaders);
    case "TRAILER":
      return headerReader(name, argument, (record) => record.responseTrailers);
    case "START_TIME":
      return ok(timeReader(argument ?? ""));
    case "DYNAMIC_METADATA":
      return metadataReader(name, argument, (record, namespace) => record.dynamicMetadata?.(namespace));
    case "METADATA":
      return typedMetadataReader(argument ?? "");
  }
  const plain = PLAIN[name];
  if (plain === undefined) {
    return err(
      `%${name}% is not an operator that weft's access log knows: ${Object.keys(PLAIN).join(", ")}, REQ(), RESP(), TRAILER(), START_TIME, DYNAMIC_METADATA(), METADATA()`,
    );
  }
  if (argument !== undefined) return err(`%${name}% takes no argument, got (${argument})`);
  return ok(plain);
}

const PLAIN: Readonly<Record<string, ValueReader>> = {
  PROTOCOL: (r) => r.protocol,
  RESPONSE_CODE: (r) => r.responseCode,
  RESPONSE_FLAGS: (r) => r.responseFlags,
  RESPONSE_CODE_DETAILS: (r) => r.responseCodeDetails?.replaceAll(" ", "_"),
  CONNECTION_TERMINATION_DETAILS: (r) => r.connectionTerminationDetails,
  UPSTREAM_TRANSPORT_FAILURE_REASON: (r) => r.upstreamTransportFailureReason,
  BYTES_RECEIVED: (r) => r.bytesReceived,
  BYTES_SENT: (r) => r.bytesSent,
  DURATION: (r) => rounded(r.durationMs),
  REQUEST_DURATION: (r) => rounded(r.requestDurationMs),
  RESPONSE_DURATION: (r) => rounded(r.responseDurationMs),
  RESPONSE_TX_DURATION: (r) =>
    r.durationMs === undefined || r.responseDurationMs === undefined
      ? undefined
      : rounded(r.durationMs - r.responseDurationMs),
  UPSTREAM_REQUEST_ATTEMPT_COUNT: (r) => r.attemptCount ?? 0,
  UPSTREAM_HOST: (r) => r.upstreamHost,
  UPSTREAM_REMOTE_ADDRESS: (r) => r.upstreamHost,
  UPSTREAM_CLUSTER: (r) => r.upstreamCluster,
  UPSTREAM_CLUSTER_RAW: (r) => r.upstreamCluster,
  UPSTREAM_LOCAL_ADDRESS: (r) => r.upstreamLocalAddress,
  DOWNSTREAM_LOCAL_ADDRESS: (r) => r.downstreamLocalAddress,
  DOWNSTREAM_LOCAL_PORT: (r) => port(r.downstreamLocalAddress),
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: (r) => withoutPort(r.downstreamLocalAddress),
  DOWNSTREAM_REMOTE_ADDRESS: (r) => r.downstreamRemoteAddress,
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: (r) => withoutPort(r.downstreamRemoteAddress),
  DOWNSTREAM_REMOTE_PORT: (r) => port(r.downstreamRemoteAddress),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: (r) => r.downstreamRemoteAddress,
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: (r) => withoutPort(r.downstreamRemoteAddress),
  DOWNSTREAM_PEER_URI_SAN: (r) => r.downstreamPeerUriSan,
  DOWNSTREAM_LOCAL_URI_SAN: (r) => r.downstreamLocalUriSan,
  DOWNSTREAM_TLS_VERSION: (r) => r.downstreamTlsVersion,
  REQUESTED_SERVER_NAME: (r) => r.requestedServerName,
  ROUTE_NAME: (r) => r.routeName,
  TRACE_ID: (r) => r.traceId,
};

/** `REQ(A?B)`: A, or B where A is absent. */
function headerReader(
  operator: string,
  argument: string | undefined,
  from: (record: AccessRecord) => HeaderLookup | undefined,
): Result<ValueReader, string> {
  const [main = "", alternative = "", ...more] = (argument ?? "").toLowerCase().split("?");
  if (main === "" || more.length > 0) {
    return err(`%${operator}% needs the name of a header: %${operator}(X-NAME)% or %${operator}(X-NAME?ALTERNATIVE)%`);
  }
  if (alternative === "") return ok((record) => from(record)?.get(main));
  return ok((record) => {
    const headers = from(record);
    return headers?.get(main) ?? headers?.get(alternative);
  });
}

/** `NAMESPACE:KEY:KEY`: text as it is, everything else as JSON. */
function metadataReader(
  operator: string,
  argument: string | undefined,
  from: (record: AccessRecord, namespace: string) => unknown,
): Result<ValueReader, string> {
  const [namespace = "", ...keys] = (argument ?? "").split(":");
  if (namespace === "") return err(`%${operator}% needs a namespace: %${operator}(NAMESPACE:KEY)%`);
  return ok((record) => {
    let value: unknown = from(record, namespace);
    for (const key of keys) value = isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    if (value === undefined || value === null) return undefined;
    return typeof value === "string" || typeof value === "number" ? value : JSON.stringify(value);
  });
}

function typedMetadataReader(argument: string): Result<ValueReader, string> {
  const colon = argument.indexOf(":");
  const kind = argument.slice(0, Math.max(colon, 0));
  const rest = argument.slice(colon + 1);
  if (kind === "DYNAMIC") return metadataReader("METADATA", rest, (record, name) => record.dynamicMetadata?.(name));
  if (kind === "ROUTE") return metadataReader("METADATA", rest, (record, name) => record.routeMetadata?.(name));
  return err(`%METADATA(${argument})% is not known here: it must begin with DYNAMIC: or ROUTE:`);
}

function timeReader(format: string): ValueReader {
  if (format === "") return (record) => new Date(record.startTimeMs).toISOString();
  return (record) => formatTime(new Date(record.startTimeMs), format);
}

/** Envoy's strftime: the usual letters, `%s` for seconds since the epoch, `%f`, `%3f`, `%6f`, `%9f` for fractions. */
function formatTime(time: Date, format: string): string {
  const iso = time.toISOString();
  return format.replace(/%([369]?)([YmdHMSsfFTz%])/g, (whole, digits: string, letter: string) => {
    switch (letter) {
      case "Y":
        return iso.slice(0, 4);
      case "m":
        return iso.slice(5, 7);
      case "d":
        return iso.slice(8, 10);
      case "H":
        return iso.slice(11, 13);
      case "M":
        return iso.slice(14, 16);
      case "S":
        return iso.slice(17, 19);
      case "F":
        return iso.slice(0, 10);
      case "T":
        return iso.slice(11, 19);
      case "z":
        return "+0000";
      case "s":
        return String(Math.floor(time.getTime() / 1000));
      case "f":
        return iso
          .slice(20, 23)
          .padEnd(9, "0")
          .slice(0, digits === "" ? 9 : Number(digits));
      case "%":
        return "%";
      default:
        return whole;
    }
  });
}

function rounded(durationMs: number | undefined): number | undefined {
  return durationMs === undefined ? undefined : Math.round(durationMs);
}

function withoutPort(address: string | undefined): string | undefined {
  const colon = address?.lastIndexOf(":") ?? -1;
  return colon === -1 ? address : address?.slice(0, colon);
}

function port(address: string | undefined): string | undefined {
  const colon = address?.lastIndexOf(":") ?? -1;
  return colon === -1 ? undefined : address?.slice(colon + 1);
}
