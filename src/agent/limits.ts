// What the agent allows itself, its peers and the application.

export const CA_CALL_TIMEOUT_MS = 10_000;
export const CA_RETRY_BASE_MS = 500;
export const CA_RETRY_MAX_MS = 30_000;
/** How often the wall clock is compared with the certificate: a machine that slept, or whose clock was set, recovers within this. */
export const CERTIFICATE_CHECK_MS = 30_000;
/** Renewal falls at this part of the lifetime, give or take the jitter. */
export const GRACE_RATIO = 0.5;
export const GRACE_JITTER = 0.01;
export const CERTIFICATE_LIFETIME_MAX_SECONDS = 90 * 86_400;
/** Within this all workloads ask for a certificate of a new root. */
export const ROOT_CHANGE_SPREAD_MS = 5_000;
/** Two renewals are at least this far apart, even where the clocks of both sides disagree. */
export const RENEWAL_SPACING_MS = 5_000;
export const FILE_BYTES_MAX = 1024 * 1024;
export const PROBE_TIMEOUT_MS = 1_000;
export const PROBE_TIMEOUT_MAX_MS = 60_000;
export const PROBES_MAX = 64;
export const APP_METRICS_BYTES_MAX = 16 * 1024 * 1024;
export const APP_METRICS_TIMEOUT_MS = 5_000;
export const CONNECTIONS_MAX = 128;
export const DRAIN_MS = 5_000;
export const DRAIN_MAX_MS = 3_600_000;

/** How often a sidecar looks at its memory. */
export const OVERLOAD_REFRESH_MS = 250;
