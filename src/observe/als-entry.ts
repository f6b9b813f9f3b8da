// An access record as Envoy's access log service takes it: as a message, from what a format could name.

import type { Address } from "../proto/gen/envoy/config/core/v3/address.ts";
import { RequestMethod } from "../proto/gen/envoy/config/core/v3/base.ts";
import {
  AccessLogCommon,
  AccessLogType,
  HTTPAccessLogEntry,
  HTTPAccessLogEntry_HTTPVersion,
  ResponseFlags,
  TCPAccessLogEntry,
} from "../proto/gen/envoy/data/accesslog/v3/accesslog.ts";
import type { Duration } from "../proto/gen/google/protobuf/duration.ts";
import type { AccessRecord, HeaderLookup } from "./access-record.ts";
import { portOf, withoutPort } from "./address.ts";

export interface LoggedHeaders {
  readonly requestHeaders: readonly string[];
  readonly responseHeaders: readonly string[];
  readonly responseTrailers: readonly string[];
}

export function httpEntry(record: AccessRecord, headers: LoggedHeaders): HTTPAccessLogEntry {
  const { requestHeaders, responseHeaders } = record;
  const header = (name: string): string => requestHeaders?.get(name) ?? "";
  return HTTPAccessLogEntry.fromPartial({
    commonProperties: commonOf(record),
    protocolVersion:
      record.protocol === "HTTP/1.0" ? HTTPAccessLogEntry_HTTPVersion.HTTP10 : HTTPAccessLogEntry_HTTPVersion.HTTP11,
    request: {
      requestMethod: methodOf(header(":method")),
      scheme: header(":scheme"),
      authority: header(":authority"),
      path: header(":path"),
      userAgent: header("user-agent"),
      referer: header("referer"),
      forwardedFor: header("x-forwarded-for"),
      requestId: header("x-request-id"),
      originalPath: header("x-envoy-original-path"),
      requestHeadersBytes: record.requestHeaderBytes ?? 0,
      requestBodyBytes: record.bytesReceived,
      requestHeaders: chosen(requestHeaders, headers.requestHeaders),
    },
    response: {
      responseCode: record.responseCode,
      responseHeadersBytes: record.responseHeaderBytes ?? 0,
      responseBodyBytes: record.bytesSent,
      responseHeaders: chosen(responseHeaders, headers.responseHeaders),
      responseTrailers: chosen(record.responseTrailers, headers.responseTrailers),
      responseCodeDetails: record.responseCodeDetails ?? "",
    },
  });
}

export function tcpEntry(record: AccessRecord): TCPAccessLogEntry {
  return TCPAccessLogEntry.fromPartial({
    commonProperties: commonOf(record),
    connectionProperties: { receivedBytes: record.bytesReceived, sentBytes: record.bytesSent },
  });
}

function commonOf(record: AccessRecord): AccessLogCommon {
  const { downstreamTls } = record;
  const common = AccessLogCommon.fromPartial({
    startTime: new Date(record.startTimeMs),
    upstreamCluster: record.upstreamCluster ?? "",
    upstreamTransportFailureReason: record.upstreamTransportFailureReason ?? "",
    downstreamTransportFailureReason: record.downstreamTransportFailureReason ?? "",
    connectionTerminationDetails: record.connectionTerminationDetails ?? "",
    routeName: record.routeName ?? "",
    upstreamRequestAttemptCount: record.attemptCount ?? 0,
    streamId: record.streamId ?? "",
    accessLogType: typeOf(record.logType),
    responseFlags: flagsOf(record.responseFlags),
  });
  common.downstreamRemoteAddress = addressOf(record.downstreamRemoteAddress);
  common.downstreamDirectRemoteAddress = addressOf(record.downstreamDirectRemoteAddress);
  common.downstreamLocalAddress = addressOf(record.downstreamLocalAddress);
  common.upstreamRemoteAddress = addressOf(record.upstreamHost);
  common.upstreamLocalAddress = addressOf(record.upstreamLocalAddress);
  common.duration = durationOf(record.durationMs);
  common.timeToLastRxByte = durationOf(record.requestDurationMs);
  common.timeToLastUpstreamTxByte = durationOf(record.requestTxDurationMs);
  common.timeToFirstUpstreamRxByte = durationOf(record.responseDurationMs);
  common.timeToLastDownstreamTxByte = durationOf(record.durationMs);
  if (downstreamTls !== undefined) {
    const names = (uris: readonly string[] | undefined) => ({
      subjectAltName: (uris ?? []).map((uri) => ({ san: { $case: "uri" as const, value: uri } })),
    });
    common.tlsProperties = AccessLogCommon.fromPartial({
      tlsProperties: {
        tlsSniHostname: record.requestedServerName ?? "",
        peerCertificateProperties: names(downstreamTls.peer?.uriSans),
        localCertificateProperties: names(downstreamTls.local?.uriSans),
      },
    }).tlsProperties;
  }
  return common;
}

function typeOf(name: string | undefined): AccessLogType {
  switch (name) {
    case "DownstreamStart":
      return AccessLogType.DownstreamStart;
    case "DownstreamEnd":
      return AccessLogType.DownstreamEnd;
    case "TcpConnectionEnd":
      return AccessLogType.TcpConnectionEnd;
    default:
      return AccessLogType.NotSet;
  }
}

function addressOf(address: string | undefined): Address | undefined {
  const port = portOf(address);
  if (address === undefined || port === undefined) return undefined;
  return {
    address: {
      $case: "socketAddress",
      value: {
        protocol: 0,
        address: (withoutPort(address) ?? "").replace(/^\[|\]$/g, ""),
        portSpecifier: { $case: "portValue", value: port },
        resolverName: "",
        ipv4Compat: false,
      },
    },
  };
}

function durationOf(ms: number | undefined): Duration | undefined {
  if (ms === undefined) return undefined;
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

const METHODS: ReadonlyMap<string, RequestMethod> = new Map(
  Object.entries(RequestMethod).filter((entry): entry is [string, RequestMethod] => typeof entry[1] === "number"),
);

function methodOf(method: string): RequestMethod {
  return METHODS.get(method) ?? RequestMethod.METHOD_UNSPECIFIED;
}

function chosen(from: HeaderLookup | undefined, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = from?.get(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

type Flag = Exclude<keyof ResponseFlags, "unauthorizedDetails">;

/** Envoy's short names. */
const FLAGS: Readonly<Record<string, Flag>> = {
  LH: "failedLocalHealthcheck",
  UH: "noHealthyUpstream",
  UT: "upstreamRequestTimeout",
  LR: "localReset",
  UR: "upstreamRemoteReset",
  UF: "upstreamConnectionFailure",
  UC: "upstreamConnectionTermination",
  UO: "upstreamOverflow",
  NR: "noRouteFound",
  DI: "delayInjected",
  FI: "faultInjected",
  RL: "rateLimited",
  RLSE: "rateLimitServiceError",
  DC: "downstreamConnectionTermination",
  URX: "upstreamRetryLimitExceeded",
  SI: "streamIdleTimeout",
  IH: "invalidEnvoyRequestHeaders",
  DPE: "downstreamProtocolError",
  UMSDR: "upstreamMaxStreamDurationReached",
  NFCF: "noFilterConfigFound",
  DT: "durationTimeout",
  UPE: "upstreamProtocolError",
  NC: "noClusterFound",
  OM: "overloadManager",
  DF: "dnsResolutionFailure",
  DR: "downstreamRemoteReset",
};
/** ResponseFlags.Unauthorized.Reason. */
const EXTERNAL_SERVICE = 1;

function flagsOf(text: string): ResponseFlags {
  const flags = ResponseFlags.fromPartial({});
  for (const short of text.split(",")) {
    const name = FLAGS[short];
    if (name !== undefined) flags[name] = true;
    if (short === "UAEX") flags.unauthorizedDetails = { reason: EXTERNAL_SERVICE };
  }
  return flags;
}
