// What is recorded of a request or a TCP connection: everything that a format can name.

/** A header list as the log sees it: names in lower case. A Map will do. */
export interface HeaderLookup {
  get(name: string): string | undefined;
}

/** What a certificate says, read when a format asks for it. */
export interface CertificateView {
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly ipSans: readonly string[];
  readonly emailSans: readonly string[];
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly fingerprint256: string;
  readonly fingerprint1: string;
  readonly pem: string;
  readonly validFromMs: number;
  readonly validToMs: number;
}

export interface TlsView {
  readonly version: string | undefined;
  readonly cipher: string | undefined;
  readonly peer: CertificateView | undefined;
  readonly local: CertificateView | undefined;
}

/** Instants of a request, by Envoy's names: the client (DS) or the host (US), received (RX) or sent (TX). */
export type TimePoint =
  | "DS_RX_BEG"
  | "DS_RX_END"
  | "US_TX_BEG"
  | "US_TX_END"
  | "US_RX_BEG"
  | "US_RX_END"
  | "DS_TX_BEG"
  | "DS_TX_END";

/** Everything a format can name of one request or TCP connection. What doesn't apply is undefined and printed as `-`. */
export interface AccessRecord {
  readonly startTimeMs: number;
  readonly durationMs: number | undefined;
  /** From the start to the last byte of the request. */
  readonly requestDurationMs?: number | undefined;
  /** From the start to the last byte of the request that was sent on. */
  readonly requestTxDurationMs?: number | undefined;
  /** From the start to the first byte of the upstream's response. */
  readonly responseDurationMs?: number | undefined;
  /** With `:method`, `:path`, `:authority`, `:scheme`. Undefined for TCP. */
  readonly requestHeaders: HeaderLookup | undefined;
  readonly responseHeaders: HeaderLookup | undefined;
  readonly responseTrailers?: HeaderLookup | undefined;
  /** Bytes of names and values. */
  readonly requestHeaderBytes?: number | undefined;
  readonly responseHeaderBytes?: number | undefined;
  readonly responseTrailerBytes?: number | undefined;
  /** While a locally generated answer is written. */
  readonly localReplyBody?: string | undefined;
  readonly protocol: string | undefined;
  /** 0 for TCP and for a request that got no response. */
  readonly responseCode: number;
  /** Envoy's short flags, joined by commas: `UH`, `URX,UF`. Empty: none. */
  readonly responseFlags: string;
  readonly responseCodeDetails: string | undefined;
  readonly connectionTerminationDetails: string | undefined;
  readonly upstreamTransportFailureReason: string | undefined;
  readonly downstreamTransportFailureReason?: string | undefined;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly attemptCount?: number | undefined;
  readonly upstreamHost: string | undefined;
  readonly upstreamHostName?: string | undefined;
  readonly upstreamCluster: string | undefined;
  readonly upstreamLocalAddress: string | undefined;
  readonly upstreamProtocol?: string | undefined;
  readonly upstreamTls?: TlsView | undefined;
  readonly downstreamLocalAddress: string | undefined;
  /** Where the client is, as far as headers can be trusted. */
  readonly downstreamRemoteAddress: string | undefined;
  /** The other end of the connection. */
  readonly downstreamDirectRemoteAddress?: string | undefined;
  readonly downstreamTls?: TlsView | undefined;
  readonly requestedServerName: string | undefined;
  readonly routeName: string | undefined;
  readonly filterChainName?: string | undefined;
  readonly connectionId?: number | undefined;
  readonly streamId?: string | undefined;
  readonly traceId?: string | undefined;
  /** `DownstreamEnd`, `TcpConnectionEnd`; absent where nothing is logged. */
  readonly logType?: string | undefined;
  /** Milliseconds of the monotonic clock. */
  readonly timeOf?: (point: TimePoint) => number | undefined;
  /** What filters wrote of this request, by their namespace. */
  readonly dynamicMetadata?: (namespace: string) => unknown;
  readonly routeMetadata?: (namespace: string) => unknown;
  readonly filterState?: (key: string) => string | undefined;
}

export type RecordFormatter = (record: AccessRecord) => string;

/** The format that Istio gives its proxies when the mesh configuration names none. */
export const ISTIO_DEFAULT_FORMAT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% ' +
  '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" ' +
  '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% ' +
  "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";
