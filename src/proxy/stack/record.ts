// The access-log record of a request.

import type { AccessRecord } from "../../observe/access-log.ts";
import type { ConnectionInfo } from "./connection-info.ts";
import type { HttpStream } from "./http-stream.ts";
import type { LocalReply } from "./rescue.ts";

export function makeRecord(stream: HttpStream, startWallMs: number): AccessRecord {
  const { info } = stream.connection;
  const { head, response, forward } = stream;
  const original = stream.originalPath;
  return {
    startTimeMs: startWallMs,
    durationMs: stream.nowMs() - stream.startMs,
    responseDurationMs: response === undefined ? undefined : stream.responseMs,
    requestHeaders: {
      get: (name) => (name === "x-envoy-original-path" && original !== head.path ? original : head.get(name)),
    },
    responseHeaders: response,
    protocol: head.http10 ? "HTTP/1.0" : "HTTP/1.1",
    responseCode: response?.status ?? 0,
    responseFlags: stream.flags.join(","),
    responseCodeDetails: stream.details,
    connectionTerminationDetails: undefined,
    upstreamTransportFailureReason: stream.transportFailure,
    bytesReceived: stream.bytesReceived,
    bytesSent: stream.bytesSent,
    attemptCount: forward?.attempts,
    upstreamHost: forward?.host?.address,
    upstreamCluster: forward?.clusterName,
    upstreamLocalAddress: forward?.attempt?.connection?.localAddress,
    downstreamLocalAddress: info.localAddress,
    downstreamRemoteAddress: info.remoteAddress,
    requestedServerName: info.serverName === "" ? undefined : info.serverName,
    routeName: stream.route?.name,
    downstreamPeerUriSan: info.peer?.uris.join(","),
    downstreamLocalUriSan: info.localUri,
    downstreamTlsVersion: info.tlsVersion,
    dynamicMetadata: (namespace) => stream.dynamicMetadata(namespace),
    routeMetadata: (namespace) => stream.route?.metadata?.filterMetadata[namespace],
  };
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
    downstreamPeerUriSan: info.peer?.uris.join(","),
    downstreamLocalUriSan: info.localUri,
    downstreamTlsVersion: info.tlsVersion,
  };
}
