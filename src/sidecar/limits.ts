// Bounds of a proxy process.

/** Worker threads. */
export const CONCURRENCY_MAX = 64;
