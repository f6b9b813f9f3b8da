// What of a span is kept: names, tags and events up to their bounds.

import { EVENTS_MAX, NAME_CHARS_MAX, TAGS_MAX, VALUE_CHARS_MAX } from "./limits.ts";
import type { SpanEvent, SpanKind, StoredSpan } from "./trace.ts";

/** What a protocol's reader found, as it was sent. */
export interface RawSpan {
  /** Hexadecimal digits. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string;
  readonly kind: string;
  readonly shared: boolean;
  readonly service: string;
  readonly name: string;
  readonly startUs: number;
  readonly durationUs: number;
  readonly isError: boolean;
  readonly tags: Iterable<readonly [string, string]>;
  readonly events: readonly { readonly atUs: number; readonly name: string; readonly tags: RawSpan["tags"] }[];
}

/** Undefined: it has no id, so that it belongs nowhere. */
export function boundedSpan(raw: RawSpan): StoredSpan | undefined {
  const traceId = idOf(raw.traceId, 32);
  const spanId = idOf(raw.spanId, 16);
  if (traceId === undefined || spanId === undefined) return undefined;
  return {
    traceId,
    spanId,
    parentId: idOf(raw.parentId, 16),
    kind: kindOf(raw.kind),
    shared: raw.shared,
    service: raw.service.slice(0, NAME_CHARS_MAX) || "unknown",
    name: raw.name.slice(0, NAME_CHARS_MAX),
    startUs: timeOf(raw.startUs),
    durationUs: timeOf(raw.durationUs),
    isError: raw.isError,
    tags: boundedTags(raw.tags),
    events: raw.events.slice(0, EVENTS_MAX).map(
      ({ atUs, name, tags }): SpanEvent => ({
        atUs: timeOf(atUs),
        name: name.slice(0, NAME_CHARS_MAX),
        tags: boundedTags(tags),
      }),
    ),
  };
}

/** Undefined for what is no id: other characters, too long, or nothing but zeros. */
export function idOf(text: string, digits: number): string | undefined {
  if (!/^[0-9a-fA-F]+$/.test(text) || text.length > digits || /^0+$/.test(text)) return undefined;
  return text.toLowerCase().padStart(digits, "0");
}

function timeOf(us: number): number {
  return Number.isFinite(us) && us > 0 ? Math.min(Math.round(us), Number.MAX_SAFE_INTEGER) : 0;
}

function kindOf(text: string): SpanKind {
  const kind = text.toLowerCase();
  return kind === "server" || kind === "client" || kind === "producer" || kind === "consumer" ? kind : "internal";
}

function boundedTags(tags: RawSpan["tags"]): Readonly<Record<string, string>> {
  const kept = new Map<string, string>();
  for (const [key, value] of tags) {
    if (kept.size === TAGS_MAX) break;
    kept.set(key.slice(0, NAME_CHARS_MAX), value.slice(0, VALUE_CHARS_MAX));
  }
  return Object.fromEntries(kept);
}
