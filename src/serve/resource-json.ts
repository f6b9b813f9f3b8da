// Resources as protobuf JSON, for people and tools: what a secret hides stays hidden.

import type { JsonValue } from "@bufbuild/protobuf";
import { isRecord } from "../base/json.ts";
import type { Result } from "../base/result.ts";
import { bytesToJson } from "../proto/proto3-json.ts";
import type { EncodedResource } from "./resource.ts";

/** Base64 of "[redacted]", as Envoy writes it. */
const REDACTED = "W3JlZGFjdGVkXQ==";
const HIDDEN = new Set(["privateKey", "password", "sessionTicketKeys", "genericSecret", "pkcs12"]);

export function resourceJson({ any }: EncodedResource): Result<JsonValue, string> {
  const json = bytesToJson(any.typeUrl, any.value);
  if (!json.ok || !any.typeUrl.endsWith(".v3.Secret")) return json;
  return { ok: true, value: redact(json.value, false) };
}

/** Names are no secret: only what is in the fields that hold one. */
function redact(value: JsonValue, isHidden: boolean): JsonValue {
  if (Array.isArray(value)) return value.map((each) => redact(each, isHidden));
  if (!isRecord(value)) return isHidden ? REDACTED : value;
  const fields = Object.entries(value).map(([key, inner]): [string, JsonValue] => [
    key,
    redact(inner, isHidden || HIDDEN.has(key)),
  ]);
  return Object.fromEntries(fields);
}
