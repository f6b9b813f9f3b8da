// The kinds' schemas in the words of OpenAPI v3.

import type { SchemaNode } from "./validate.ts";

const COPIED = [
  "description",
  "type",
  "format",
  "enum",
  "required",
  "default",
  "minimum",
  "maximum",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "pattern",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-patch-strategy",
  "x-kubernetes-patch-merge-key",
  "x-kubernetes-list-type",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-map-type",
] as const;

/** Of a kind, or of a part of one. */
export function openApiSchema(node: SchemaNode): object {
  if (node["x-kubernetes-quantity"] === true) return { type: "string", ...described(node) };
  if (node["x-kubernetes-int-or-string"] === true)
    return { type: "string", format: "int-or-string", ...described(node) };
  const result: Record<string, unknown> = {};
  for (const key of COPIED) {
    const value = node[key];
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) result[key] = value;
  }
  if (node.properties !== undefined) {
    result["properties"] = Object.fromEntries(
      Object.entries(node.properties).map(([name, child]) => [name, openApiSchema(child)]),
    );
  }
  const values = node.additionalProperties ?? Object.values(node.patternProperties ?? {})[0];
  if (typeof values === "object") result["additionalProperties"] = openApiSchema(values);
  if (node.items !== undefined) result["items"] = openApiSchema(node.items);
  if (node.const !== undefined) result["enum"] = [node.const];
  // One of several shapes: where all are texts, what may be said is the sum of them.
  const shapes = node.anyOf ?? [];
  if (shapes.length > 0) return { ...result, ...mergedShapes(shapes) };
  return result["type"] === undefined ? { type: "object", ...result } : result;
}

function described(node: SchemaNode): object {
  return node.description === undefined ? {} : { description: node.description };
}

function mergedShapes(shapes: readonly SchemaNode[]): object {
  const constants = shapes.map((shape) => shape.const);
  if (constants.every((value) => typeof value === "string")) return { type: "string", enum: constants };
  const [first] = shapes;
  return first === undefined ? {} : openApiSchema(first);
}
