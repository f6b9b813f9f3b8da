// The bounds of the local cluster's API.

/** A request's body; Kubernetes' own limit. */
export const BODY_BYTES_MAX = 3 * 1024 * 1024;
export const HEADER_BYTES_MAX = 32 * 1024;
/** Depth of a JSON or YAML value: far beyond any resource, far below the stack. */
export const BODY_DEPTH_MAX = 200;
/** Changes that a watch can still resume from. */
export const HISTORY_EVENTS_MAX = 10_000;
export const WATCHES_MAX = 2_000;
/** What one watch may have in its socket's buffer before it is ended; the client lists again. */
export const WATCH_BUFFER_BYTES_MAX = 16 * 1024 * 1024;
export const WATCH_TIMEOUT_MS_DEFAULT = 45 * 60_000;
export const BOOKMARK_INTERVAL_MS = 60_000;
export const LIST_PAGE_MAX = 10_000;
/** A patch or a status write that meets a concurrent write is tried again this often. */
export const CONFLICT_RETRIES_MAX = 5;
export const EVENT_AGE_MAX_MS = 60 * 60_000;
export const EVENT_SWEEP_INTERVAL_MS = 60_000;
export const REQUEST_TIMEOUT_MS = 60_000;
/** How long a TLS handshake and a request's head may take. */
export const HANDSHAKE_TIMEOUT_MS = 10_000;
export const HEAD_TIMEOUT_MS = 10_000;
/** How often that is looked at. */
export const TIMEOUT_CHECK_MS = 2_000;
export const CONNECTIONS_MAX = 2_000;
export const TOKEN_SECONDS_MIN = 600;
export const TOKEN_SECONDS_MAX = 24 * 3600;
export const EXEC_SESSIONS_MAX = 100;
/** Bytes a slow exec or log reader may leave unread before the process behind it has to wait. */
export const STREAM_BUFFER_BYTES_MAX = 1024 * 1024;
export const JSON_PATCH_OPERATIONS_MAX = 10_000;
export const EXEC_ARGUMENTS_MAX = 1_000;
/** What a webhook may answer, in bytes. */
export const WEBHOOK_ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** Depth of the schema of a user's kind. */
export const SCHEMA_DEPTH_MAX = 40;
/** Compiled CEL rules that are kept. */
export const CEL_RULES_MAX = 2_000;
/** Writers by update that an object remembers by name; older ones are counted as one. Kubernetes' own. */
export const MANAGERS_MAX = 10;
/** A writer's name in metadata.managedFields, in characters. Kubernetes' own. */
export const MANAGER_CHARS_MAX = 128;
/** Streams of one port-forward; each forwarded connection has two. */
export const TUNNEL_STREAMS_MAX = 512;
/** One frame of a tunnel, in bytes. */
export const TUNNEL_FRAME_BYTES_MAX = 1024 * 1024;
/** Columns or rows of a terminal: the kernel keeps 16 bits of each. */
export const TERMINAL_SIDE_MAX = 65_535;
/** What a request that is handed on to a pod or service may take; a CPU profile takes its time. */
export const PROXIED_TIMEOUT_MS = 90_000;
