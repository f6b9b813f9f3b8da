// The bounds of the control plane's own work.

/** Changes of status are gathered this long before they are written. */
export const STATUS_QUIET_MS = 100;
/** Status writes that wait for an answer at one time. */
export const STATUS_WRITES_MAX = 8;
/** Before statuses that could not be written are tried again. */
export const STATUS_RETRY_MS = 2_000;
/** A condition's message; Kubernetes itself stops at 32 KiB. */
export const MESSAGE_LENGTH_MAX = 4_000;
/** Findings that one condition lists. */
export const FINDINGS_LISTED_MAX = 10;
/** Before a failed write of the root certificate's ConfigMap is tried again. */
export const ROOT_CERT_RETRY_MS = 2_000;
/** Refusals that were told as Events and are not told again. */
export const EVENTS_REMEMBERED_MAX = 1_000;
/** A profile that is taken on demand, in seconds: the API server waits no longer for an answer that it hands on. */
export const PROFILE_SECONDS_MAX = 60;
/** Key sets for tokens that are followed. */
export const KEY_SETS_MAX = 1_000;
/** One key set, or one discovery document. */
export const KEY_SET_BYTES_MAX = 1_048_576;
/** One try, where the rule sets no timeout: Istio's default. */
export const KEY_SET_TIMEOUT_MS = 5_000;
/** Between two fetches of a key set that is had: Istio's default. */
export const KEY_SET_REFRESH_MS = 20 * 60_000;
/** Between the first two tries to get one … */
export const KEY_SET_RETRY_BASE_MS = 1_000;
/** … and at most. */
export const KEY_SET_RETRY_MAX_MS = 60_000;
/** Warnings that were told and are not told again. */
export const WARNINGS_REMEMBERED_MAX = 10_000;
/** Between two visits to the proxies while somebody looks at the numbers … */
export const SCRAPE_ACTIVE_MS = 2_000;
/** … and while nobody does. */
export const SCRAPE_IDLE_MS = 30_000;
/** Proxies that are visited at one time. */
export const SCRAPES_MAX = 16;
/** One visit. */
export const SCRAPE_TIMEOUT_MS = 3_000;
/** One page of metrics. */
export const SCRAPE_BYTES_MAX = 32 * 1_048_576;
/** Rounds at most that a proxy is left out of, which did not answer before. */
export const SCRAPE_SKIP_ROUNDS_MAX = 16;
/** Between two looks at the rollouts that are under way. */
export const CANARY_LOOK_MS = 1_000;
/** Rollouts that are followed at one time; further ones wait. */
export const CANARIES_MAX = 200;
/** Connections to one gRPC port; each proxy has one or two. */
export const CONNECTIONS_MAX = 20_000;
/** Connections from one address to one gRPC port: many pods may come through one gateway, one must not take all the room. */
export const CONNECTIONS_PER_ADDRESS_MAX = 2_000;
/** How long a connection may stand without having sent what an HTTP/2 preface and a first request, or a ClientHello, have at least. */
export const FIRST_BYTES_MS = 10_000;
export const FIRST_BYTES_MIN = 64;
/** Of the debug port: connections, and how long a request's head and all of it may take. */
export const DEBUG_CONNECTIONS_MAX = 1_000;
export const DEBUG_HEAD_MS = 10_000;
export const DEBUG_REQUEST_MS = 30_000;
/** How often that is looked at. */
export const DEBUG_CHECK_MS = 2_000;
/** How often the certificates that proxies show are looked at. */
export const EXPIRY_CHECK_MS = 60_000;
