// Spans as a Jaeger agent takes them: `emitBatch` in Thrift's compact protocol, as many as fit into one datagram.

import { pairs, type Span, type SpanSource } from "./span.ts";
import { CompactWriter, I32, I64, LIST, STRING, STRUCT, TRUE } from "./thrift.ts";

const STRING_TAG = 0;
const BOOL_TAG = 2;
const SAMPLED = 1;

export interface Datagrams {
  readonly packets: readonly Buffer[];
  /** Spans that no datagram holds. */
  readonly tooLarge: number;
}

export function encodeJaeger(spans: readonly Span[], source: SpanSource, bytesMax: number): Datagrams {
  const process = encodeProcess(source);
  const packets: Buffer[] = [];
  let waiting: Buffer[] = [];
  let bytes = 0;
  let tooLarge = 0;
  const room = bytesMax - process.length - FRAME_BYTES_MAX;
  const send = () => {
    if (waiting.length > 0) packets.push(frame(process, waiting));
    waiting = [];
    bytes = 0;
  };
  for (const span of spans) {
    const encoded = encodeSpan(span);
    if (encoded.length > room) {
      tooLarge += 1;
      continue;
    }
    if (bytes + encoded.length > room) send();
    waiting.push(encoded);
    bytes += encoded.length;
  }
  send();
  return { packets, tooLarge };
}

/** What a datagram has beside the process and the spans: message head, two structs, the list's head. */
const FRAME_BYTES_MAX = 32;

function frame(process: Buffer, spans: readonly Buffer[]): Buffer {
  const head = new CompactWriter();
  head.oneway("emitBatch");
  head.field(STRUCT, 1);
  head.beginStruct();
  head.field(STRUCT, 1);
  head.raw(process);
  head.field(LIST, 2);
  head.list(STRUCT, spans.length);
  for (const span of spans) head.raw(span);
  head.endStruct();
  head.endStruct();
  return head.finish();
}

function encodeProcess(source: SpanSource): Buffer {
  const out = new CompactWriter();
  out.beginStruct();
  out.field(STRING, 1);
  out.string(source.serviceName);
  const tags = [...source.attributes, ...(source.ip === "" ? [] : ["ip", source.ip])];
  writeTags(out, 2, tags, false);
  out.endStruct();
  return out.finish();
}

function encodeSpan(span: Span): Buffer {
  const out = new CompactWriter();
  const trace = span.traceId.padStart(32, "0");
  out.beginStruct();
  out.field(I64, 1);
  out.hex64(trace.slice(16));
  out.field(I64, 2);
  out.hex64(trace.slice(0, 16));
  out.field(I64, 3);
  out.hex64(span.spanId);
  out.field(I64, 4);
  out.hex64(span.parentId ?? "0");
  out.field(STRING, 5);
  out.string(span.name);
  out.field(I32, 7);
  out.integer(SAMPLED);
  out.field(I64, 8);
  out.integer(Math.round(span.startUs));
  out.field(I64, 9);
  out.integer(Math.round(span.durationUs));
  writeTags(out, 10, ["span.kind", span.kind, ...span.tags], span.isError);
  out.endStruct();
  return out.finish();
}

/** Jaeger's own reading of a failure is a boolean. */
function writeTags(out: CompactWriter, field: number, flat: readonly string[], isError: boolean): void {
  const tags = [...pairs(flat)].filter(([key]) => !isError || key !== "error");
  out.field(LIST, field);
  out.list(STRUCT, tags.length + (isError ? 1 : 0));
  for (const [key, value] of tags) {
    out.beginStruct();
    out.field(STRING, 1);
    out.string(key);
    out.field(I32, 2);
    out.integer(STRING_TAG);
    out.field(STRING, 3);
    out.string(value);
    out.endStruct();
  }
  if (!isError) return;
  out.beginStruct();
  out.field(STRING, 1);
  out.string("error");
  out.field(I32, 2);
  out.integer(BOOL_TAG);
  // A boolean's value is its type.
  out.field(TRUE, 5);
  out.endStruct();
}
