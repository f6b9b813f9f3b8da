// Bounds of the launcher.

/** Trying the namespaces takes about a tenth of a second; a machine that needs longer than this has them not. */
export const PROBE_TIMEOUT_MS = 5_000;
/** What the probe's script wrote, kept for the reason. */
export const PROBE_OUTPUT_BYTES_MAX = 8_192;
/** Descriptors 3 to 8: the shell that is process 1 needs the next for itself. */
export const INHERITED_SOCKETS_MAX = 6;
