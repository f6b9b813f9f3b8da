// Log records as OTLP takes them: an ExportLogsServiceRequest in protobuf, written field by field as spans are.

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { attribute, message } from "./otlp-wire.ts";
import { pairs } from "./span.ts";

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
/** INFO. */
const SEVERITY = 9;

export interface LogEntry {
  readonly timeMs: number;
  /** Empty: none. */
  readonly body: string;
  /** Flat: name, value, name, value, … */
  readonly attributes: readonly string[];
  /** 32 hexadecimal digits; empty where it isn't traced. */
  readonly traceId: string;
}

export function encodeOtlpLogs(entries: readonly LogEntry[], resourceAttributes: readonly string[]): Buffer {
  const out = new BinaryWriter();
  const resourceLogs = message(out, 1);
  const resource = message(resourceLogs, 1);
  for (const [key, value] of pairs(resourceAttributes)) attribute(resource, 1, key, value);
  resource.join();
  const scopeLogs = message(resourceLogs, 2);
  for (const entry of entries) writeEntry(message(scopeLogs, 2), entry);
  scopeLogs.join();
  resourceLogs.join();
  const bytes = out.finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeEntry(out: BinaryWriter, { timeMs, body, attributes, traceId }: LogEntry): void {
  out.tag(1, FIXED64).fixed64(BigInt(Math.round(timeMs * 1000)) * 1000n);
  out.tag(2, VARINT).int32(SEVERITY);
  if (body !== "") message(out, 5).tag(1, BYTES).string(body).join();
  for (const [key, value] of pairs(attributes)) attribute(out, 6, key, value);
  if (traceId !== "") out.tag(9, BYTES).bytes(Buffer.from(traceId.padStart(32, "0"), "hex"));
  out.join();
}
