// The bounds of what an assessment says and measures.

/** Names in one piece of evidence. */
export const EVIDENCE_NAMED_MAX = 4;
/** Rules in the starting NetworkPolicies. */
export const POLICIES_SHOWN_MAX = 3;
/** Requests of one kind while latency is measured, and the time between two. */
export const MEASURED_REQUESTS = 700;
export const MEASURED_SPACING_MS = 5;
/** Before anything is measured, so that what is compiled late is compiled. */
export const WARM_UP_REQUESTS = 1_000;
/** How long the sidecars are loaded for their CPU time and memory, and by how many connections. */
export const LOAD_MS = 4_000;
export const LOAD_CONNECTIONS = 8;
/** Until the sidecars answer. */
export const MEASURE_START_MS = 10_000;
