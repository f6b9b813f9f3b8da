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
