// Bounds of the data path. Each has its unit in its name; configuration can lower or raise those that Envoy lets it.

/** Bytes of a request's head; Envoy's `max_request_headers_kb` of 60. */
export const HEAD_BYTES_MAX = 60 * 1024;
/** Bytes of a response's head, as in Envoy. */
export const RESPONSE_HEAD_BYTES_MAX = 80 * 1024;
/** Header lines of a message; Envoy's `max_headers_count`. */
export const HEADERS_COUNT_MAX = 100;
/** Bytes of a chunk-size line with its extensions. */
export const CHUNK_LINE_BYTES_MAX = 4096;
/** Bytes of the trailer section of a chunked body. */
export const TRAILER_BYTES_MAX = 16 * 1024;
/** Bytes that a client may send ahead (pipelined) before its socket is paused. */
export const PIPELINED_BYTES_MAX = 64 * 1024;
/** Bytes of a request kept for a retry or for an upstream that is not connected yet; Envoy's `per_connection_buffer_limit_bytes`. */
export const BUFFERED_BODY_BYTES_MAX = 1024 * 1024;
/** How long a host may ask for rest before a try is made again; Envoy's `rate_limited_retry_back_off.max_interval`. */
export const RESET_MAX_MS = 300_000;
/** First bytes of a connection looked at before its protocol must be clear. */
export const SNIFF_BYTES_MAX = 64 * 1024;
/** How long a sniffed connection's client may be silent before the TCP upstream is dialled, so that a server that speaks first is heard. */
export const SPECULATE_AFTER_MS = 5;
/** Destinations remembered as speaking first, so that their next connection is dialled at once. */
export const SERVER_FIRST_MEMORY_MAX = 1024;
/** Pieces of a body up to this size become text beside their head; larger ones are written from where they were read. */
export const JOINED_BODY_BYTES_MAX = 2 * 1024;
/** Bytes that may wait for a slow peer before whoever produces them is held back. */
export const OUTBOX_BYTES_MAX = 64 * 1024;
/** Bytes taken from a socket in one read. */
export const READ_BYTES_MAX = 64 * 1024;
/** A read of this size is taken for part of a stream of large ones. */
export const BULK_READ_BYTES_MIN = 16 * 1024;
/** Bytes of a TLS record's content: no read of a decrypted stream brings more. */
export const TLS_RECORD_BYTES_MAX = 16 * 1024;
/** Buffers of each size that are kept for the next large read. */
export const FREE_READ_BUFFERS_MAX = 16;
/** Reads below that size before a socket gives its own buffer up. */
export const SMALL_READS_MAX = 16;
/** Views of the buffer that all sockets read into. */
export const VIEWS_MAX = 256;
/** Pieces up to this size are copied when they are kept, larger ones keep their buffer. */
export const COPIED_BYTES_MAX = 4 * 1024;
/** A clean response is followed by this much reading of what the client still sends, so that it sees the answer rather than a reset. */
export const LINGER_MS = 1000;
/** Bytes of the body of a direct response; Envoy's `max_direct_response_body_size_bytes`. */
export const DIRECT_RESPONSE_BYTES_MAX = 4096;
/** Certificates of a client's chain that are told to the host. */
export const CHAIN_DEPTH_MAX = 10;
/** A client that takes none of its last answer for this long is cut off. */
export const UNSENT_MS_MAX = 30_000;
/** A client that has ended its side waits for its answer; when nothing could be written to it for this long, it is taken to be gone. */
export const HALF_CLOSED_MS = 2000;
/** A log file that can't be written to is opened again after this long. */
export const ACCESS_LOG_RETRY_MS = 1000;
/** How long a client may take for its TLS handshake. */
export const HANDSHAKE_MS = 15_000;
/** Connections accepted before the memory is looked at again, where an overload manager watches it. */
export const CONNECTIONS_BEFORE_LOOK = 64;
/** TLS sessions remembered for each upstream cluster. */
export const TLS_SESSIONS_MAX = 256;
/** Hosts of an ORIGINAL_DST cluster. */
export const ORIGINAL_DST_HOSTS_MAX = 4096;
/** Connection pools of one host: one for each list of application protocols that requests ask for. */
export const POOLS_PER_HOST_MAX = 16;
/** Entries of a hash ring or maglev table. */
export const HASH_TABLE_SIZE_MAX = 8 * 1024 * 1024;
/** Combinations of what one filter chain matches that are compared with those of the others. */
export const CHAIN_KEYS_MAX = 100_000;
/** Sets of access rules (a filter's, and those of routes) whose part for one connection is remembered. */
export const NARROWED_RULES_MAX = 16;
/** Policies of which a refusal tells why they did not match, and characters of what it tells of a value. */
export const EXPLAINED_POLICIES_MAX = 8;
export const EXPLAINED_TEXT_CHARS_MAX = 128;
/** From so many policies on, requests look theirs up rather than at each. */
export const INDEXED_POLICIES_MIN = 4;
/** Depth of nested matchers (RBAC's and/or/not). */
export const MATCHER_DEPTH_MAX = 32;
/** Descriptors of one local rate limit: each has a bucket. */
export const RATE_LIMIT_DESCRIPTORS_MAX = 1024;
/** Verified tokens remembered for one provider, whatever the configuration says. */
export const JWT_CACHE_TOKENS_MAX = 10_000;
/** Bytes of a key set that is fetched. */
export const JWKS_BYTES_MAX = 1024 * 1024;
/** Requests that wait for one fetch of keys; beyond it they are answered as if it had failed. */
export const JWKS_WAITING_MAX = 1024;
/** Bytes of a request's body that an external authorizer may be given. */
export const AUTHZ_BODY_BYTES_MAX = 1024 * 1024;
/** Bytes of an external authorizer's answer. */
export const AUTHZ_ANSWER_BYTES_MAX = 64 * 1024;
/** Lines waiting for a slow access-log file. Beyond it lines are dropped and counted. */
export const ACCESS_LOG_BYTES_MAX = 1024 * 1024;
/** Clusters whose circuit breakers' counts the workers of one process can share; those beyond are counted by each worker. */
export const SHARED_CLUSTERS_MAX = 8192;
/** How long a worker may take for an update before it is refused. */
export const WORKER_TAKES_MS = 10_000;
/** How long the admin interface waits for what the workers counted. */
export const COLLECT_MS = 2000;
/** How often a process that ends looks whether something is active. */
export const DRAIN_LOOK_MS = 50;
/** A connection of a process that ends is ended when it had no request for so long. */
export const DRAIN_IDLE_MS = 1000;
/** Time limits of streams up to this are kept by timers of their own, longer ones by the look at everything. */
export const SHORT_TIMEOUT_MS = 10_000;
/** How often idle connections and streams are looked at. */
export const SWEEP_MS = 1000;
/** How long a listener or cluster waits for what it refers to before it starts without. */
export const WARMING_MS_MAX = 15_000;
/** Subsets that the metadata of one cluster's hosts may make for one selector; hosts of further ones are in none. */
export const SUBSETS_MAX = 4096;
/** A connection is given up at most this long before its peer would close it. */
export const KEEP_ALIVE_MARGIN_MS_MAX = 1000;
/** How long a peer's idle timeout that was learnt by watching is believed. */
export const KEEP_ALIVE_MEMORY_MS = 600_000;
/** Idle limits below this are looked at when a connection is taken, longer ones by the sweep. */
export const SHORT_IDLE_MS = 60_000;
/** Connections that one request may cause to be made ahead. */
export const PRECONNECTS_MAX = 3;
/** Finished spans that wait for one backend; beyond it they are dropped and counted. */
export const SPANS_WAITING_MAX = 4096;
/** Spans of one report to a collector. */
export const SPANS_REPORTED_MAX = 512;
/** Reports that are under way to one collector; while they are, spans wait. */
export const REPORTS_UNDER_WAY_MAX = 4;
/** How long the first of some spans waits for the others. */
export const SPANS_WAIT_MS = 1000;
/** Entries of access logs that wait for one collector, those of one report, and how long the first waits for the others. */
export const LOG_ENTRIES_WAITING_MAX = 4096;
export const LOG_ENTRIES_REPORTED_MAX = 256;
export const LOG_ENTRIES_WAIT_MS = 1000;
/** Collectors of access logs that one proxy speaks to. */
export const LOG_COLLECTORS_MAX = 16;
/** Bytes of a collector's answer. */
export const REPORT_ANSWER_BYTES_MAX = 64 * 1024;
/** Bytes of a datagram to a Jaeger agent: few fragments, so that one lost packet costs few spans. */
export const AGENT_DATAGRAM_BYTES_MAX = 8 * 1024;
/** How long a process that ends waits for its last spans to be taken, and how often it looks. */
export const SPANS_SETTLE_MS = 1000;
export const SPANS_LOOK_MS = 10;
/** Requests, and failed ones beside them, that the admin interface still tells of; each is about 700 bytes of text. */
export const RECENT_REQUESTS_MAX = 512;
export const RECENT_FAILURES_MAX = 256;
/** Of each of the two, as many are taken in one second; the others are counted. */
export const RECENT_PER_SECOND_MAX = 100;
/** Of a path, a header or an error text that is remembered. */
export const RECENT_TEXT_CHARS_MAX = 512;
/** Tries of one request that are told one by one. */
export const FAILED_TRIES_MAX = 16;
/** Routes of one connection manager whose counters are remembered; those of others are found anew for each request. */
export const ROUTE_STATS_MAX = 1024;
/** Peers that Istio's metrics tell apart, for each side; further ones are counted as unknown. */
export const ISTIO_PEERS_MAX = 1024;
/** Codes and flags that they tell apart for one peer; what is beyond shares the last. */
export const ISTIO_CODES_MAX = 64;
/** Bytes: of the head of an answer to a CONNECT ahead of a TCP session. */
export const TUNNEL_ANSWER_BYTES_MAX = 16_384;
