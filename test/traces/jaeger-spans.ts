// What a datagram to a Jaeger agent tells, in the form that all backends of the tests give their spans in.

import { readMessage, type ThriftStruct, type ThriftValue } from "./thrift-reader.ts";

export interface SeenSpan {
  readonly service: string;
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string | undefined;
  readonly kind: string;
  readonly name: string;
  readonly startUs: number;
  readonly durationUs: number;
  readonly tags: Readonly<Record<string, string>>;
}

export function jaegerSpans(bytes: Buffer): readonly SeenSpan[] {
  const { name, body } = readMessage(bytes);
  if (name !== "emitBatch") throw new Error(`method ${name}`);
  const batch = struct(body.get(1));
  const service = String(struct(batch.get(1)).get(1));
  return list(batch.get(2)).map((one) => jaegerSpan(service, struct(one)));
}

function jaegerSpan(service: string, span: ThriftStruct): SeenSpan {
  const tags = Object.fromEntries(
    list(span.get(10)).map((one): [string, string] => {
      const tag = struct(one);
      return [String(tag.get(1)), String(tag.get(3) ?? tag.get(5) ?? tag.get(6))];
    }),
  );
  const parent = hex(span.get(4));
  return {
    service,
    traceId: hex(span.get(2)) + hex(span.get(1)),
    id: hex(span.get(3)),
    parentId: parent === "0000000000000000" ? undefined : parent,
    kind: tags["span.kind"] ?? "",
    name: String(span.get(5)),
    startUs: Number(span.get(8)),
    durationUs: Number(span.get(9)),
    tags,
  };
}

function hex(value: ThriftValue | undefined): string {
  return BigInt.asUintN(64, typeof value === "bigint" ? value : 0n)
    .toString(16)
    .padStart(16, "0");
}

function struct(value: ThriftValue | undefined): ThriftStruct {
  if (!(value instanceof Map)) throw new Error("a struct was expected");
  return value;
}

function list(value: ThriftValue | undefined): readonly ThriftValue[] {
  if (!Array.isArray(value)) throw new Error("a list was expected");
  return value;
}
