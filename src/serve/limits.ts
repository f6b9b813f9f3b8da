// The bounds of the discovery server.

/** Streams open at one time; further ones are refused with RESOURCE_EXHAUSTED. */
export const STREAMS_MAX = 10_000;
/** Names that one stream may subscribe to for one type. */
export const NAMES_MAX = 100_000;
/** How long the proxy is given to ask for the endpoints of new clusters, and for the routes of new listeners. */
export const ASK_WAIT_MS = 1_000;
/** Proxies that are translated for in one turn of the event loop. */
export const PUSHES_PER_TURN = 8;
/** A NACK's message as it is kept and shown. */
export const REFUSAL_LENGTH_MAX = 2_000;
/** From so many names on, proxies that subscribe to the same ones share the set of them. */
export const SHARED_NAMES_MIN = 32;
/** Responses from this size on wait their turn, in bytes … */
export const LARGE_RESPONSE_BYTES = 64 * 1024;
/** … so that at most this much of them is on its way to clients that read, in bytes. */
export const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024;
/** A client that has not taken a large response for so long holds up nobody who waits. */
export const SLOW_AFTER_MS = 500;
/** Characters of a hash that stand for a content. */
export const VERSION_LENGTH = 22;
/** A client that has taken nothing of what is on its way to it for so long is let go: it may come back with what it has. */
export const STALLED_AFTER_MS = 60_000;
