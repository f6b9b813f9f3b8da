// The bounds of rollouts.

/** What a Canary's status remembers of its past. */
export const HISTORY_MAX = 50;
/** Failed requests from which on a clear case needs no minimum of requests. */
export const CLEAR_FAILURES_MIN = 5;
/** How long measured numbers stand in the status before they are written anew. */
export const MEASURED_FOR_MS = 10_000;
