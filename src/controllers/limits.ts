// Every bound of the controllers, with its unit.

/** Keys that wait in one controller's queue. A key is in it at most once, so this many objects of one kind. */
export const QUEUE_KEYS_MAX = 20_000;
/** Keys of one controller that are worked on at the same time; one key never twice. */
export const QUEUE_PARALLEL_MAX = 4;
export const RETRY_BASE_MS = 50;
export const RETRY_MAX_MS = 30_000;
/** A failing key is tried at least this often, however long it has failed. */
export const RETRY_FAILURES_MAX = 12;

/** Pods that one ReplicaSet makes or removes in one go. */
export const PODS_PER_SYNC_MAX = 100;
/** Kubernetes' own: more endpoints than these go into a further slice. */
export const ENDPOINTS_PER_SLICE_MAX = 100;
export const REVISION_HISTORY_DEFAULT = 10;
export const PROGRESS_DEADLINE_DEFAULT_SECONDS = 600;
/** How often a namespace that is going away is looked at while something in it is still there. */
export const NAMESPACE_RETRY_MS = 200;

/** Different events remembered to be counted up instead of repeated. */
export const EVENT_KEYS_MAX = 1_000;
/** Events waiting to be written; beyond it the newest are dropped. */
export const EVENT_QUEUE_MAX = 1_000;

/** A pod that no node can have is looked at again. */
export const SCHEDULE_RETRY_MS = 2_000;
/** A Job's next pod after one that failed: doubling from the first to the second. */
export const JOB_RETRY_BASE_MS = 10_000;
export const JOB_RETRY_MAX_MS = 360_000;
/** Times of a schedule that a CronJob looks back over; after a longer sleep it goes on with the next one. */
export const CRON_MISSED_MAX = 1_500;
