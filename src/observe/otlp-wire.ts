// Parts that all of OTLP's messages have.

import type { BinaryWriter } from "@bufbuild/protobuf/wire";

const BYTES = 2;

/** A KeyValue with a text. */
export function attribute(out: BinaryWriter, field: number, key: string, value: string): void {
  const keyValue = message(out, field);
  keyValue.tag(1, BYTES).string(key);
  message(keyValue, 2).tag(1, BYTES).string(value).join();
  keyValue.join();
}

/** Ends with its `join`. */
export function message(out: BinaryWriter, field: number): BinaryWriter {
  return out.tag(field, BYTES).fork();
}
