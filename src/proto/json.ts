// Protobuf JSON as Envoy writes and reads it: snake_case names, durations as "10s", the contents of an Any beside its "@type".

import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { messageCodec } from "./types.ts";

interface JsonCodec<T> {
  toJSON(message: T): unknown;
  fromJSON(json: unknown): T;
}

/** Nesting beyond this is cut off. */
const DEPTH_MAX = 64;

/** Fields that hold free-form data: nothing in them is renamed. */
const FREE_FORM = new Set(["filterMetadata", "jsonFormat", "staticLayer"]);
/** Fields whose keys are names, not fields. */
const MAPS = new Set([
  "typedFilterMetadata",
  "typedPerFilterConfig",
  "typedExtensionProtocolOptions",
  "policies",
  "namedEndpoints",
  "providers",
  "requirementMap",
  "contextExtensions",
]);
/** The only fields of a Metadata message; other objects called `metadata` are free-form. */
const METADATA_FIELDS = new Set(["filterMetadata", "typedFilterMetadata"]);
const DURATION_NAME = /(timeout|interval|duration|ejectionTime|delay|refreshRate)$/i;
/** Texts that may look like a duration and are not. */
const NEVER_DURATION = new Set([
  "name",
  "cluster",
  "id",
  "path",
  "prefix",
  "exact",
  "suffix",
  "value",
  "address",
  "regex",
  "key",
]);

export function toEnvoyJson<T>(codec: JsonCodec<T>, message: T): unknown {
  return outward(codec.toJSON(message), "", 0);
}

/** Reads JSON (snake_case or camelCase). The error names each unknown field by its path. */
export function fromEnvoyJson<T>(codec: JsonCodec<T>, json: unknown): Result<T, readonly string[]> {
  const issues: string[] = [];
  const message = readMessage(codec, { value: json, path: "" }, issues);
  return issues.length > 0 || message === undefined ? err(issues) : ok(message);
}

function outward(value: unknown, field: string, depth: number): unknown {
  if (depth > DEPTH_MAX) return null;
  if (Array.isArray(value)) return value.map((item: unknown) => outward(item, field, depth + 1));
  if (!isRecord(value) || isFreeForm(field, value)) return value;
  const { typeUrl } = value;
  if (typeof typeUrl === "string" && typeUrl.includes("/")) return anyOutward(typeUrl, value["value"], depth);
  const duration = durationText(value, field);
  if (duration !== undefined) return duration;
  const isMap = MAPS.has(field);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      isMap ? key : snakeCase(key),
      outward(inner, isMap ? "" : key, depth + 1),
    ]),
  );
}

function anyOutward(typeUrl: string, value: unknown, depth: number): unknown {
  const codec = messageCodec(typeUrl);
  const encoded = typeof value === "string" ? value : "";
  if (codec === undefined) return { "@type": typeUrl, value: encoded };
  const body = outward(codec.jsonOf(Buffer.from(encoded, "base64")), "", depth + 1);
  return isRecord(body) && !typeUrl.endsWith("google.protobuf.Struct")
    ? { "@type": typeUrl, ...body }
    : { "@type": typeUrl, value: body };
}

function isFreeForm(field: string, value: Readonly<Record<string, unknown>>): boolean {
  if (FREE_FORM.has(field)) return true;
  return field === "metadata" && !Object.keys(value).every((key) => METADATA_FIELDS.has(camelCase(key)));
}

function durationText(value: Readonly<Record<string, unknown>>, field: string): string | undefined {
  const keys = Object.keys(value);
  if (keys.length === 0) return DURATION_NAME.test(field) ? "0s" : undefined;
  if (!keys.every((key) => key === "seconds" || key === "nanos")) return undefined;
  const nanos = Number(value["nanos"] ?? 0);
  const fraction = nanos === 0 ? "" : `.${String(nanos).padStart(9, "0").replace(/0+$/, "")}`;
  return `${value["seconds"] ?? 0}${fraction}s`;
}

interface Place {
  readonly value: unknown;
  readonly path: string;
}

function readMessage<T>(codec: JsonCodec<T>, place: Place, issues: string[]): T | undefined {
  if (!isRecord(place.value)) {
    issues.push(`${place.path === "" ? "the document" : place.path}: expected an object`);
    return undefined;
  }
  try {
    const given = inward(place, { field: "", depth: 0, issues });
    const message = codec.fromJSON(given);
    reportUnknown({ given, known: codec.toJSON(message), path: place.path }, "", issues);
    return message;
  } catch (error) {
    issues.push(`${place.path}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

interface Inward {
  readonly field: string;
  readonly depth: number;
  readonly issues: string[];
}

/** To what the generated code reads: camelCase, durations as seconds and nanos, an Any as bytes. */
function inward(place: Place, context: Inward): unknown {
  const { value, path } = place;
  const { field, depth, issues } = context;
  if (depth > DEPTH_MAX) {
    issues.push(`${path}: nested more than ${DEPTH_MAX} deep`);
    return undefined;
  }
  if (Array.isArray(value)) {
    return value.map((item: unknown, index) =>
      inward({ value: item, path: `${path}[${index}]` }, { ...context, depth: depth + 1 }),
    );
  }
  if (typeof value === "string" && !NEVER_DURATION.has(field)) return parseDuration(value) ?? value;
  if (!isRecord(value) || isFreeForm(field, value)) return value;
  if (typeof value["@type"] === "string") return anyInward(value["@type"], place, issues);
  const isMap = MAPS.has(field);
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const name = isMap ? key : camelCase(key);
      const next = { value: inner, path: path === "" ? key : `${path}.${key}` };
      return [name, inward(next, { field: isMap ? "" : name, depth: depth + 1, issues })];
    }),
  );
}

function anyInward(typeUrl: string, place: Place, issues: string[]): unknown {
  const codec = messageCodec(typeUrl);
  if (codec === undefined) {
    issues.push(`${place.path}.@type: ${typeUrl} is not a type that weft reads`);
    return undefined;
  }
  const { "@type": _type, ...rest } = isRecord(place.value) ? place.value : {};
  const wrapped = "value" in rest && Object.keys(rest).length === 1 ? rest["value"] : rest;
  const reader: JsonCodec<Buffer> = {
    fromJSON: (json) => codec.bytesOf(json),
    toJSON: (bytes) => codec.jsonOf(bytes),
  };
  const bytes = isRecord(wrapped)
    ? readMessage(reader, { value: wrapped, path: place.path }, issues)
    : codec.bytesOf(wrapped);
  return { typeUrl, value: bytes?.toString("base64") ?? "" };
}

interface Comparison {
  readonly given: unknown;
  readonly known: unknown;
  readonly path: string;
}

/** What was given and didn't come through is unknown. Values equal to the default don't come through either, and do no harm. */
function reportUnknown(comparison: Comparison, field: string, issues: string[]): void {
  const { given, known, path } = comparison;
  if (Array.isArray(given)) {
    for (const [index, item] of given.entries()) {
      const inner = Array.isArray(known) ? known[index] : undefined;
      reportUnknown({ given: item, known: inner, path: `${path}[${index}]` }, field, issues);
    }
  } else if (isRecord(given) && !isFreeForm(field, given) && !("typeUrl" in given)) {
    for (const key of Object.keys(given)) reportField({ given, known, path }, { field, key }, issues);
  }
}

function reportField(
  comparison: Comparison & { readonly given: Readonly<Record<string, unknown>> },
  at: { readonly field: string; readonly key: string },
  issues: string[],
): void {
  const { given, known, path } = comparison;
  const isMap = MAPS.has(at.field);
  const name = isMap ? at.key : snakeCase(at.key);
  const place = path === "" ? name : `${path}.${name}`;
  const value = given[at.key];
  const counterpart = isRecord(known) ? known[at.key] : undefined;
  if (counterpart === undefined && !isDefault(value)) issues.push(`${place}: unknown field`);
  else reportUnknown({ given: value, known: counterpart, path: place }, isMap ? "" : at.key, issues);
}

function isDefault(value: unknown): boolean {
  if (value === undefined || value === null || value === 0 || value === false || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  if (isRecord(value)) return Object.values(value).every(isDefault);
  return typeof value === "string" && /^[A-Z0-9_]+$/.test(value);
}

function parseDuration(text: string): { seconds: number; nanos: number } | undefined {
  const match = /^(\d+)(?:\.(\d{1,9}))?s$/.exec(text);
  if (match === null) return undefined;
  return { seconds: Number(match[1]), nanos: Number((match[2] ?? "").padEnd(9, "0")) };
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_whole, letter: string) => letter.toUpperCase());
}
