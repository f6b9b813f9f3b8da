// Bounds of the mesh's name resolution.

/** RFC 1035: a name's bytes, and a label's. */
export const NAME_BYTES_MAX = 255;
export const LABEL_BYTES_MAX = 63;
/** Compression pointers followed in one name. */
export const POINTERS_MAX = 16;
/** Records read of one message, whatever its header announces. */
export const RECORDS_MAX = 64;
/** Without EDNS a UDP answer is at most this long; with it, at most what the client and this bound allow. */
export const UDP_BYTES_DEFAULT = 512;
export const UDP_BYTES_MAX = 1232;
/** Addresses in one answer: the rest is left out, in turn. */
export const ADDRESSES_MAX = 60;
export const TTL_SECONDS = 5;
/** TCP connections at the same time, and how long one may be silent. */
export const TCP_CONNECTIONS_MAX = 256;
export const TCP_IDLE_MS = 10_000;
/** Bytes of one connection waiting to be parsed: a length and one message. */
export const TCP_BUFFER_BYTES_MAX = 2 + 65_535;
/** Questions sent upstream and not yet answered; one more is answered SERVFAIL. */
export const UPSTREAM_PENDING_MAX = 512;
export const UPSTREAM_TIMEOUT_MS = 2_000;
/** Tries to find a port that is free for UDP and TCP. */
export const FREE_PORT_ATTEMPTS_MAX = 8;
