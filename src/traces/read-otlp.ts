// A report of OTLP: an ExportTraceServiceRequest, in JSON or in protobuf. The latter is read into the former's shape by the
// numbers of OpenTelemetry's definitions, as far as spans are concerned.

import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { isRecord, parseJson } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { RawSpan } from "./bounded.ts";
import { VALUE_DEPTH_MAX } from "./limits.ts";

export function readOtlpJson(bytes: Buffer): Result<readonly RawSpan[], string> {
  const parsed = parseJson(bytes.toString("utf8"));
  if (!parsed.ok) return parsed;
  return isRecord(parsed.value) ? ok(spansOf(parsed.value)) : err("an ExportTraceServiceRequest is expected");
}

export function readOtlp(bytes: Uint8Array): Result<readonly RawSpan[], string> {
  try {
    return ok(spansOf(readMessage(bytes, REQUEST, 0)));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

type Plain = Readonly<Record<string, unknown>>;

function spansOf(request: Plain): readonly RawSpan[] {
  return listOf(request, "resourceSpans").flatMap((resourceSpans) => {
    const resource = isRecord(resourceSpans["resource"]) ? resourceSpans["resource"] : {};
    const named = tagsOf(resource).find(([key]) => key === "service.name");
    return listOf(resourceSpans, "scopeSpans").flatMap((scope) =>
      listOf(scope, "spans").map((span) => spanOf(span, named?.[1] ?? "")),
    );
  });
}

const KINDS: Readonly<Record<string, string>> = { 2: "server", 3: "client", 4: "producer", 5: "consumer" };

function spanOf(span: Plain, service: string): RawSpan {
  const status = isRecord(span["status"]) ? span["status"] : {};
  const startNs = nanos(span["startTimeUnixNano"]);
  const message = textOf(status["message"]);
  return {
    traceId: textOf(span["traceId"]),
    spanId: textOf(span["spanId"]),
    parentId: textOf(span["parentSpanId"]),
    kind: KINDS[String(span["kind"]).replace("SPAN_KIND_", "")] ?? String(span["kind"]).replace("SPAN_KIND_", ""),
    shared: false,
    service,
    name: textOf(span["name"]),
    startUs: Number(startNs / 1000n),
    durationUs: Number(nanos(span["endTimeUnixNano"]) - startNs) / 1000,
    isError: status["code"] === 2 || status["code"] === "STATUS_CODE_ERROR",
    tags: message === "" ? tagsOf(span) : [...tagsOf(span), ["otel.status_description", message]],
    events: listOf(span, "events").map((event) => ({
      atUs: Number(nanos(event["timeUnixNano"]) / 1000n),
      name: textOf(event["name"]),
      tags: tagsOf(event),
    })),
  };
}

function listOf(of: Plain, name: string): readonly Plain[] {
  const list = of[name];
  return Array.isArray(list) ? list.filter(isRecord) : [];
}

function tagsOf(of: Plain): readonly (readonly [string, string])[] {
  return listOf(of, "attributes").map(({ key, value }) => [textOf(key), valueText(value, 0)]);
}

/** An AnyValue: of a list or a map as JSON. */
function valueText(value: unknown, depth: number): string {
  const plain = plainValue(value, depth);
  return typeof plain === "string" ? plain : JSON.stringify(plain ?? "");
}

function plainValue(value: unknown, depth: number): unknown {
  if (!isRecord(value) || depth > VALUE_DEPTH_MAX) return "";
  const { arrayValue, kvlistValue } = value;
  if (isRecord(arrayValue)) return listOf(arrayValue, "values").map((each) => plainValue(each, depth + 1));
  if (isRecord(kvlistValue)) {
    const pairs = listOf(kvlistValue, "values").map((each) => [
      textOf(each["key"]),
      plainValue(each["value"], depth + 1),
    ]);
    return Object.fromEntries(pairs);
  }
  const [simple] = Object.values(value);
  return typeof simple === "bigint" ? String(simple) : (simple ?? "");
}

/** A 64-bit number, which JSON has as text. */
function nanos(value: unknown): bigint {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  return typeof value === "string" && /^\d{1,20}$/.test(value) ? BigInt(value) : 0n;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

type FieldType = "hex" | "text" | "number" | "nanos" | "double" | "bool" | "int";
/** A message's fields by their numbers; a message in a list is repeated. */
interface Schema {
  readonly [field: number]: readonly [name: string, type: FieldType | (() => Schema), repeated?: "repeated"];
}

const VALUE: Schema = {
  1: ["stringValue", "text"],
  2: ["boolValue", "bool"],
  3: ["intValue", "int"],
  4: ["doubleValue", "double"],
  5: ["arrayValue", () => VALUES],
  6: ["kvlistValue", () => PAIRS],
  7: ["bytesValue", "hex"],
};
const PAIR: Schema = { 1: ["key", "text"], 2: ["value", () => VALUE] };
const VALUES: Schema = { 1: ["values", () => VALUE, "repeated"] };
const PAIRS: Schema = { 1: ["values", () => PAIR, "repeated"] };
const EVENT: Schema = {
  1: ["timeUnixNano", "nanos"],
  2: ["name", "text"],
  3: ["attributes", () => PAIR, "repeated"],
};
const STATUS: Schema = { 2: ["message", "text"], 3: ["code", "number"] };
const SPAN: Schema = {
  1: ["traceId", "hex"],
  2: ["spanId", "hex"],
  4: ["parentSpanId", "hex"],
  5: ["name", "text"],
  6: ["kind", "number"],
  7: ["startTimeUnixNano", "nanos"],
  8: ["endTimeUnixNano", "nanos"],
  9: ["attributes", () => PAIR, "repeated"],
  11: ["events", () => EVENT, "repeated"],
  15: ["status", () => STATUS],
};
const SCOPE_SPANS: Schema = { 2: ["spans", () => SPAN, "repeated"] };
const RESOURCE: Schema = { 1: ["attributes", () => PAIR, "repeated"] };
const RESOURCE_SPANS: Schema = {
  1: ["resource", () => RESOURCE],
  2: ["scopeSpans", () => SCOPE_SPANS, "repeated"],
};
const REQUEST: Schema = { 1: ["resourceSpans", () => RESOURCE_SPANS, "repeated"] };

/** Beside the values' own nesting, as deep as a span lies. */
const DEPTH_MAX = VALUE_DEPTH_MAX * 3 + 8;

const WIRE: Readonly<Record<FieldType, WireType>> = {
  hex: WireType.LengthDelimited,
  text: WireType.LengthDelimited,
  number: WireType.Varint,
  bool: WireType.Varint,
  int: WireType.Varint,
  nanos: WireType.Bit64,
  double: WireType.Bit64,
};

function readMessage(bytes: Uint8Array, schema: Schema, depth: number): Plain {
  if (depth > DEPTH_MAX) throw new Error("the message is nested too deep");
  const reader = new BinaryReader(bytes);
  const message: Record<string, unknown> = {};
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    const [name, type, repeated] = schema[number] ?? [];
    if (name === undefined || type === undefined || wire !== wireOf(type)) {
      reader.skip(wire, number);
      continue;
    }
    const value = typeof type === "string" ? readField(reader, type) : readMessage(reader.bytes(), type(), depth + 1);
    if (repeated === undefined) message[name] = value;
    else {
      const list = message[name];
      if (Array.isArray(list)) list.push(value);
      else message[name] = [value];
    }
  }
  return message;
}

function wireOf(type: FieldType | (() => Schema)): WireType {
  return typeof type === "string" ? WIRE[type] : WireType.LengthDelimited;
}

function readField(reader: BinaryReader, type: FieldType): unknown {
  switch (type) {
    case "hex":
      return Buffer.from(reader.bytes()).toString("hex");
    case "text":
      return Buffer.from(reader.bytes()).toString("utf8");
    case "number":
      return reader.int32();
    case "bool":
      return reader.bool();
    case "int":
      return BigInt(reader.int64());
    case "nanos":
      return BigInt(reader.fixed64());
    case "double":
      return reader.double();
  }
}
