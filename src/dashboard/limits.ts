// The bounds of the page's server.

/** A link for logging in is good for one use, within this time. */
export const LOGIN_CODE_MS = 120_000;
export const LOGIN_CODES_MAX = 32;
/** Attempts to log in, in a burst and then by the second. */
export const LOGIN_BURST = 20;
export const LOGINS_PER_SECOND = 1;
/** A session ends after this time, used or not. */
export const SESSION_MS = 12 * 60 * 60_000;
/** The oldest ends when there would be more. */
export const SESSIONS_MAX = 64;
/** Requests of one session, in a burst and then by the second. */
export const REQUEST_BURST = 200;
export const REQUESTS_PER_SECOND = 50;
export const CONNECTIONS_MAX = 256;
export const HEADER_BYTES_MAX = 16 * 1024;
export const REQUEST_TIMEOUT_MS = 10_000;
/** Pages that are kept up to date at one time. */
export const LIVE_CLIENTS_MAX = 32;
/** Between two messages to them. */
export const LIVE_INTERVAL_MS = 2_000;
/** What a page has not taken yet; one that takes nothing is not waited for. */
export const LIVE_BACKLOG_BYTES_MAX = 4 * 1024 * 1024;
/** The cluster's objects, for analysis, are read again at most this often. */
export const WORLD_AGE_MS = 2_000;
/** Rows of one list. */
export const ROWS_MAX = 2_000;
/** Proxies that one view of a service asks. */
export const PROXIES_ASKED_MAX = 12;
/** Requests that failed, of one service. */
export const FAILURES_MAX = 40;
export const PROXY_ANSWER_MS = 2_000;
/** Of one proxy's answer that is read. */
export const PROXY_ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** One file of the page. */
export const ASSET_BYTES_MAX = 4 * 1024 * 1024;
/** Points of one line of a chart, and the time that it shows at most. */
export const CHART_POINTS_MAX = 120;
export const CHART_MINUTES_MAX = 120;
