// What the agent allows itself, its peers and the application.

export const CA_CALL_TIMEOUT_MS = 10_000;
export const CA_RETRY_BASE_MS = 500;
export const CA_RETRY_MAX_MS = 30_000;
/** How often the wall clock is compared with the certificate: a machine that slept, or whose clock was set, recovers within this. */
export const CERTIFICATE_CHECK_MS = 30_000;
/** Renewal falls at this part of the lifetime, give or take the jitter. */
export const GRACE_RATIO = 0.5;
export const GRACE_JITTER = 0.01;
export const CERTIFICATE_LIFETIME_MAX_SECONDS = 90 * 86_400;
/** Within this all workloads ask for a certificate of a new root. */
export const ROOT_CHANGE_SPREAD_MS = 5_000;
/** Two renewals are at least this far apart, even where the clocks of both sides disagree. */
export const RENEWAL_SPACING_MS = 5_000;
export const FILE_BYTES_MAX = 1024 * 1024;
export const PROBE_TIMEOUT_MS = 1_000;
export const PROBE_TIMEOUT_MAX_MS = 60_000;
export const PROBES_MAX = 64;
export const APP_METRICS_BYTES_MAX = 16 * 1024 * 1024;
export const APP_METRICS_TIMEOUT_MS = 5_000;
export const CONNECTIONS_MAX = 128;
export const DRAIN_MS = 5_000;
export const DRAIN_MAX_MS = 3_600_000;

/** How often a sidecar looks at its memory. */
export const OVERLOAD_REFRESH_MS = 250;
export const XDS_CONNECT_TIMEOUT_S = 10;
export const XDS_KEEPALIVE_S = 30;
/** What Envoy may send at once: a batch of its access log, or of spans. */
export const ENVOY_MESSAGE_BYTES_MAX = 4 * 1024 * 1024;
/** A question to Envoy's admin interface. */
export const ADMIN_TIMEOUT_MS = 2_000;
/** All of Envoy's statistics as Prometheus has them. */
export const ADMIN_BYTES_MAX = 64 * 1024 * 1024;
/** A unix socket's path can't be longer. */
export const SOCKET_PATH_BYTES_MAX = 100;
/** While draining: how often the connections that are left are counted. */
export const DRAIN_CHECK_MS = 250;
/** After SIGTERM, how long until Envoy is killed. */
export const ENVOY_KILL_MS = 2_000;
/** Series of Istio's metrics; beyond them one overflow handle counts. */
export const ISTIO_SERIES_MAX = 20_000;
/** What a peer may say of itself. */
export const PEER_BYTES_MAX = 8 * 1024;
/** Peers whose metadata is kept in its read form. */
export const PEERS_MAX = 2_000;
/** TCP connections whose bytes are told while they are open. */
export const TCP_STREAMS_MAX = 10_000;
/** Bytes of a datagram to a Jaeger agent: few fragments, so that one lost packet costs few spans. */
export const JAEGER_DATAGRAM_BYTES_MAX = 8 * 1024;
/** Envoy keeps a span at most this long. */
export const SPAN_FLUSH_MS = 500;
