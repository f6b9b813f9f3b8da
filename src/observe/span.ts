// A finished span, as every exporter takes it.

export interface Span {
  /** 32 hexadecimal digits, or 16 where the backend was asked for short ones. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly kind: "server" | "client";
  /** The id is the client's own: one span that both sides tell of (Zipkin). */
  readonly shared: boolean;
  readonly name: string;
  /** Microseconds since the Unix epoch. */
  readonly startUs: number;
  readonly durationUs: number;
  /** Flat: name, value, name, value, … */
  readonly tags: readonly string[];
  readonly isError: boolean;
  /** W3C `tracestate` as it came; empty: none. */
  readonly traceState: string;
}

/** Whose spans they are. */
export interface SpanSource {
  readonly serviceName: string;
  /** Of the proxy; empty where it isn't known. */
  readonly ip: string;
  /** Flat, of the process as such: OpenTelemetry's resource attributes, Jaeger's process tags. */
  readonly attributes: readonly string[];
}

export function* pairs(flat: readonly string[]): IterableIterator<readonly [string, string]> {
  for (let at = 0; at + 1 < flat.length; at += 2) yield [flat[at] ?? "", flat[at + 1] ?? ""];
}
