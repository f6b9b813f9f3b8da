// The bounds of ingest.

/** A burst of changes is taken once nothing changed for this long … */
export const QUIET_MS = 20;
/** … or at the latest this long after its first change. */
export const BURST_MAX_MS = 200;
