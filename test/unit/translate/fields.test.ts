// Every field of the kinds that are translated whole stands in a golden file, or is said to have no effect.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { describe, it } from "node:test";
import { destinationRuleKind } from "../../../src/api/istio/destination-rule.ts";
import { destinationRuleIneffective } from "../../../src/api/istio/destination-rule-check.ts";
import type { Ineffective } from "../../../src/api/istio/ineffective.ts";
import { virtualServiceKind } from "../../../src/api/istio/virtual-service.ts";
import { virtualServiceIneffective } from "../../../src/api/istio/virtual-service-ineffective.ts";
import { eraseKind, type Kind } from "../../../src/api/kind.ts";
import { objectSchema, type SchemaNode } from "../../../src/api/validate.ts";
import { isRecord, parseYamlDocuments } from "../../../src/base/json.ts";

const root = path.join(import.meta.dirname, "../../golden/translate");

const KINDS: readonly { readonly kind: Kind; readonly ineffective: readonly Ineffective[] }[] = [
  { kind: eraseKind(virtualServiceKind), ineffective: virtualServiceIneffective },
  { kind: eraseKind(destinationRuleKind), ineffective: destinationRuleIneffective },
];

describe("fields", () => {
  for (const { kind, ineffective } of KINDS) {
    it(`of ${kind.kind} are all shown by a golden file`, () => {
      const spec = objectSchema(kind).properties?.["spec"];
      assert.ok(spec);
      const known = new Set(leaves(spec, "spec").map(policyField));
      const shown = new Set(
        documents(kind.kind).flatMap((document) => used(document["spec"], "spec", spec).map(policyField)),
      );
      const without = [...new Set(ineffective.map(({ field }) => policyField(field)))];
      const missing = [...known].filter(
        (field) => !shown.has(field) && !without.some((each) => field === each || field.startsWith(`${each}.`)),
      );
      assert.deepEqual(missing, []);
      for (const field of without)
        assert.ok(
          [...known].some((each) => each.startsWith(field)),
          `${field} is a field`,
        );
    });
  }
});

/** A policy's fields are the same wherever policies stand. */
function policyField(field: string): string {
  return field
    .replace("spec.subsets[].trafficPolicy", "spec.trafficPolicy")
    .replace("spec.trafficPolicy.portLevelSettings[]", "spec.trafficPolicy");
}

function documents(kind: string): readonly Record<string, unknown>[] {
  return fs
    .readdirSync(root)
    .flatMap((feature) => {
      const parsed = parseYamlDocuments(fs.readFileSync(path.join(root, feature, "in.yaml"), "utf8"));
      assert.ok(parsed.ok);
      return parsed.value.map(({ value }) => value).filter((value) => isRecord(value) && value["kind"] === kind);
    })
    .filter(isRecord);
}

/** `spec.http[].match[].uri.exact`; the keys of a map are one field. */
function leaves(node: SchemaNode, at: string): readonly string[] {
  if (node.items !== undefined) return leaves(node.items, `${at}[]`);
  if (typeof node.additionalProperties === "object") return leaves(node.additionalProperties, `${at}{}`);
  const inner = Object.entries(node.properties ?? {});
  return inner.length === 0 ? [at] : inner.flatMap(([name, child]) => leaves(child, `${at}.${name}`));
}

function used(value: unknown, at: string, node: SchemaNode): readonly string[] {
  if (Array.isArray(value)) {
    const items = node.items;
    return items === undefined ? [at] : value.flatMap((item: unknown) => used(item, `${at}[]`, items));
  }
  if (!isRecord(value)) return [at];
  const free = node.additionalProperties;
  if (typeof free === "object") return Object.values(value).flatMap((inner) => used(inner, `${at}{}`, free));
  return Object.entries(value).flatMap(([name, inner]) => {
    const child = node.properties?.[name];
    return child === undefined ? [] : used(inner, `${at}.${name}`, child);
  });
}
