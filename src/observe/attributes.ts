// Envoy's attributes of a request or connection, by which expressions ask for what a record holds.

import type { AccessRecord, CertificateView, HeaderLookup } from "./access-record.ts";
import { portOf } from "./address.ts";
import { type Attributes, type CelMap, Duration, type Evaluated } from "./cel.ts";

export const RECORD_ATTRIBUTES: Attributes<AccessRecord> = {
  request: {
    path: (r) => r.requestHeaders?.get(":path"),
    url_path: (r) => r.requestHeaders?.get(":path")?.split("?", 1)[0],
    query: (r) => r.requestHeaders?.get(":path")?.split("?").slice(1).join("?"),
    host: (r) => r.requestHeaders?.get(":authority"),
    scheme: (r) => r.requestHeaders?.get(":scheme"),
    method: (r) => r.requestHeaders?.get(":method"),
    headers: (r) => headers(r.requestHeaders),
    referer: (r) => r.requestHeaders?.get("referer"),
    useragent: (r) => r.requestHeaders?.get("user-agent"),
    id: (r) => r.requestHeaders?.get("x-request-id"),
    protocol: (r) => r.protocol,
    size: (r) => r.bytesReceived,
    total_size: (r) => r.bytesReceived + (r.requestHeaderBytes ?? 0),
    duration: (r) => (r.durationMs === undefined ? undefined : new Duration(r.durationMs)),
  },
  response: {
    code: (r) => (r.requestHeaders === undefined && r.responseCode === 0 ? undefined : r.responseCode),
    code_details: (r) => r.responseCodeDetails,
    headers: (r) => headers(r.responseHeaders),
    trailers: (r) => headers(r.responseTrailers),
    grpc_status: (r) => numeric(r.responseTrailers?.get("grpc-status") ?? r.responseHeaders?.get("grpc-status")),
    size: (r) => r.bytesSent,
    total_size: (r) => r.bytesSent + (r.responseHeaderBytes ?? 0) + (r.responseTrailerBytes ?? 0),
    backend_latency: (r) => (r.responseDurationMs === undefined ? undefined : new Duration(r.responseDurationMs)),
  },
  connection: {
    id: (r) => r.connectionId,
    mtls: (r) => r.downstreamTls?.peer !== undefined,
    requested_server_name: (r) => r.requestedServerName ?? "",
    tls_version: (r) => r.downstreamTls?.version,
    subject_local_certificate: (r) => r.downstreamTls?.local?.subject,
    subject_peer_certificate: (r) => r.downstreamTls?.peer?.subject,
    dns_san_local_certificate: (r) => first(r.downstreamTls?.local, "dnsSans"),
    dns_san_peer_certificate: (r) => first(r.downstreamTls?.peer, "dnsSans"),
    uri_san_local_certificate: (r) => first(r.downstreamTls?.local, "uriSans"),
    uri_san_peer_certificate: (r) => first(r.downstreamTls?.peer, "uriSans"),
    sha256_peer_certificate_digest: (r) => r.downstreamTls?.peer?.fingerprint256,
    termination_details: (r) => r.connectionTerminationDetails,
  },
  source: {
    address: (r) => r.downstreamRemoteAddress,
    port: (r) => portOf(r.downstreamRemoteAddress),
  },
  destination: {
    address: (r) => r.downstreamLocalAddress,
    port: (r) => portOf(r.downstreamLocalAddress),
  },
  upstream: {
    address: (r) => r.upstreamHost,
    local_address: (r) => r.upstreamLocalAddress,
    tls_version: (r) => r.upstreamTls?.version,
    transport_failure_reason: (r) => r.upstreamTransportFailureReason,
    request_attempt_count: (r) => r.attemptCount,
  },
  xds: {
    cluster_name: (r) => r.upstreamCluster,
    route_name: (r) => r.routeName,
    filter_chain_name: (r) => r.filterChainName,
  },
};

/** Without pseudo-headers, which are attributes of their own. */
function headers(list: HeaderLookup | undefined): CelMap | undefined {
  return list === undefined ? undefined : { get: (name) => list.get(name.toLowerCase()) };
}

function numeric(value: string | number | undefined): Evaluated {
  return value === undefined || value === "" || Number.isNaN(Number(value)) ? undefined : Number(value);
}

function first(certificate: CertificateView | undefined, key: "dnsSans" | "uriSans"): Evaluated {
  return certificate?.[key][0];
}
