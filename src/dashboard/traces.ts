// Traces: those that fit, and one as rows of a waterfall.

import type { StoredSpan, TraceNode, TraceReader, TraceSummary } from "../traces/trace.ts";
import type { SpanRow, TraceDetail, TraceList, TraceRow } from "./shapes.ts";

export async function findTraces(reader: TraceReader, query: URLSearchParams, nowMs: number): Promise<TraceList> {
  const minutes = Number(query.get("minutes")) || 60;
  const [traces, services] = await Promise.all([
    reader.find({
      service: query.get("service") ?? "",
      operation: query.get("operation") ?? "",
      minDurationMs: Number(query.get("slow")) || 0,
      error: query.get("error") === "true",
      since: nowMs - minutes * 60_000,
    }),
    reader.services(),
  ]);
  return { rows: traces.map(traceRow), services: services.map(({ service }) => service) };
}

export async function readTrace(reader: TraceReader, id: string): Promise<TraceDetail | undefined> {
  const trace = await reader.get(id);
  if (trace === undefined) return undefined;
  const { summary, root, left } = trace;
  return { ...traceRow(summary), rows: spanRows(root, summary.startUs), left };
}

function traceRow(summary: TraceSummary): TraceRow {
  const { traceId, service, operation, spans, errors, services } = summary;
  return {
    ...{ traceId, service, operation, spans, errors, services },
    startMs: summary.startUs / 1_000,
    durationMs: summary.durationUs / 1_000,
  };
}

/** Depth first, as it is read; without recursion, since a trace may be as deep as it has spans. */
function spanRows(root: TraceNode, startUs: number): readonly SpanRow[] {
  const rows: SpanRow[] = [];
  const waiting: { readonly node: TraceNode; readonly depth: number }[] = [{ node: root, depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { node, depth } = next;
    if (node.span !== undefined) rows.push(spanRow(node.span, depth, startUs));
    const below = node.span === undefined ? depth : depth + 1;
    for (const child of node.children.toReversed()) waiting.push({ node: child, depth: below });
  }
  return rows;
}

function spanRow(span: StoredSpan, depth: number, startUs: number): SpanRow {
  const { spanId, service, name, kind, isError, tags, events } = span;
  return {
    ...{ spanId, depth, service, name, kind, isError },
    startMs: (span.startUs - startUs) / 1_000,
    durationMs: span.durationUs / 1_000,
    tags: Object.entries(tags).sort(),
    events: events.map((event) => ({ atMs: (event.atUs - startUs) / 1_000, name: event.name })),
  };
}
