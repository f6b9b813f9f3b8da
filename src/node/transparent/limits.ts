// Bounds of the transparent mode.

/** Pods that the node gives addresses to at the same time. */
export const PODS_MAX = 4000;
/** How long one script that makes or removes a pod's network may take. */
export const SCRIPT_TIMEOUT_MS = 10_000;
/** How long a container's namespaces and mounts may take to be made. */
export const CONTAINER_READY_TIMEOUT_MS = 10_000;
/** How long to wait for killed processes to be gone before going on without. */
export const KILL_WAIT_MS = 3_000;
/** Output that a process's descendants keep open after its end is waited for this long. */
export const OUTPUT_DRAIN_MS = 1_000;
/** A signal to a process that is still being started is tried again for this long. */
export const SIGNAL_RETRY_MS = 2_000;
export const SIGNAL_RETRY_INTERVAL_MS = 10;
/** Kept of a script's output, for its error message. */
export const SCRIPT_OUTPUT_BYTES_MAX = 64 * 1024;
/** Endpoints of one service port that the node spreads connections over. */
export const ENDPOINTS_MAX = 500;
/** A cgroup can be removed only when the kernel has let go of its last process. */
export const CGROUP_REMOVE_TRIES = 20;
export const CGROUP_REMOVE_INTERVAL_MS = 25;
/** Entries of a directory that are bound one by one into its replacement, each a process of some milliseconds. */
export const BOUND_ENTRIES_MAX = 32;
/** Control groups of the machine that are looked through for an earlier run's. */
export const CGROUPS_SEARCHED_MAX = 2_000;
