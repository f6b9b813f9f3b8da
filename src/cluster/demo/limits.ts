// The bounds and rhythms of the demo.

export const SCRAPE_INTERVAL_MS = 1_000;
export const SCRAPE_TIMEOUT_MS = 2_000;
export const PLAINTEXT_INTERVAL_MS = 2_000;
export const CERTIFICATE_INTERVAL_MS = 10_000;
export const LOG_RETRY_MS = 500;
export const DRAW_INTERVAL_MS = 500;
/** Where there is no terminal, one line so often. */
export const LINE_INTERVAL_MS = 10_000;
export const CHECK_INTERVAL_MS = 200;
export const CHECK_TIMEOUT_MS = 90_000;
/** Requests before the split is judged: fewer would let a wrong weight pass. */
export const SPLIT_REQUESTS_MIN = 200;
export const BETA_REQUESTS_MIN = 5;
