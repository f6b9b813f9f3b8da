// What the certificate authority lets nobody exceed.

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export const ROOT_LIFETIME_MS = 3_650 * DAY_MS;
export const WORKLOAD_LIFETIME_MS = 24 * HOUR_MS;
export const WORKLOAD_LIFETIME_MAX_MS = 90 * DAY_MS;
export const SERVER_LIFETIME_MS = 24 * HOUR_MS;
/** Certificates begin this long before they are made, for peers whose clock is slow. */
export const BACK_DATE_MS = 2 * 60_000;
/** How often the control plane's own certificate is looked at: often, so that a machine that slept recovers soon. */
export const RENEWAL_CHECK_MS = 30_000;
export const CSR_CHARS_MAX = 16_384;
/** Requests being answered at one time; beyond it a caller is told to come again. */
export const REQUESTS_MAX = 256;
export const SERIAL_BYTES = 16;
export const RSA_BITS_MIN = 2_048;
/** Certificates for one identity in a minute: a Deployment's pods all have the same one, and may start together. */
export const CALLER_REQUESTS_MAX = 1_200;
/** Identities that are counted at one time. */
export const CALLERS_REMEMBERED_MAX = 100_000;
/** How often the seconds to expiry are told anew. */
export const EXPIRY_SHOWN_EVERY_MS = 60_000;
