// The bounds of the trace store: a laptop's disk and memory, whatever is sent to it.

/** Spans that are kept; beyond it the oldest go. */
export const SPANS_MAX = 100_000;
/** Bytes of the spans that are kept: names, tags and events. */
export const SPAN_BYTES_MAX = 64 * 1024 * 1024;
/** Bytes of the database's file, indexes and all. */
export const FILE_BYTES_MAX = 256 * 1024 * 1024;
/** Bytes of the log beside it that are kept after a checkpoint. */
export const LOG_BYTES_MAX = 4 * 1024 * 1024;
export const AGE_MAX_MS = 24 * 3_600_000;
/** What goes at once when there is too much, so that it isn't done for each span. */
export const REMOVED_SHARE = 0.05;
/** How often the age is looked at. */
export const AGE_LOOK_MS = 60_000;
/** Spans that wait to be written; beyond it they are dropped and counted. */
export const SPANS_WAITING_MAX = 20_000;
/** Spans of one transaction. */
export const SPANS_WRITTEN_MAX = 2_000;
/** How long the first of some spans waits for the others. */
export const WRITE_AFTER_MS = 100;
/** How long the store goes without writing after it could not. */
export const WRITE_RETRY_MS = 5_000;
/** Of one span. */
export const TAGS_MAX = 128;
export const EVENTS_MAX = 32;
export const NAME_CHARS_MAX = 512;
export const VALUE_CHARS_MAX = 2_048;
/** Nesting of one value. */
export const VALUE_DEPTH_MAX = 6;
/** Bytes of one report, and of what a compressed one holds. */
export const REPORT_BYTES_MAX = 4 * 1024 * 1024;
export const REPORT_PLAIN_BYTES_MAX = 16 * 1024 * 1024;
export const REPORT_TIMEOUT_MS = 10_000;
export const CONNECTIONS_MAX = 512;
/** Bytes that the kernel keeps of datagrams that were not read yet. */
export const DATAGRAM_BUFFER_BYTES = 4 * 1024 * 1024;
/** Traces of one answer, and where nobody says how many. */
export const TRACES_MAX = 500;
export const TRACES_SHOWN = 20;
/** Spans of one trace that are shown. */
export const TRACE_SPANS_MAX = 2_000;
/** Pairs of service and operation that are listed. */
export const OPERATIONS_MAX = 2_000;
/** Megabytes of the store's own heap. */
export const HEAP_MB_MAX = 192;
/** How long after its thread ended the store is started again. */
export const RESTART_MS = 2_000;
/** How long a question may take. */
export const ANSWER_MS_MAX = 10_000;
