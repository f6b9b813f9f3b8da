// The access-log record of a request: read piece by piece, since a format names few of them.

import type { AccessRecord, HeaderLookup, TimePoint, TlsView } from "../../observe/access-record.ts";
import type { ResponseHead } from "../codec/head.ts";
import type { HeaderList } from "../codec/headers.ts";
import { tlsViewOf } from "../socket/identity.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import type { HttpStream } from "./http-stream.ts";
import type { LocalReply } from "./rescue.ts";

/** What is known where the record is made, and not by the stream. */
export interface RecordAbout {
  readonly logType?: string;
  readonly response?: ResponseHead;
  readonly localReplyBody?: string;
}

export class StreamRecord implements AccessRecord {
  readonly #stream: HttpStream;
  readonly startTimeMs: number;
  readonly durationMs: number;
  readonly logType: string | undefined;
  /** The one that is being made, where it is not the stream's yet. */
  readonly responseHeaders: ResponseHead | undefined;
  readonly localReplyBody: string | undefined;

  constructor(stream: HttpStream, startTimeMs: number, about: RecordAbout) {
    this.#stream = stream;
    this.startTimeMs = startTimeMs;
    this.durationMs = stream.nowMs() - stream.startMs;
    this.logType = about.logType;
    this.responseHeaders = about.response ?? stream.response;
    this.localReplyBody = about.localReplyBody;
  }

  get requestDurationMs(): number | undefined {
    return this.#since("DS_RX_END");
  }

  get requestTxDurationMs(): number | undefined {
    return this.#since("US_TX_END");
  }

  get responseDurationMs(): number | undefined {
    return this.#since("US_RX_BEG");
  }

  get requestHeaders(): HeaderLookup {
    return this.#stream.head;
  }

  get requestHeaderBytes(): number {
    const { head } = this.#stream;
    const pseudo = [":authority", head.authority, ":path", head.path, ":method", head.method, ":scheme", head.scheme];
    return bytesOf(head.headers) + pseudo.join("").length;
  }

  get responseHeaderBytes(): number {
    const response = this.responseHeaders;
    return response === undefined ? 0 : bytesOf(response.headers) + ":status200".length;
  }

  get responseTrailers(): HeaderLookup | undefined {
    return this.#stream.responseTrailers;
  }

  get responseTrailerBytes(): number {
    const { responseTrailers } = this.#stream;
    return responseTrailers === undefined ? 0 : bytesOf(responseTrailers);
  }

  get protocol(): string {
    return this.#stream.head.http10 ? "HTTP/1.0" : "HTTP/1.1";
  }

  get responseCode(): number {
    return this.responseHeaders?.status ?? 0;
  }

  get responseFlags(): string {
    return this.#stream.flags.join(",");
  }

  get responseCodeDetails(): string | undefined {
    return this.#stream.details;
  }

  get connectionTerminationDetails(): undefined {
    return undefined;
  }

  get upstreamTransportFailureReason(): string | undefined {
    return this.#stream.transportFailure;
  }

  get bytesReceived(): number {
    return this.#stream.bytesReceived;
  }

  get bytesSent(): number {
    return this.#stream.bytesSent;
  }

  get attemptCount(): number | undefined {
    return this.#stream.forward?.attempts;
  }

  get upstreamHost(): string | undefined {
    return this.#stream.forward?.host?.address;
  }

  get upstreamHostName(): string | undefined {
    const host = this.#stream.forward?.host;
    return host?.endpoint.hostname || host?.address;
  }

  get upstreamCluster(): string | undefined {
    return this.#stream.forward?.clusterName || undefined;
  }

  get upstreamLocalAddress(): string | undefined {
    return this.#stream.forward?.attempt?.connection?.localAddress;
  }

  get upstreamProtocol(): string | undefined {
    return this.#stream.forward?.attempt?.connection === undefined ? undefined : "HTTP/1.1";
  }

  get upstreamTls(): TlsView | undefined {
    const connection = this.#stream.forward?.attempt?.connection;
    return connection === undefined ? undefined : tlsViewOf(connection.socket, connection.peer?.certificate);
  }

  get downstreamLocalAddress(): string {
    return this.#stream.connection.info.localAddress;
  }

  get downstreamRemoteAddress(): string {
    const { remoteIp, connection } = this.#stream;
    const { info } = connection;
    if (remoteIp === "" || remoteIp === info.remoteIp) return info.remoteAddress;
    return remoteIp.includes(":") ? `[${remoteIp}]:0` : `${remoteIp}:0`;
  }

  get downstreamDirectRemoteAddress(): string {
    return this.#stream.connection.info.remoteAddress;
  }

  get downstreamTls(): TlsView | undefined {
    const { info, socket } = this.#stream.connection;
    return info.tls ? tlsViewOf(socket, info.peer?.certificate) : undefined;
  }

  get requestedServerName(): string | undefined {
    return this.#stream.connection.info.serverName || undefined;
  }

  get routeName(): string | undefined {
    return this.#stream.route?.name || undefined;
  }

  get filterChainName(): string | undefined {
    return this.#stream.connection.info.filterChainName || undefined;
  }

  get connectionId(): number {
    return this.#stream.connection.info.id;
  }

  get streamId(): string | undefined {
    return this.#stream.head.headers.get("x-request-id");
  }

  get traceId(): string | undefined {
    return this.#stream.span?.traceId;
  }

  timeOf(point: TimePoint): number | undefined {
    const { startMs, requestEndMs, forward, responseMs, response } = this.#stream;
    switch (point) {
      case "DS_RX_BEG":
        return startMs;
      case "DS_RX_END":
        return requestEndMs;
      case "US_TX_BEG":
        return forward?.attempt?.startMs;
      case "US_TX_END":
        return forward?.attempt?.sentMs || undefined;
      case "US_RX_BEG":
      case "DS_TX_BEG":
        return response === undefined ? undefined : startMs + responseMs;
      case "US_RX_END":
      case "DS_TX_END":
        return startMs + this.durationMs;
    }
  }

  dynamicMetadata(namespace: string): unknown {
    return this.#stream.dynamicMetadata(namespace);
  }

  routeMetadata(namespace: string): unknown {
    return this.#stream.route?.metadata?.filterMetadata[namespace];
  }

  filterState(key: string): string | undefined {
    return key === "envoy.network.application_protocols" ? this.#stream.protocols?.join(",") : undefined;
  }

  #since(point: TimePoint): number | undefined {
    const at = this.timeOf(point);
    return at === undefined ? undefined : at - this.#stream.startMs;
  }
}

function bytesOf(headers: HeaderList): number {
  let bytes = 0;
  for (const text of headers.raw) bytes += text.length;
  return bytes;
}

/** Of bytes that were no request: there is an answer, and nothing that could be called a header. */
export function refusedRecord(reply: LocalReply, info: ConnectionInfo, wallMs: number): AccessRecord {
  return {
    startTimeMs: wallMs,
    durationMs: 0,
    requestHeaders: undefined,
    responseHeaders: undefined,
    protocol: "HTTP/1.1",
    responseCode: reply.status,
    responseFlags: reply.flag,
    responseCodeDetails: reply.details,
    connectionTerminationDetails: undefined,
    upstreamTransportFailureReason: undefined,
    bytesReceived: 0,
    bytesSent: reply.body.length,
    upstreamHost: undefined,
    upstreamCluster: undefined,
    upstreamLocalAddress: undefined,
    downstreamLocalAddress: info.localAddress,
    downstreamRemoteAddress: info.remoteAddress,
    requestedServerName: info.serverName === "" ? undefined : info.serverName,
    routeName: undefined,
    filterChainName: info.filterChainName || undefined,
    connectionId: info.id,
    logType: "DownstreamEnd",
  };
}

/** Of a connection as such, whatever it carried. */
export function connectionRecord(
  info: ConnectionInfo,
  bytes: { readonly received: number; readonly sent: number },
  times: { readonly startTimeMs: number; readonly durationMs: number },
): AccessRecord {
  return {
    ...times,
    requestHeaders: undefined,
    responseHeaders: undefined,
    protocol: undefined,
    responseCode: 0,
    responseFlags: "",
    responseCodeDetails: undefined,
    connectionTerminationDetails: undefined,
    upstreamTransportFailureReason: undefined,
    bytesReceived: bytes.received,
    bytesSent: bytes.sent,
    upstreamHost: undefined,
    upstreamCluster: undefined,
    upstreamLocalAddress: undefined,
    downstreamLocalAddress: info.localAddress,
    downstreamRemoteAddress: info.remoteAddress,
    requestedServerName: info.serverName || undefined,
    routeName: undefined,
    filterChainName: info.filterChainName || undefined,
    connectionId: info.id,
    logType: "TcpConnectionEnd",
  };
}
