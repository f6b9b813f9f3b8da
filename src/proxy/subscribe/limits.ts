// What the xDS client lets a control plane do at most.

/** One response. */
export const RESPONSE_BYTES_MAX = 64 * 1024 * 1024;
/** Names of one kind that are asked for or held. */
export const RESOURCES_MAX = 100_000;
/** A file of resources. */
export const FILE_BYTES_MAX = 64 * 1024 * 1024;
/** The text of one refusal that is sent back. */
export const NACK_CHARS_MAX = 4_096;
export const CONNECT_TIMEOUT_MS = 10_000;
export const RECONNECT_BASE_MS = 200;
export const RECONNECT_MAX_MS = 10_000;
/** A stream that lived this long was a good one: the next failure starts the back-off anew. */
export const STREAM_SETTLED_MS = 10_000;
export const KEEPALIVE_MS = 30_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;
