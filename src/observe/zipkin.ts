// Spans as Zipkin v2 takes them: one JSON list.

import { isIPv6 } from "node:net";
import { pairs, type Span, type SpanSource } from "./span.ts";

export function encodeZipkin(spans: readonly Span[], source: SpanSource): Buffer {
  const address = source.ip === "" ? {} : isIPv6(source.ip) ? { ipv6: source.ip } : { ipv4: source.ip };
  const localEndpoint = { serviceName: source.serviceName, ...address };
  return Buffer.from(JSON.stringify(spans.map((span) => ({ ...plain(span), localEndpoint }))));
}

function plain(span: Span): Readonly<Record<string, unknown>> {
  return {
    traceId: span.traceId,
    ...(span.parentId === undefined ? {} : { parentId: span.parentId }),
    id: span.spanId,
    kind: span.kind === "server" ? "SERVER" : "CLIENT",
    name: span.name,
    timestamp: Math.round(span.startUs),
    // Zero would be "not known".
    duration: Math.max(1, Math.round(span.durationUs)),
    ...(span.shared ? { shared: true } : {}),
    tags: Object.fromEntries(pairs(span.tags)),
  };
}
