// Traces as the store's HTTP answers have them, back to what they were.

import { isRecord } from "../base/json.ts";
import type { SpanEvent, SpanKind, StoredSpan, Trace, TraceNode, TraceSummary } from "./trace.ts";

/** Undefined: something else. */
export function readTraces(value: unknown): readonly TraceSummary[] | undefined {
  if (!isRecord(value) || !Array.isArray(value["traces"])) return undefined;
  return value["traces"].filter(isRecord).map(readSummary);
}

export function readTrace(value: unknown): Trace | undefined {
  if (!isRecord(value) || !isRecord(value["summary"]) || !isRecord(value["root"])) return undefined;
  return { summary: readSummary(value["summary"]), root: readNode(value["root"]), left: numberOf(value["left"]) };
}

function readSummary(one: Readonly<Record<string, unknown>>): TraceSummary {
  const { services } = one;
  return {
    traceId: textOf(one["traceId"]),
    service: textOf(one["service"]),
    operation: textOf(one["operation"]),
    startUs: numberOf(one["startUs"]),
    durationUs: numberOf(one["durationUs"]),
    spans: numberOf(one["spans"]),
    errors: numberOf(one["errors"]),
    services: Array.isArray(services) ? services.map(textOf) : [],
  };
}

function readNode(one: Readonly<Record<string, unknown>>): TraceNode {
  const { span, children } = one;
  return {
    span: isRecord(span) ? readSpan(span) : undefined,
    spanId: textOf(one["spanId"]),
    children: Array.isArray(children) ? children.filter(isRecord).map(readNode) : [],
  };
}

function readSpan(one: Readonly<Record<string, unknown>>): StoredSpan {
  const { parentId, events } = one;
  return {
    traceId: textOf(one["traceId"]),
    spanId: textOf(one["spanId"]),
    parentId: typeof parentId === "string" ? parentId : undefined,
    kind: kindOf(one["kind"]),
    shared: one["shared"] === true,
    service: textOf(one["service"]),
    name: textOf(one["name"]),
    startUs: numberOf(one["startUs"]),
    durationUs: numberOf(one["durationUs"]),
    isError: one["isError"] === true,
    tags: tagsOf(one["tags"]),
    events: (Array.isArray(events) ? events.filter(isRecord) : []).map(
      ({ atUs, name, tags }): SpanEvent => ({ atUs: numberOf(atUs), name: textOf(name), tags: tagsOf(tags) }),
    ),
  };
}

export function kindOf(value: unknown): SpanKind {
  return value === "server" || value === "client" || value === "producer" || value === "consumer" ? value : "internal";
}

export function tagsOf(value: unknown): Readonly<Record<string, string>> {
  return isRecord(value) ? Object.fromEntries(Object.entries(value).map(([key, tag]) => [key, textOf(tag)])) : {};
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}
