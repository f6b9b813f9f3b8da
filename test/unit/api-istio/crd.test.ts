// The CustomResourceDefinitions that `weft crds` prints keep the rules that Kubernetes has for structural schemas.

import assert from "node:assert/strict";
import { test } from "node:test";
import { customResourceDefinition } from "../../../src/api/crd.ts";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { isRecord } from "../../../src/base/json.ts";

/** What apiextensions.k8s.io/v1 knows of a schema, without what is forbidden or weft never writes. */
const ALLOWED = new Set([
  "additionalProperties",
  "default",
  "description",
  "enum",
  "format",
  "items",
  "maxItems",
  "maxLength",
  "maxProperties",
  "maximum",
  "minItems",
  "minLength",
  "minProperties",
  "minimum",
  "nullable",
  "pattern",
  "properties",
  "required",
  "type",
  "x-kubernetes-int-or-string",
  "x-kubernetes-list-map-keys",
  "x-kubernetes-list-type",
  "x-kubernetes-map-type",
  "x-kubernetes-preserve-unknown-fields",
]);
const TYPES = new Set(["array", "boolean", "integer", "number", "object", "string"]);
const FORMATS = new Set(["byte", "date-time", "double", "float", "int32", "int64"]);
/** What a client-side `kubectl apply` may put into its annotation, and etcd into one value. */
const ANNOTATION_BYTES_MAX = 262_144;

for (const kind of istioKinds) {
  test(`${kind.kind}: a definition that Kubernetes takes`, () => {
    const definition: unknown = structuredClone(customResourceDefinition(kind));
    assert.equal(at(definition, "metadata", "name"), `${kind.plural}.${kind.group}`);
    assert.equal(at(definition, "spec", "names", "kind"), kind.kind);
    const versions = list(at(definition, "spec", "versions"));
    assert.deepEqual(
      versions.map((version) => at(version, "name")),
      kind.versions,
    );
    assert.equal(versions.filter((version) => at(version, "storage") === true).length, 1);
    for (const version of versions) {
      const schema = at(version, "schema", "openAPIV3Schema");
      assert.equal(at(schema, "type"), "object");
      assert.ok(isRecord(at(schema, "properties", "spec")));
      assert.equal(at(schema, "properties", "metadata"), undefined, "Kubernetes' own");
      assert.deepEqual(problems(schema, ""), []);
      const columns = list(at(version, "additionalPrinterColumns"));
      assert.deepEqual(
        columns.map((column) => at(column, "name")),
        kind.columns.map(({ name }) => name).filter((name) => name !== "Name"),
        "every column has a path",
      );
      for (const column of columns) {
        assert.match(String(at(column, "jsonPath")), /^\.(spec|metadata|status)(\.\w+)+$/);
      }
      assert.deepEqual(at(version, "subresources"), { status: {} });
    }
    assert.ok(JSON.stringify(definition).length < ANNOTATION_BYTES_MAX, "fits into what an apply remembers");
  });
}

test("a column's path leads to what the local cluster prints", () => {
  const object = {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name: "a", creationTimestamp: "2026-01-01T00:00:00Z" },
    spec: { hosts: ["a", "b"], http: [] },
  };
  const columns = istioKinds.find(({ kind }) => kind === "VirtualService")?.columns ?? [];
  assert.deepEqual(
    columns.map((column) => column.value(object)),
    [null, '["a","b"]', "2026-01-01T00:00:00Z"],
  );
});

function problems(node: unknown, path: string): readonly string[] {
  if (!isRecord(node)) return [`${path}: no schema`];
  const { properties, additionalProperties, items } = node;
  const inner = isRecord(properties) ? Object.entries(properties) : [];
  return [
    ...Object.keys(node)
      .filter((key) => !ALLOWED.has(key))
      .map((key) => `${path}: ${key} is forbidden`),
    ...typeProblems(node).map((problem) => `${path}: ${problem}`),
    ...inner.flatMap(([name, child]) => problems(child, `${path}.${name}`)),
    ...(additionalProperties === undefined ? [] : problems(additionalProperties, `${path}.*`)),
    ...(items === undefined ? [] : problems(items, `${path}[]`)),
  ];
}

function typeProblems(node: Readonly<Record<string, unknown>>): readonly string[] {
  const { type, format, properties, additionalProperties, items, required } = node;
  const isFree = node["x-kubernetes-int-or-string"] === true || node["x-kubernetes-preserve-unknown-fields"] === true;
  const isBare = properties === undefined && additionalProperties === undefined;
  const missing = (Array.isArray(required) ? required : []).filter(
    (name) => !isRecord(properties) || !(name in properties),
  );
  const rules: readonly (readonly [boolean, string])[] = [
    [!(typeof type === "string" && TYPES.has(type)) && !isFree, "no type"],
    [format !== undefined && !FORMATS.has(String(format)), `unknown format ${String(format)}`],
    [properties !== undefined && additionalProperties !== undefined, "properties beside a map"],
    [type === "array" && items === undefined, "a list of what"],
    [type === "object" && isBare && !isFree, "an object without fields, all of which would be dropped"],
    [missing.length > 0, `required but not there: ${missing.join(", ")}`],
  ];
  return rules.filter(([isBroken]) => isBroken).map(([, text]) => text);
}

function list(value: unknown): readonly unknown[] {
  assert.ok(Array.isArray(value));
  return value;
}

function at(value: unknown, ...keys: readonly string[]): unknown {
  return keys.reduce<unknown>((inner, key) => (isRecord(inner) ? inner[key] : undefined), value);
}
