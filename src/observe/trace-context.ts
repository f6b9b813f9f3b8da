// Trace contexts in request headers: read from any of the formats in use, and written to those that the next hop may read.

import type { Random } from "../base/random.ts";
import type { HeaderLookup } from "./access-record.ts";

export type TraceFormat = "b3" | "b3-single" | "w3c" | "jaeger" | "cloud";

export interface TraceContext {
  /** 32 or 16 hexadecimal digits, in lower case, not all zero. */
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  /** Undefined: it is the receiver's to decide. */
  readonly sampled: boolean | undefined;
  readonly traceState: string;
}

export interface Extracted {
  readonly context: TraceContext | undefined;
  /** A decision, with or without a context. */
  readonly sampled: boolean | undefined;
  /** The formats that were there, valid or not: what is sent on must not contradict the new context. */
  readonly present: readonly TraceFormat[];
}

export interface HeaderEdit extends HeaderLookup {
  set(name: string, value: string): void;
  remove(name: string): void;
}

const NOTHING: Extracted = { context: undefined, sampled: undefined, present: [] };
const CARRIERS: readonly (readonly [TraceFormat, string])[] = [
  ["b3", "x-b3-traceid"],
  ["b3-single", "b3"],
  ["w3c", "traceparent"],
  ["jaeger", "uber-trace-id"],
  ["cloud", "x-cloud-trace-context"],
];

/** The first valid context in the order of `preferred`; formats that are not in it come last. */
export function extractContext(headers: HeaderLookup, preferred: readonly TraceFormat[]): Extracted {
  let present: TraceFormat[] | undefined;
  for (const [format, header] of CARRIERS) {
    if (headers.get(header) === undefined) continue;
    present ??= [];
    present.push(format);
  }
  if (present === undefined) {
    const sampled = b3Sampled(headers);
    return sampled === undefined ? NOTHING : { ...NOTHING, sampled };
  }
  const order = [...preferred, ...present.filter((format) => !preferred.includes(format))];
  let decision: boolean | undefined;
  for (const format of order) {
    if (!present.includes(format)) continue;
    const found = READERS[format](headers);
    if (typeof found === "boolean") decision ??= found;
    else if (found !== undefined)
      return { context: withState(found, headers), sampled: found.sampled ?? decision, present };
  }
  return { context: undefined, sampled: decision ?? b3Sampled(headers), present };
}

/** `tracestate` belongs to the trace, in whichever other header the same trace is told first. */
function withState(context: TraceContext, headers: HeaderLookup): TraceContext {
  if (context.traceState !== "" || headers.get("tracestate") === undefined) return context;
  const w3c = readW3c(headers);
  const isSame = w3c?.traceId === context.traceId.padStart(32, "0");
  return isSame ? { ...context, traceState: w3c.traceState } : context;
}

/** A decision alone is a boolean. */
type Reader = (headers: HeaderLookup) => TraceContext | boolean | undefined;

const READERS: Readonly<Record<TraceFormat, Reader>> = {
  b3: readB3,
  "b3-single": readB3Single,
  w3c: readW3c,
  jaeger: readJaeger,
  cloud: readCloud,
};

function b3Sampled(headers: HeaderLookup): boolean | undefined {
  if (headers.get("x-b3-flags") === "1") return true;
  const told = headers.get("x-b3-sampled");
  if (told === "1" || told === "true") return true;
  return told === "0" || told === "false" ? false : undefined;
}

function readB3(headers: HeaderLookup): TraceContext | undefined {
  const traceId = id(headers.get("x-b3-traceid"), TRACE_ID);
  const spanId = id(headers.get("x-b3-spanid"), SPAN_ID);
  if (traceId === undefined || spanId === undefined) return undefined;
  const parentId = id(headers.get("x-b3-parentspanid"), SPAN_ID);
  return { traceId, spanId, parentId, sampled: b3Sampled(headers), traceState: "" };
}

function readB3Single(headers: HeaderLookup): TraceContext | boolean | undefined {
  const text = headers.get("b3") ?? "";
  if (text === "0" || text === "1" || text === "d") return text !== "0";
  const [trace, span, state, parent] = text.split("-");
  const traceId = id(trace, TRACE_ID);
  const spanId = id(span, SPAN_ID);
  if (traceId === undefined || spanId === undefined) return undefined;
  const sampled = state === "1" || state === "d" ? true : state === "0" ? false : undefined;
  return { traceId, spanId, parentId: id(parent, SPAN_ID), sampled, traceState: "" };
}

function readW3c(headers: HeaderLookup): TraceContext | undefined {
  const match = W3C.exec(headers.get("traceparent") ?? "");
  const [, version, trace, span, flags = "00", rest = ""] = match ?? [];
  const traceId = id(trace, TRACE_ID);
  const spanId = id(span, SPAN_ID);
  // Later versions may add fields behind a dash; version 00 has none, and ff is none.
  if (traceId === undefined || spanId === undefined || version === "ff" || (version === "00" && rest !== ""))
    return undefined;
  const sampled = (Number.parseInt(flags, 16) & 1) === 1;
  return { traceId, spanId, parentId: undefined, sampled, traceState: headers.get("tracestate") ?? "" };
}

function readJaeger(headers: HeaderLookup): TraceContext | undefined {
  const text = headers.get("uber-trace-id") ?? "";
  const [trace = "", span = "", , flags = ""] = (text.includes("%") ? text.replace(/%3a/gi, ":") : text).split(":");
  // Its ids come without leading zeros.
  const traceId = id(trace.length > 16 ? trace.padStart(32, "0") : trace.padStart(16, "0"), TRACE_ID);
  const spanId = id(span.padStart(16, "0"), SPAN_ID);
  if (traceId === undefined || spanId === undefined || !/^[0-9a-f]{1,2}$/i.test(flags)) return undefined;
  return { traceId, spanId, parentId: undefined, sampled: (Number.parseInt(flags, 16) & 1) === 1, traceState: "" };
}

function readCloud(headers: HeaderLookup): TraceContext | undefined {
  const match = CLOUD.exec(headers.get("x-cloud-trace-context") ?? "");
  const [, trace, span = "", option] = match ?? [];
  const traceId = id(trace, TRACE_ID);
  if (traceId === undefined) return undefined;
  const spanId = id(
    BigInt(span || "0")
      .toString(16)
      .padStart(16, "0"),
    SPAN_ID,
  );
  if (spanId === undefined) return undefined;
  const sampled = option === undefined ? undefined : (Number(option) & 1) === 1;
  return { traceId, spanId, parentId: undefined, sampled, traceState: "" };
}

const TRACE_ID = /^(?:[0-9a-f]{32}|[0-9a-f]{16})$/;
const SPAN_ID = /^[0-9a-f]{16}$/;
const W3C = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const CLOUD = /^([0-9a-fA-F]{32})\/(\d{1,20})(?:;o=(\d{1,3}))?$/;

function id(text: string | undefined, pattern: RegExp): string | undefined {
  const lower = text?.toLowerCase();
  return lower !== undefined && pattern.test(lower) && /[1-9a-f]/.test(lower) ? lower : undefined;
}

/** What goes into the headers: a span that is the parent of what the next hop does. */
export interface Outgoing {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  readonly sampled: boolean;
}

export function injectContext(headers: HeaderEdit, span: Outgoing, formats: readonly TraceFormat[]): void {
  for (const format of formats) WRITERS[format](headers, span);
}

const WRITERS: Readonly<Record<TraceFormat, (headers: HeaderEdit, span: Outgoing) => void>> = {
  b3: (headers, { traceId, spanId, parentId, sampled }) => {
    headers.set("x-b3-traceid", traceId);
    headers.set("x-b3-spanid", spanId);
    if (parentId === undefined) headers.remove("x-b3-parentspanid");
    else headers.set("x-b3-parentspanid", parentId);
    headers.set("x-b3-sampled", sampled ? "1" : "0");
  },
  "b3-single": (headers, { traceId, spanId, parentId, sampled }) =>
    headers.set("b3", `${traceId}-${spanId}-${sampled ? "1" : "0"}${parentId === undefined ? "" : `-${parentId}`}`),
  w3c: (headers, { traceId, spanId, sampled }) =>
    headers.set("traceparent", `00-${traceId.padStart(32, "0")}-${spanId}-${sampled ? "01" : "00"}`),
  jaeger: (headers, { traceId, spanId, parentId, sampled }) =>
    headers.set("uber-trace-id", `${traceId}:${spanId}:${parentId ?? "0"}:${sampled ? "1" : "0"}`),
  cloud: (headers, { traceId, spanId, sampled }) =>
    headers.set(
      "x-cloud-trace-context",
      `${traceId.padStart(32, "0")}/${BigInt(`0x${spanId}`).toString()};o=${sampled ? "1" : "0"}`,
    ),
};

/** The decision against a trace that nothing has begun: ids where a format can't do without, which nobody will look for. */
export function injectRefusal(headers: HeaderEdit, requestId: string, formats: readonly TraceFormat[]): void {
  for (const format of formats) {
    if (format === "b3") headers.set("x-b3-sampled", "0");
    else if (format === "b3-single") headers.set("b3", "0");
    else WRITERS[format](headers, refused(requestId));
  }
}

/** Of a UUID the digits. */
function refused(requestId: string): Outgoing {
  const spanId = requestId.slice(19, 23) + requestId.slice(24);
  const traceId = requestId.slice(0, 8) + requestId.slice(9, 13) + requestId.slice(14, 18) + spanId;
  const isUsable = traceId.length === 32 && UUID.test(requestId);
  return isUsable ? { traceId, spanId, parentId: undefined, sampled: false } : ANYONE;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const ANYONE: Outgoing = {
  traceId: "00000000000000000000000000000001",
  spanId: "0000000000000001",
  parentId: undefined,
  sampled: false,
};

export function newSpanId(random: Random): string {
  return hex32(random) + hex32(random);
}

export function newTraceId(random: Random, isLong: boolean): string {
  return isLong ? newSpanId(random) + newSpanId(random) : newSpanId(random);
}

/** Never all zeros, which would be no id. */
function hex32(random: Random): string {
  return (Math.floor(random() * 0xffff_ffff) + 1).toString(16).padStart(8, "0");
}

export type TraceReason = "not-traceable" | "sampled" | "service-forced" | "client-forced";

const REASON_AT = 14;
const REASONS: Readonly<Record<string, TraceReason>> = { "9": "sampled", a: "service-forced", b: "client-forced" };
const DIGITS: Readonly<Record<TraceReason, string>> = {
  "not-traceable": "4",
  sampled: "9",
  "service-forced": "a",
  "client-forced": "b",
};

/** As Envoy packs it into the version of a UUID. */
export function traceReasonOf(requestId: string): TraceReason {
  return requestId.length === 36 ? (REASONS[requestId.charAt(REASON_AT)] ?? "not-traceable") : "not-traceable";
}

export function withReason(requestId: string, reason: TraceReason): string {
  if (requestId.length !== 36) return requestId;
  return `${requestId.slice(0, REASON_AT)}${DIGITS[reason]}${requestId.slice(REASON_AT + 1)}`;
}

const CHANCE = /^[0-9a-fA-F]{8}/;

/** Ten-thousandths that the id stands for: the same for everyone who sees it. Undefined: it says nothing. */
export function chanceOf(requestId: string): number | undefined {
  return CHANCE.test(requestId) ? Number.parseInt(requestId.slice(0, 8), 16) % 10_000 : undefined;
}
