// The bounds of ingest.

/** A burst of changes is taken once nothing changed for this long … */
export const QUIET_MS = 20;
/** … or at the latest this long after its first change. */
export const BURST_MAX_MS = 200;

/** Of one key of a Secret in base64, beyond which it is no credential. */
export const CREDENTIAL_BYTES_MAX = 1024 * 1024;
