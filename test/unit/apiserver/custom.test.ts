import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJsonPath } from "../../../src/apiserver/custom/json-path.ts";
import { brokenRules } from "../../../src/apiserver/custom/rules.ts";
import { valueIssues, withDefaults } from "../../../src/apiserver/custom/schema.ts";

test("printer columns read by JSONPath", () => {
  const object = {
    spec: { size: 3, "a.b": "dotted", items: [{ n: 1 }, { n: 2 }] },
    status: {
      conditions: [
        { type: "Old", status: "x" },
        { type: "Ready", status: "True" },
      ],
    },
  };
  const read = (path: string) => parseJsonPath(path)?.(object);
  assert.deepEqual(read(".spec.size"), [3]);
  assert.deepEqual(read("spec.items[*].n"), [1, 2]);
  assert.deepEqual(read(".spec.items[1].n"), [2]);
  assert.deepEqual(read(".spec['a.b']"), ["dotted"]);
  assert.deepEqual(read('.status.conditions[?(@.type=="Ready")].status'), ["True"]);
  assert.deepEqual(read(".nothing.here"), []);
  assert.equal(parseJsonPath(".spec[?(@.a"), undefined);
});

test("defaults reach into lists, maps and what they add themselves", () => {
  const size = { type: "integer", default: 1 };
  const item = { type: "object", properties: { size } };
  const schema = {
    type: "object",
    properties: {
      list: { type: "array", items: item },
      map: { type: "object", additionalProperties: item },
      inner: { type: "object", default: {}, properties: { size } },
    },
  };
  assert.deepEqual(withDefaults({ list: [{}, { size: 2 }], map: { a: {} } }, schema), {
    list: [{ size: 1 }, { size: 2 }],
    map: { a: { size: 1 } },
    inner: { size: 1 },
  });
});

test("junctors, and rules over the value and the one before", () => {
  const schema = {
    type: "object",
    oneOf: [{ required: ["a"] }, { required: ["b"] }],
    properties: { a: { type: "string" }, b: { type: "string", not: { enum: ["no"] } }, n: { type: "integer" } },
    "x-kubernetes-validations": [
      { rule: "!has(self.n) || self.n > 2", messageExpression: "'n is ' + string(self.n)" },
      { rule: "!has(oldSelf.a) || self.a == oldSelf.a", message: "a stays", fieldPath: ".a" },
    ],
  };
  const messages = (value: unknown): string[] => valueIssues(value, schema, "spec").map(({ path }) => path);
  assert.deepEqual(messages({ a: "x" }), []);
  assert.deepEqual(messages({ a: "x", b: "y" }), ["spec"]);
  assert.deepEqual(messages({ b: "no" }), ["spec.b"]);
  const told = (value: unknown, before: unknown) =>
    brokenRules({ value, before }, schema, "spec").map(({ path, message }) => `${path}: ${message}`);
  assert.deepEqual(told({ a: "x", n: 1 }, undefined), ["spec: n is 1"]);
  assert.deepEqual(told({ a: "y" }, { a: "x" }), ["spec.a: a stays"]);
});
