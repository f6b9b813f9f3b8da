// Every bound of the node, with its unit.

/** The image table is written by people: larger than this it is something else. */
export const IMAGE_BYTES_MAX = 1_000_000;
/** How often the node looks whether a missing image has been given a command. */
export const IMAGE_RETRY_MS = 1_000;

/** One log file of a container; the one before is kept beside it. */
export const LOG_FILE_BYTES_MAX = 10_000_000;
/** A line without an end is cut here, as container runtimes do. */
export const LOG_LINE_BYTES_MAX = 16_384;
/** Instances of a container whose logs are kept: the current one and those before it. */
export const LOG_INSTANCES_MAX = 3;

/** Restart delays of a crashing container: doubling from the first to the second. */
export const RESTART_BASE_MS = 10_000;
export const RESTART_MAX_MS = 300_000;
/** A container that ran this long starts its delays anew. */
export const RESTART_RESET_MS = 600_000;

/** Grace of pods without one of their own. */
export const GRACE_DEFAULT_MS = 30_000;
/** What every container gets at least, even when the pod says 0. */
export const GRACE_MIN_MS = 1_000;
/** How long `close` waits for applications, then again for proxies. */
export const CLOSE_GRACE_MS = 3_000;
/** After SIGKILL, how long until the node goes on without the process. */
export const KILL_WAIT_MS = 5_000;

/** How much of a probe's answer is read and told. */
export const PROBE_BODY_BYTES_MAX = 10_240;
export const PROBE_MESSAGE_BYTES_MAX = 1_024;

export const PODS_MAX = 250;
/** A container's last words, of its file and of its log. Kubernetes' own. */
export const MESSAGE_FILE_BYTES_MAX = 4_096;
export const MESSAGE_LOG_BYTES_MAX = 2_048;
export const MESSAGE_LOG_LINES_MAX = 80;
export const ENVIRONMENT_EXPANSION_BYTES_MAX = 131_072;
/** Ordinary volumes follow their ConfigMap or Secret at most this late, tokens are looked at as often. */
export const VOLUME_REFRESH_MS = 10_000;
/** A token is renewed when this share of its life is over. */
export const TOKEN_RENEW_AT = 0.8;
/** A volume whose source is missing is tried again after this. */
export const VOLUME_RETRY_MS = 250;
/** The first wait between the checks of a container that was never ready; it grows by a quarter each time up to the period. */
export const PROBE_EAGER_BASE_MS = 100;
/** A preStop or postStart hook over HTTP gets this long when nothing else bounds it. */
export const HOOK_TIMEOUT_MS = 30_000;
/** A status that could not be written is tried again after this. */
export const STATUS_RETRY_MS = 1_000;
/** A proxy gets at least this long after its application has ended. */
export const PROXY_GRACE_MIN_MS = 2_000;
/** Changes of services that come closer together than this become one table. */
export const SERVICES_DEBOUNCE_MS = 10;
/** The same for NetworkPolicies, and for pods and namespaces, which they choose by their labels. */
export const POLICIES_DEBOUNCE_MS = 20;
/** A pod that has ended but could not be taken out of the API is tried again after this. */
export const REMOVE_RETRY_MS = 500;
/** How long a pod that ends waits for its services to leave it out, and then for the proxies to hear of it. */
export const WITHDRAW_WAIT_MS = 5_000;
export const WITHDRAW_SETTLE_MS = 1_000;
/** The wait is a part of the pod's grace period: at most one in this many, for each of the two. */
export const WITHDRAW_GRACE_SHARE = 4;

/** CPU use is measured over at least this and at most that. */
export const USAGE_WINDOW_MIN_MS = 500;
export const USAGE_WINDOW_MAX_MS = 60_000;
/** Output that somebody attached to a container has not read yet; beyond it the session ends. */
export const ATTACH_BUFFER_BYTES_MAX = 1024 * 1024;
/** Pods that start at the same time: one for each processor and so many more, since a start also waits. */
export const STARTS_BESIDE_CPUS = 1;
/** A pod that starts keeps its turn at most this long, and after its applications have begun at most that long. */
export const START_HOLD_MS = 5_000;
export const START_SETTLE_MS = 700;
/** A command on a terminal has ended: how long its last output may take to arrive. */
export const TERMINAL_DRAIN_MS = 300;
