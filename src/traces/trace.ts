// Spans as the store keeps them, and what can be asked of it.

export type SpanKind = "server" | "client" | "producer" | "consumer" | "internal";

/** Something that happened during a span. */
export interface SpanEvent {
  readonly atUs: number;
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface StoredSpan {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly kind: SpanKind;
  /** The server's half of a span that its client has made (Zipkin). */
  readonly shared: boolean;
  readonly service: string;
  readonly name: string;
  /** Microseconds since the Unix epoch. */
  readonly startUs: number;
  readonly durationUs: number;
  readonly isError: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly events: readonly SpanEvent[];
}

/** All conditions are about one span of the trace. */
export interface TraceQuery {
  /** `api`, or `api.shop`: with its namespace or without. */
  readonly service?: string;
  /** The span's name. */
  readonly operation?: string;
  readonly minDurationMs?: number;
  /** Only where something failed. */
  readonly error?: boolean;
  /** Unix time in milliseconds. */
  readonly since?: number;
  /** How many traces, the newest first. */
  readonly limit?: number;
}

export interface TraceSummary {
  readonly traceId: string;
  /** Of the first span. */
  readonly service: string;
  readonly operation: string;
  readonly startUs: number;
  readonly durationUs: number;
  readonly spans: number;
  readonly errors: number;
  readonly services: readonly string[];
}

export interface TraceNode {
  /** Undefined: others name it as their parent, and nobody has reported it. */
  readonly span: StoredSpan | undefined;
  readonly spanId: string;
  /** In order of their start. */
  readonly children: readonly TraceNode[];
}

export interface Trace {
  readonly summary: TraceSummary;
  readonly root: TraceNode;
  /** Spans that are not shown, since there are too many. */
  readonly left: number;
}

export interface ServiceOperations {
  readonly service: string;
  readonly operations: readonly string[];
}

export interface TraceStats {
  readonly spans: number;
  readonly bytes: number;
  /** Unix time in milliseconds; 0: there is none. */
  readonly oldestMs: number;
  /** Since the start, by protocol: `otlp-http`, `otlp-grpc`, `zipkin`, `jaeger`. */
  readonly received: Readonly<Record<string, number>>;
  /** Spans that were not kept: `queue` full, `disk` full, without an `id`. */
  readonly dropped: Readonly<Record<string, number>>;
  /** Reports that could not be read. */
  readonly malformed: number;
  /** Spans that went to make room, or since they were too old. */
  readonly removed: number;
  /** Why nothing is written just now; empty: it is. */
  readonly problem: string;
}

export interface TraceReader {
  find(query: TraceQuery): Promise<readonly TraceSummary[]>;
  /** 32 hexadecimal digits, or 16. */
  get(traceId: string): Promise<Trace | undefined>;
  services(): Promise<readonly ServiceOperations[]>;
  stats(): Promise<TraceStats>;
}
