// Bounds of a proxy process.

/** Worker threads. */
export const CONCURRENCY_MAX = 64;
/** So many broken invariants within the window end the process. */
export const FAULTS_MAX = 5;
export const FAULT_WINDOW_MS = 60_000;
