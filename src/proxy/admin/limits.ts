// What a client of the admin interface can't exceed.

export const CONNECTIONS_MAX = 64;
export const HEADER_BYTES_MAX = 16_384;
export const REQUEST_TIMEOUT_MS = 10_000;
/** Keys that /runtime_modify may have set at one time. */
export const RUNTIME_KEYS_MAX = 1_000;
/** Recent requests that are told where no limit is given. */
export const REQUESTS_SHOWN = 100;
/** Of a filter given as a regular expression. */
export const PATTERN_CHARS_MAX = 1_024;
