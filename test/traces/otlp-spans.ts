// What an ExportTraceServiceRequest tells, read field by field by the numbers of OpenTelemetry's definitions.

import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { SeenSpan } from "./jaeger-spans.ts";

type Field = bigint | number | Uint8Array;
type Message = ReadonlyMap<number, readonly Field[]>;

function read(bytes: Uint8Array): Message {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, Field[]>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const list = fields.get(number) ?? [];
    fields.set(number, list);
    if (wireType === 0) list.push(reader.uint32());
    else if (wireType === 1) list.push(BigInt(reader.fixed64()));
    else if (wireType === 5) list.push(reader.fixed32());
    else list.push(reader.bytes());
  }
  return fields;
}

function messages(message: Message, field: number): readonly Message[] {
  return (message.get(field) ?? []).map((value) => read(bytesOf(value)));
}

function bytesOf(value: Field | undefined): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Error("bytes were expected");
  return value;
}

function text(message: Message, field: number): string {
  const value = message.get(field)?.[0];
  return value === undefined ? "" : Buffer.from(bytesOf(value)).toString();
}

function hex(message: Message, field: number): string {
  const value = message.get(field)?.[0];
  return value === undefined ? "" : Buffer.from(bytesOf(value)).toString("hex");
}

function attributes(message: Message, field: number): Readonly<Record<string, string>> {
  const entries = messages(message, field).map((one): [string, string] => {
    const [value] = messages(one, 2);
    return [text(one, 1), value === undefined ? "" : text(value, 1)];
  });
  return Object.fromEntries(entries);
}

const KINDS: Readonly<Record<string, string>> = { 2: "server", 3: "client" };

export function otlpSpans(bytes: Uint8Array): readonly SeenSpan[] {
  return messages(read(bytes), 1).flatMap((resourceSpans) => {
    const [resource] = messages(resourceSpans, 1);
    const service = resource === undefined ? "" : (attributes(resource, 1)["service.name"] ?? "");
    return messages(resourceSpans, 2)
      .flatMap((scope) => messages(scope, 2))
      .map((span) => otlpSpan(service, span));
  });
}

function otlpSpan(service: string, span: Message): SeenSpan {
  const nanos = (field: number) => BigInt(Number(span.get(field)?.[0] ?? 0));
  const parentId = hex(span, 4);
  const [status] = messages(span, 15);
  return {
    service,
    traceId: hex(span, 1),
    id: hex(span, 2),
    parentId: parentId === "" ? undefined : parentId,
    kind: KINDS[String(span.get(6)?.[0])] ?? "",
    name: text(span, 5),
    startUs: Number(nanos(7) / 1000n),
    durationUs: Number((nanos(8) - nanos(7)) / 1000n),
    tags: {
      ...attributes(span, 9),
      traceState: text(span, 3),
      status: status === undefined ? "" : String(status.get(3)?.[0]),
    },
  };
}

export interface SeenLogs {
  readonly resource: Readonly<Record<string, string>>;
  readonly records: readonly {
    readonly body: string;
    readonly attributes: Readonly<Record<string, string>>;
    readonly timeMs: number;
  }[];
}

/** What an ExportLogsServiceRequest of one resource tells. */
export function otlpLogs(bytes: Uint8Array): SeenLogs {
  const [resourceLogs = new Map()] = messages(read(bytes), 1);
  const [resource] = messages(resourceLogs, 1);
  const records = messages(resourceLogs, 2)
    .flatMap((scope) => messages(scope, 2))
    .map((record) => {
      const [body] = messages(record, 5);
      return {
        body: body === undefined ? "" : text(body, 1),
        attributes: attributes(record, 6),
        timeMs: Number(record.get(1)?.[0] ?? 0) / 1e6,
      };
    });
  return { resource: resource === undefined ? {} : attributes(resource, 1), records };
}
