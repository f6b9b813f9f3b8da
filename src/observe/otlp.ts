// Spans as OTLP takes them: an ExportTraceServiceRequest in protobuf, for HTTP and gRPC alike. Written field by field, since
// its times are 64-bit numbers that generated code would round.

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { attribute, message } from "./otlp-wire.ts";
import { pairs, type Span, type SpanSource } from "./span.ts";

const KIND_SERVER = 2;
const KIND_CLIENT = 3;
const STATUS_ERROR = 2;
/** Of the trace's flags, the one that says that it is sampled. */
const SAMPLED = 1;

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

export function encodeOtlp(spans: readonly Span[], source: SpanSource): Buffer {
  const out = new BinaryWriter();
  const resourceSpans = message(out, 1);
  const resource = message(resourceSpans, 1);
  for (const [key, value] of pairs(["service.name", source.serviceName, ...source.attributes]))
    attribute(resource, 1, key, value);
  resource.join();
  const scopeSpans = message(resourceSpans, 2);
  message(scopeSpans, 1).tag(1, BYTES).string("weft").join();
  for (const span of spans) writeSpan(message(scopeSpans, 2), span);
  scopeSpans.join();
  resourceSpans.join();
  const bytes = out.finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeSpan(out: BinaryWriter, span: Span): void {
  out.tag(1, BYTES).bytes(Buffer.from(span.traceId.padStart(32, "0"), "hex"));
  out.tag(2, BYTES).bytes(Buffer.from(span.spanId, "hex"));
  if (span.traceState !== "") out.tag(3, BYTES).string(span.traceState);
  if (span.parentId !== undefined) out.tag(4, BYTES).bytes(Buffer.from(span.parentId, "hex"));
  out.tag(5, BYTES).string(span.name);
  out.tag(6, VARINT).int32(span.kind === "server" ? KIND_SERVER : KIND_CLIENT);
  const startNs = BigInt(Math.round(span.startUs)) * 1000n;
  out.tag(7, FIXED64).fixed64(startNs);
  out.tag(8, FIXED64).fixed64(startNs + BigInt(Math.round(span.durationUs)) * 1000n);
  for (const [key, value] of pairs(span.tags)) attribute(out, 9, key, value);
  if (span.isError) message(out, 15).tag(3, VARINT).int32(STATUS_ERROR).join();
  out.tag(16, FIXED32).fixed32(SAMPLED);
  out.join();
}
