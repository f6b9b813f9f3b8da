// Protobuf's own JSON (lowerCamelCase, durations as "10s", 64-bit numbers as text, the contents of an Any beside its
// "@type"), exact because it follows the descriptors. For commands and debug pages: the descriptors cost some megabytes.

import { gunzipSync } from "node:zlib";
import {
  createFileRegistry,
  type DescMessage,
  type FileRegistry,
  fromBinary,
  fromJson,
  type JsonValue,
  type MessageShape,
  toJson,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { DESCRIPTORS } from "./gen/descriptors.ts";

const PREFIX = "type.googleapis.com/";

let known: FileRegistry | undefined;

function registry(): FileRegistry {
  known ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, gunzipSync(Buffer.from(DESCRIPTORS, "base64"))));
  return known;
}

function schemaOf(typeUrl: string): Result<DescMessage, string> {
  const schema = registry().getMessage(typeUrl.startsWith(PREFIX) ? typeUrl.slice(PREFIX.length) : typeUrl);
  return schema === undefined ? err(`${typeUrl} is not a message that weft knows`) : ok(schema);
}

/** A message of the type, given by its bytes. */
export function bytesToJson(typeUrl: string, bytes: Uint8Array): Result<JsonValue, string> {
  const schema = schemaOf(typeUrl);
  if (!schema.ok) return schema;
  try {
    return ok(write(schema.value, fromBinary(schema.value, bytes)));
  } catch (error) {
    return err(`${typeUrl}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/**
 * The same message in the same words, whoever wrote it: names in either spelling, defaults left out. What weft doesn't
 * know is dropped, so that the configuration of a newer Envoy can be compared with what was sent.
 */
export function canonicalMessage(typeUrl: string, json: unknown): Result<JsonValue, string> {
  const schema = schemaOf(typeUrl);
  if (!schema.ok) return schema;
  if (!isJson(json)) return err(`${typeUrl}: not JSON`);
  try {
    const message = fromJson(schema.value, json, { registry: registry(), ignoreUnknownFields: true });
    return ok(write(schema.value, message));
  } catch (error) {
    return err(`${typeUrl}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function write(schema: DescMessage, message: MessageShape<DescMessage>): JsonValue {
  return typesFirst(toJson(schema, message, { registry: registry() }));
}

/** For people: what a thing is before what it says. */
function typesFirst(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(typesFirst);
  if (typeof value !== "object" || value === null) return value;
  const { "@type": type, ...rest } = value;
  const fields = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, typesFirst(inner)]));
  return type === undefined ? fields : { "@type": type, ...fields };
}

function isJson(value: unknown): value is JsonValue {
  if (value === null || ["string", "number", "boolean"].includes(typeof value)) return true;
  return Array.isArray(value) ? value.every(isJson) : isRecord(value) && Object.values(value).every(isJson);
}
