// Structural validation: walks a kind's schema over an object, collects every issue with its path, and prunes what the schema doesn't know.

import type { Static, TSchema } from "typebox";
import { isRecord } from "../base/json.ts";
import type { Issue } from "./issue.ts";
import type { Kind } from "./kind.ts";
import { objectMeta } from "./kubernetes/fields.ts";
import { isDnsSubdomain, isLabelValue, isQualifiedName } from "./names.ts";
import type { KubeObject, ObjectMeta } from "./object.ts";

export interface Structure<T extends KubeObject> {
  /** Unknown fields are reported as errors with reason `unknown`: a lenient caller turns them into warnings, since they are pruned anyway. */
  readonly issues: readonly Issue[];
  /** Pruned, and without nulls; only to be used when no issue but `unknown` was found. */
  readonly object: T;
}

/** The schema of a whole object of `kind`: what its definition says plus apiVersion, kind and metadata. */
export function objectSchema(kind: Kind, version: string = kind.versions[0]): SchemaNode {
  const node = toNode(kind.schemas?.[version] ?? kind.schema);
  const text: SchemaNode = { type: "string" };
  return {
    ...node,
    properties: { apiVersion: text, kind: text, ...node.properties, metadata: toNode(objectMeta) },
  };
}

export function validateStructure<T extends KubeObject>(kind: Kind<T>, value: unknown): Structure<T> {
  const issues: Issue[] = [];
  const pruned = walk(value, objectSchema(kind), "", issues);
  // The parse boundary: what has no issues but unknown (pruned) fields has the schema's type.
  return { issues, object: pruned as T };
}

/** The same for a value that is no object of an API. */
export function validateValue<S extends TSchema>(
  schema: S,
  value: unknown,
): { readonly issues: readonly Issue[]; readonly value: Static<S> } {
  const issues: Issue[] = [];
  const pruned = walk(value, toNode(schema), "", issues);
  // The parse boundary, as above.
  return { issues, value: pruned as Static<S> };
}

/** Rules of metadata that no schema says. The name itself is checked with the kind's own rule or as a DNS subdomain. */
export function checkMetadata(metadata: ObjectMeta): Issue[] {
  const issues: Issue[] = [];
  if (metadata.name === undefined || metadata.name === "") {
    issues.push({
      severity: "error",
      path: "metadata.name",
      message: "name or generateName is required",
      reason: "required",
    });
  } else if (!isDnsSubdomain(metadata.name)) {
    issues.push(invalid("metadata.name", NAME_RULE));
  }
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (!isQualifiedName(key)) issues.push(invalid("metadata.labels", `${JSON.stringify(key)}: ${KEY_RULE}`));
    if (!isLabelValue(value)) issues.push(invalid("metadata.labels", `${JSON.stringify(value)}: ${LABEL_RULE}`));
  }
  let annotationBytes = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    annotationBytes += Buffer.byteLength(key) + Buffer.byteLength(value);
    if (!isQualifiedName(key.toLowerCase())) {
      issues.push(invalid("metadata.annotations", `${JSON.stringify(key)}: ${KEY_RULE}`));
    }
  }
  if (annotationBytes > ANNOTATION_BYTES_MAX) {
    issues.push(invalid("metadata.annotations", `Too long: may not be more than ${ANNOTATION_BYTES_MAX} bytes`));
  }
  return issues;
}

const ANNOTATION_BYTES_MAX = 256 * 1024;
const NAME_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const KEY_RULE =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const LABEL_RULE =
  "a valid label must be an empty string or consist of at most 63 alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/** The part of JSON Schema that kinds use, read once from typebox's loosely typed form. */
export interface SchemaNode {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: SchemaNode | boolean;
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly anyOf?: readonly SchemaNode[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-quantity"?: boolean;
  readonly "x-kubernetes-patch-strategy"?: string;
  readonly "x-kubernetes-patch-merge-key"?: string;
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: string;
  readonly default?: unknown;
  readonly description?: string;
  readonly nullable?: boolean;
}

function toNode(schema: TSchema): SchemaNode {
  return schema as SchemaNode;
}

function walk(value: unknown, node: SchemaNode, path: string, issues: Issue[]): unknown {
  if (node.anyOf !== undefined) return walkAnyOf(value, node.anyOf, path, issues);
  if (node["x-kubernetes-quantity"] === true) return walkQuantity(value, path, issues);
  if (node["x-kubernetes-int-or-string"] === true) {
    if (typeof value !== "string" && !Number.isInteger(value)) issues.push(wrongType(path, "integer or string", value));
    return value;
  }
  if (node.const !== undefined) {
    if (value !== node.const) issues.push(unsupported(path, value, [node.const]));
    return value;
  }
  switch (node.type) {
    case "object":
      return walkObject(value, node, path, issues);
    case "array":
      return walkArray(value, node, path, issues);
    case "string":
      checkString(value, node, path, issues);
      return value;
    case "integer":
    case "number":
      checkNumber(value, node, path, issues);
      return value;
    case "boolean":
      if (typeof value !== "boolean") issues.push(wrongType(path, "boolean", value));
      return value;
    default:
      return value;
  }
}

/** The first alternative that fits; if none does, what the first one says. */
function walkAnyOf(value: unknown, nodes: readonly SchemaNode[], path: string, issues: Issue[]): unknown {
  let firstIssues: Issue[] | undefined;
  for (const node of nodes) {
    const found: Issue[] = [];
    const pruned = walk(value, node, path, found);
    if (found.length === 0) return pruned;
    firstIssues ??= found;
  }
  issues.push(...(firstIssues ?? []));
  return value;
}

const QUANTITY = /^[+-]?(\d+(\.\d*)?|\.\d+)(([eE][+-]?\d+)|[numkMGTPE]|[KMGTPE]i)?$/;

function walkQuantity(value: unknown, path: string, issues: Issue[]): unknown {
  if (typeof value === "number") return String(value);
  if (typeof value !== "string") issues.push(wrongType(path, "quantity", value));
  else if (!QUANTITY.test(value)) {
    issues.push({
      severity: "error",
      path,
      message: "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
      reason: "type",
    });
  }
  return value;
}

function walkObject(value: unknown, node: SchemaNode, path: string, issues: Issue[]): unknown {
  if (!isRecord(value)) {
    issues.push(wrongType(path, "object", value));
    return value;
  }
  const pruned: Record<string, unknown> = {};
  const preserve = node["x-kubernetes-preserve-unknown-fields"] === true;
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined || (inner === null && !preserve)) continue;
    const at = path === "" ? key : `${path}.${key}`;
    const child = childOf(node, key);
    if (child === "any" || (child === undefined && preserve)) pruned[key] = inner;
    else if (child === undefined)
      issues.push({ severity: "error", path: at, message: "unknown field", reason: "unknown" });
    else pruned[key] = walk(inner, child, at, issues);
  }
  checkProperties(pruned, node, path, issues);
  return pruned;
}

function checkProperties(
  pruned: Readonly<Record<string, unknown>>,
  node: SchemaNode,
  path: string,
  issues: Issue[],
): void {
  for (const key of node.required ?? []) {
    if (pruned[key] === undefined) {
      issues.push({ severity: "error", path: path === "" ? key : `${path}.${key}`, message: "", reason: "required" });
    }
  }
  const count = Object.keys(pruned).length;
  if (count < (node.minProperties ?? 0))
    issues.push(invalid(path, `must have at least ${node.minProperties} properties`));
  if (count > (node.maxProperties ?? Infinity)) {
    issues.push(invalid(path, `must have at most ${node.maxProperties} properties`));
  }
}

function childOf(node: SchemaNode, key: string): SchemaNode | "any" | undefined {
  if (node.properties !== undefined && Object.hasOwn(node.properties, key)) return node.properties[key];
  for (const [pattern, child] of Object.entries(node.patternProperties ?? {})) {
    if (pattern === "^.*$" || new RegExp(pattern, "u").test(key)) return child;
  }
  if (typeof node.additionalProperties === "object") return node.additionalProperties;
  const isFree = node.properties === undefined && node.patternProperties === undefined;
  return node.additionalProperties === true || (isFree && node.additionalProperties === undefined) ? "any" : undefined;
}

function walkArray(value: unknown, node: SchemaNode, path: string, issues: Issue[]): unknown {
  if (!Array.isArray(value)) {
    issues.push(wrongType(path, "array", value));
    return value;
  }
  if (value.length < (node.minItems ?? 0)) issues.push(invalid(path, `should have at least ${node.minItems} items`));
  if (value.length > (node.maxItems ?? Infinity))
    issues.push(invalid(path, `must have at most ${node.maxItems} items`));
  const items = node.items;
  if (items === undefined) return value;
  return value.map((item: unknown, index) => walk(item, items, `${path}[${index}]`, issues));
}

function checkString(value: unknown, node: SchemaNode, path: string, issues: Issue[]): void {
  if (typeof value !== "string") {
    issues.push(wrongType(path, "string", value));
    return;
  }
  if (node.enum !== undefined && !node.enum.includes(value)) issues.push(unsupported(path, value, node.enum));
  if (value.length < (node.minLength ?? 0)) {
    issues.push(invalid(path, `should be at least ${node.minLength} chars long`));
  }
  if (value.length > (node.maxLength ?? Infinity)) {
    issues.push(invalid(path, `may not be more than ${node.maxLength} chars long`));
  }
  if (node.pattern !== undefined && !new RegExp(node.pattern, "u").test(value)) {
    issues.push(invalid(path, `should match '${node.pattern}'`));
  }
  if (node.format === "date-time" && Number.isNaN(Date.parse(value))) {
    issues.push(wrongType(path, "time as 2006-01-02T15:04:05Z", value));
  }
  if (node.format === "byte" && !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value)) {
    issues.push(wrongType(path, "base64 text", value));
  }
}

function checkNumber(value: unknown, node: SchemaNode, path: string, issues: Issue[]): void {
  if (typeof value !== "number" || (node.type === "integer" && !Number.isInteger(value))) {
    issues.push(wrongType(path, node.format ?? node.type ?? "number", value));
    return;
  }
  if (node.enum !== undefined && !node.enum.includes(value)) issues.push(unsupported(path, value, node.enum));
  if (value < (node.minimum ?? -Infinity)) {
    issues.push(invalid(path, `should be greater than or equal to ${node.minimum}`));
  }
  if (value > (node.maximum ?? Infinity)) issues.push(invalid(path, `should be less than or equal to ${node.maximum}`));
  if (node.format === "int32" && Math.abs(value) > 2 ** 31) issues.push(wrongType(path, "int32", value));
}

function invalid(path: string, message: string): Issue {
  return { severity: "error", path, message, reason: "invalid" };
}

function unsupported(path: string, value: unknown, allowed: readonly unknown[]): Issue {
  const names = allowed.map((entry) => JSON.stringify(entry)).join(", ");
  return {
    severity: "error",
    path,
    message: `${JSON.stringify(value)}: supported values: ${names}`,
    reason: "unsupported",
  };
}

function wrongType(path: string, expected: string, value: unknown): Issue {
  return { severity: "error", path, message: `expected ${expected}, got ${typeName(value)}`, reason: "type" };
}

function typeName(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
