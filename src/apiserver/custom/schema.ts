// A definition's schema (OpenAPI v3, structural) as what validation walks, and the rules beside the structure: what a
// value must match in all, one or none of several schemas, patterns, formats, and what is only said in bounds.

import { isIP } from "node:net";
import { RE2JS } from "re2js";
import type { TSchema } from "typebox";
import { Type } from "typebox";
import { errorIssue, type Issue } from "../../api/issue.ts";
import { deepEqual } from "../../base/equal.ts";
import { isRecord } from "../../base/json.ts";
import { SCHEMA_DEPTH_MAX } from "../limits.ts";

export type OpenApi = Readonly<Record<string, unknown>>;

const COPIED = [
  "type",
  "format",
  "description",
  "required",
  "enum",
  "minItems",
  "maxItems",
  "minLength",
  "maxLength",
  "minProperties",
  "maxProperties",
  "nullable",
  "default",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-int-or-string",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
] as const;

/** For the validator of structure, and for pruning: unknown fields of an object go unless it keeps them. */
export function structureOf(schema: OpenApi): TSchema {
  return Type.Unsafe<unknown>(structure(schema, 0));
}

function structure(schema: OpenApi, depth: number): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const key of COPIED) if (schema[key] !== undefined) result[key] = schema[key];
  if (depth > SCHEMA_DEPTH_MAX) return { "x-kubernetes-preserve-unknown-fields": true };
  if (schema["x-kubernetes-embedded-resource"] === true) return { type: "object", additionalProperties: true };
  const { properties, additionalProperties, items } = schema;
  if (isRecord(properties)) {
    const entries = Object.entries(properties).flatMap(([name, child]) =>
      isRecord(child) ? [[name, structure(child, depth + 1)] as const] : [],
    );
    result["properties"] = Object.fromEntries(entries);
  }
  if (isRecord(additionalProperties)) result["additionalProperties"] = structure(additionalProperties, depth + 1);
  else if (additionalProperties === true) result["additionalProperties"] = true;
  else if (schema["type"] === "object" && result["properties"] === undefined) result["properties"] = {};
  if (isRecord(items)) result["items"] = structure(items, depth + 1);
  return result;
}

/** What can't be checked, told when the definition is made. */
export function schemaIssues(schema: OpenApi, path: string, depth = 0): Issue[] {
  if (depth > SCHEMA_DEPTH_MAX) return [errorIssue(path, `is nested deeper than ${SCHEMA_DEPTH_MAX} levels`)];
  const issues: Issue[] = [];
  const { pattern, type } = schema;
  if (typeof pattern === "string" && compile(pattern) === undefined) {
    issues.push(errorIssue(`${path}.pattern`, "is no regular expression"));
  }
  const isFree =
    schema["x-kubernetes-int-or-string"] === true || schema["x-kubernetes-preserve-unknown-fields"] === true;
  if (type === undefined && !isFree)
    issues.push(errorIssue(`${path}.type`, "must not be empty for specified object fields", "required"));
  const given = schema["default"];
  const misfit = given === undefined ? undefined : fits(given, schema, `${path}.default`)[0];
  if (misfit !== undefined) issues.push(misfit);
  for (const [step, child] of childrenOf(schema)) issues.push(...schemaIssues(child, `${path}.${step}`, depth + 1));
  return issues;
}

/** The schemas of what is inside, by where it is. */
function childrenOf(schema: OpenApi): readonly (readonly [string, OpenApi])[] {
  const { properties, additionalProperties, items } = schema;
  const fields = isRecord(properties) ? Object.entries(properties) : [];
  const all: readonly (readonly [string, unknown])[] = [
    ...fields.map(([name, child]) => [`properties[${name}]`, child] as const),
    ["additionalProperties", additionalProperties],
    ["items", items],
  ];
  return all.flatMap(([step, child]) => (isRecord(child) ? [[step, child] as const] : []));
}

const patterns = new Map<string, RE2JS | undefined>();
const PATTERNS_MAX = 2_000;

/** Linear in the text, whatever the pattern: it comes from whoever may write definitions. */
function compile(pattern: string): RE2JS | undefined {
  if (patterns.has(pattern)) return patterns.get(pattern);
  if (patterns.size >= PATTERNS_MAX) patterns.clear();
  let compiled: RE2JS | undefined;
  try {
    compiled = RE2JS.compile(pattern);
  } catch {
    compiled = undefined;
  }
  patterns.set(pattern, compiled);
  return compiled;
}

/** The rules beside the structure. */
export function valueIssues(value: unknown, schema: OpenApi, path: string): Issue[] {
  if (value === undefined || (value === null && schema["nullable"] === true)) return [];
  const issues = [...ownIssues(value, schema, path), ...junctorIssues(value, schema, path)];
  for (const [at, inner, child] of insides(value, schema, path)) issues.push(...valueIssues(inner, child, at));
  return issues;
}

/** Each value inside with its path and schema. */
export function insides(
  value: unknown,
  schema: OpenApi,
  path: string,
): readonly (readonly [string, unknown, OpenApi])[] {
  const { properties, additionalProperties, items } = schema;
  if (Array.isArray(value)) {
    return isRecord(items) ? value.map((item: unknown, index) => [`${path}[${index}]`, item, items] as const) : [];
  }
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const known = isRecord(properties) ? properties[key] : undefined;
    const child = known ?? additionalProperties;
    const at = path === "" ? key : known === undefined ? `${path}[${key}]` : `${path}.${key}`;
    return isRecord(child) ? [[at, inner, child] as const] : [];
  });
}

function ownIssues(value: unknown, schema: OpenApi, path: string): Issue[] {
  if (typeof value === "string") return textIssues(value, schema, path);
  if (typeof value === "number") return numberIssues(value, schema, path);
  const isSet = schema["uniqueItems"] === true || schema["x-kubernetes-list-type"] === "set";
  if (!Array.isArray(value)) return [];
  if (isSet && value.some((item, index) => value.findIndex((other) => deepEqual(other, item)) < index)) {
    return [errorIssue(path, "", "duplicate")];
  }
  const keys = schema["x-kubernetes-list-map-keys"];
  if (!Array.isArray(keys)) return [];
  const idOf = (item: unknown): string =>
    JSON.stringify(keys.map((key) => (isRecord(item) ? item[String(key)] : undefined)));
  const ids = value.map(idOf);
  return ids.flatMap((id, index) =>
    ids.indexOf(id) < index ? [errorIssue(`${path}[${index}]`, "", "duplicate")] : [],
  );
}

function textIssues(value: string, schema: OpenApi, path: string): Issue[] {
  const { pattern, format } = schema;
  const issues: Issue[] = [];
  if (typeof pattern === "string" && compile(pattern)?.matcher(value).find() === false) {
    issues.push(errorIssue(path, `${path} in body should match '${pattern}'`));
  }
  if (typeof format === "string" && FORMATS[format]?.(value) === false) {
    issues.push(errorIssue(path, `${path} in body must be of type ${format}: ${JSON.stringify(value)}`));
  }
  return issues;
}

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  ipv4: (text) => isIP(text) === 4,
  ipv6: (text) => isIP(text) === 6,
  cidr: (text) => isIP(text.split("/")[0] ?? "") !== 0 && /\/\d+$/.test(text),
  uri: (text) => URL.canParse(text),
  uuid: (text) => /^[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i.test(text),
  email: (text) => /^[^@\s]+@[^@\s]+$/.test(text),
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  hostname: (text) => /^(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?$/.test(text),
  duration: (text) => /^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text) || text === "0",
};

function numberIssues(value: number, schema: OpenApi, path: string): Issue[] {
  const issues: Issue[] = [];
  const { minimum, maximum, multipleOf } = schema;
  if (typeof minimum === "number") {
    const isOpen = schema["exclusiveMinimum"] === true;
    if (isOpen ? value <= minimum : value < minimum) {
      issues.push(errorIssue(path, `${path} in body should be greater than ${isOpen ? "" : "or equal to "}${minimum}`));
    }
  }
  if (typeof maximum === "number") {
    const isOpen = schema["exclusiveMaximum"] === true;
    if (isOpen ? value >= maximum : value > maximum) {
      issues.push(errorIssue(path, `${path} in body should be less than ${isOpen ? "" : "or equal to "}${maximum}`));
    }
  }
  if (typeof multipleOf === "number" && multipleOf > 0 && !Number.isInteger(value / multipleOf)) {
    issues.push(errorIssue(path, `${path} in body should be a multiple of ${multipleOf}`));
  }
  return issues;
}

function junctorIssues(value: unknown, schema: OpenApi, path: string): Issue[] {
  // The pair of types under int-or-string says only what the mark says already.
  const isEither = schema["x-kubernetes-int-or-string"] === true;
  const issues = branches(schema["allOf"]).flatMap((each) => (isEither ? [] : fits(value, each, path)));
  const any = isEither ? [] : branches(schema["anyOf"]);
  if (any.length > 0 && !any.some((each) => fits(value, each, path).length === 0)) {
    issues.push(errorIssue(path, `${path} in body must validate at least one schema (anyOf)`));
  }
  const one = isEither ? [] : branches(schema["oneOf"]);
  if (one.length > 0 && one.filter((each) => fits(value, each, path).length === 0).length !== 1) {
    issues.push(errorIssue(path, `${path} in body must validate one and only one schema (oneOf)`));
  }
  const { not } = schema;
  if (isRecord(not) && fits(value, not, path).length === 0) {
    issues.push(errorIssue(path, `${path} in body must not validate the schema (not)`));
  }
  return issues;
}

function branches(value: unknown): readonly OpenApi[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

/** A branch says only some things of the value: those are checked, its structure is the outer schema's. */
function fits(value: unknown, schema: OpenApi, path: string): Issue[] {
  const issues = valueIssues(value, schema, path);
  const { type, required, minProperties, maxProperties, minLength, maxLength, minItems, maxItems } = schema;
  const allowed = schema["enum"];
  const wrong = (message: string): void => void issues.push(errorIssue(path, message));
  if (typeof type === "string" && !isOfType(value, type)) wrong(`must be of type ${type}`);
  if (Array.isArray(allowed) && !allowed.some((each) => deepEqual(each, value)))
    wrong("is not one of the supported values");
  if (isRecord(value)) {
    const missing = Array.isArray(required) ? required.filter((key) => value[String(key)] === undefined) : [];
    if (missing.length > 0) wrong(`must have ${missing.join(", ")}`);
    if (!isWithin(Object.keys(value).length, minProperties, maxProperties)) wrong("has not so many properties");
  }
  if (typeof value === "string" && !isWithin(value.length, minLength, maxLength)) wrong("is not so long");
  if (Array.isArray(value) && !isWithin(value.length, minItems, maxItems)) wrong("has not so many items");
  return issues;
}

function isWithin(count: number, min: unknown, max: unknown): boolean {
  return (typeof min !== "number" || count >= min) && (typeof max !== "number" || count <= max);
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case "object":
      return isRecord(value);
    case "array":
      return Array.isArray(value);
    case "integer":
      return Number.isInteger(value);
    case "number":
      return typeof value === "number";
    default:
      return typeof value === type;
  }
}

/** Defaults of the schema where the value says nothing, in what is there already and in what they add. */
export function withDefaults(value: unknown, schema: OpenApi, depth = 0): unknown {
  if (depth > SCHEMA_DEPTH_MAX) return value;
  const { properties, additionalProperties, items } = schema;
  if (Array.isArray(value)) {
    return isRecord(items) ? value.map((item: unknown) => withDefaults(item, items, depth + 1)) : value;
  }
  if (!isRecord(value)) return value;
  const known = isRecord(properties) ? properties : {};
  const result: Record<string, unknown> = { ...value };
  for (const [key, child] of Object.entries(known)) {
    const given = isRecord(child) ? defaultOf(result[key], child) : result[key];
    if (isRecord(child) && given !== undefined) result[key] = withDefaults(given, child, depth + 1);
  }
  if (!isRecord(additionalProperties)) return result;
  for (const [key, inner] of Object.entries(result)) {
    if (!Object.hasOwn(known, key)) result[key] = withDefaults(inner, additionalProperties, depth + 1);
  }
  return result;
}

function defaultOf(value: unknown, schema: OpenApi): unknown {
  const isLacking = value === undefined || (value === null && schema["nullable"] !== true);
  return isLacking ? structuredClone(schema["default"]) : value;
}
