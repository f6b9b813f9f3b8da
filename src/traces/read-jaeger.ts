// A datagram to a Jaeger agent: `emitBatch` in Thrift's compact protocol, fields by the numbers of Jaeger's definitions.

import { err, ok, type Result } from "../base/result.ts";
import type { RawSpan } from "./bounded.ts";
import { readThrift, type ThriftStruct, type ThriftValue } from "./thrift-reader.ts";

export function readJaeger(bytes: Buffer): Result<readonly RawSpan[], string> {
  try {
    const { name, body } = readThrift(bytes);
    if (name !== "emitBatch") return err(`the agent has no method ${name}`);
    const batch = structOf(body.get(1));
    const service = textOf(structOf(batch.get(1)).get(1));
    return ok(listOf(batch.get(2)).map((span) => spanOf(structOf(span), service)));
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** Of a reference, and of what a tag's value may be. */
const CHILD_OF = 0;
const VALUE_FIELDS = [3, 4, 5, 6, 7];

function spanOf(span: ThriftStruct, service: string): RawSpan {
  const tags = tagsOf(span.get(10));
  const value = (name: string): string => tags.find(([key]) => key === name)?.[1] ?? "";
  return {
    traceId: hexOf(span.get(2)) + hexOf(span.get(1)),
    spanId: hexOf(span.get(3)),
    parentId: parentOf(span),
    kind: value("span.kind"),
    shared: false,
    service,
    name: textOf(span.get(5)),
    startUs: Number(span.get(8) ?? 0),
    durationUs: Number(span.get(9) ?? 0),
    isError: value("error") === "true",
    tags,
    events: listOf(span.get(11)).map((log) => {
      const fields = tagsOf(structOf(log).get(2));
      const name = fields.find(([key]) => key === "event" || key === "message")?.[1] ?? "log";
      return { atUs: Number(structOf(log).get(1) ?? 0), name, tags: fields };
    }),
  };
}

/** Some clients name the parent only among the references. */
function parentOf(span: ThriftStruct): string {
  const own = hexOf(span.get(4));
  if (!/^0+$/.test(own)) return own;
  const reference = listOf(span.get(6))
    .map(structOf)
    .find((each) => Number(each.get(1) ?? -1) === CHILD_OF);
  return reference === undefined ? "" : hexOf(reference.get(4));
}

function tagsOf(value: ThriftValue | undefined): readonly (readonly [string, string])[] {
  return listOf(value).map((each) => {
    const tag = structOf(each);
    const field = VALUE_FIELDS.find((number) => tag.has(number));
    return [textOf(tag.get(1)), field === undefined ? "" : String(tag.get(field))];
  });
}

function hexOf(value: ThriftValue | undefined): string {
  return BigInt.asUintN(64, typeof value === "bigint" ? value : 0n)
    .toString(16)
    .padStart(16, "0");
}

function textOf(value: ThriftValue | undefined): string {
  return typeof value === "string" ? value : "";
}

function structOf(value: ThriftValue | undefined): ThriftStruct {
  return value instanceof Map ? value : NOTHING;
}

function listOf(value: ThriftValue | undefined): readonly ThriftValue[] {
  return Array.isArray(value) ? value : [];
}

const NOTHING: ThriftStruct = new Map();
