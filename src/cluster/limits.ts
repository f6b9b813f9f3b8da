// The bounds of the local cluster's composition.

/** How long pods get to stop before everything is ended by force. */
export const STOP_TIMEOUT_MS = 45_000;
/** How long `weft down` waits for the process that it signalled. */
export const DOWN_TIMEOUT_MS = 60_000;
/** How long `weft up -d` and the demo wait for the mesh. */
export const READY_TIMEOUT_MS = 60_000;
export const FOLLOW_INTERVAL_MS = 50;
/** Two signals closer than this are one: a terminal and a parent both pass Ctrl-C on. */
export const SIGNAL_ECHO_MS = 500;
/** How often a lock may change hands while it is being taken. */
export const LOCK_ATTEMPTS_MAX = 5;
/** Services on the machine's loopback: the sockets that a process inside namespaces can inherit, but for weft's own. */
export const PUBLISHED_MAX = 3;
export const MANIFEST_BYTES_MAX = 16 * 1024 * 1024;
/** How often a cluster looks whether its data directory is still there. */
export const LOCK_LOOK_MS = 2_000;
/** Between two looks at a standard input that has nothing yet. */
export const STANDARD_INPUT_POLL_MS = 10;
/** Building the page takes less than a second on an idle machine. */
export const SCRIPT_TIMEOUT_MS = 60_000;
/** `envoy --version`: a hundred megabytes are read for it. */
export const ENVOY_VERSION_TIMEOUT_MS = 20_000;
