// A report of Zipkin v2: one JSON list of spans.

import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { RawSpan } from "./bounded.ts";

export function readZipkin(bytes: Buffer): Result<readonly RawSpan[], string> {
  const parsed = parseJson(bytes.toString("utf8"));
  if (!parsed.ok) return parsed;
  if (!Array.isArray(parsed.value)) return err("a list of spans is expected");
  return ok(parsed.value.filter(isRecord).map(spanOf));
}

function spanOf(span: Readonly<Record<string, unknown>>): RawSpan {
  const endpoint = isRecord(span["localEndpoint"]) ? span["localEndpoint"] : {};
  const tags = isRecord(span["tags"]) ? span["tags"] : {};
  const annotations = Array.isArray(span["annotations"]) ? span["annotations"].filter(isRecord) : [];
  return {
    traceId: textOf(span["traceId"]),
    spanId: textOf(span["id"]),
    parentId: textOf(span["parentId"]),
    kind: textOf(span["kind"]),
    shared: span["shared"] === true,
    service: textOf(endpoint["serviceName"]),
    name: textOf(span["name"]),
    startUs: Number(span["timestamp"] ?? 0),
    durationUs: Number(span["duration"] ?? 0),
    // Whatever its value is.
    isError: Object.hasOwn(tags, "error"),
    tags: Object.entries(tags).map(([key, value]) => [key, String(value)]),
    events: annotations.map(({ timestamp, value }) => ({ atUs: Number(timestamp), name: textOf(value), tags: [] })),
  };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
