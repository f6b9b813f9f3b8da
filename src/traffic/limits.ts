// The bounds of what the collector reads and remembers.

/** One line of a page of metrics, in characters: what is longer is left out and counted. */
export const LINE_LENGTH_MAX = 16_384;
/** Proxies whose counters are followed. */
export const PROXIES_MAX = 5_000;
/** Series of all proxies together whose last value is remembered. */
export const SERIES_MAX = 400_000;
/** Different flows: a source, a destination and how they speak. */
export const FLOWS_MAX = 10_000;
/** Rounds that are kept as they were; older ones are joined … */
export const FINE_ROUNDS_MAX = 150;
/** … to rounds of about this length … */
export const COARSE_ROUND_MS = 60_000;
/** … of which there are at most so many. */
export const COARSE_ROUNDS_MAX = 120;
/** What was counted of one flow in one round, about 300 bytes: beyond so many of them the oldest rounds go. */
export const CELLS_MAX = 150_000;
/** Different codes and flags that are told apart in one cell. */
export const CODES_MAX = 16;
/** Points of one line of a chart. */
export const POINTS_MAX = 1_000;
/** Lines of one chart. */
export const LINES_MAX = 50;
