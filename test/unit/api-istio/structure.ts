// Structural validation for tests, by the schema alone: the API server's own validator is tested where it lives.

import { Value } from "typebox/value";
import type { Issue } from "../../../src/api/issue.ts";
import type { Kind } from "../../../src/api/kind.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { isRecord } from "../../../src/base/json.ts";

export interface Verdict {
  readonly structural: readonly string[];
  readonly issues: readonly Issue[];
}

/** Everything that is wrong with a document of the kind. */
export function judge(kind: Kind, document: unknown): Verdict {
  if (!isRecord(document)) return { structural: ["not an object"], issues: [] };
  const structural = [...Value.Errors(kind.schema, document)].map(
    (error) => `${error.instancePath.slice(1).replaceAll("/", ".")}: ${error.message}`,
  );
  if (structural.length > 0) return { structural, issues: [] };
  return { structural, issues: kind.check?.(asObject(document), undefined) ?? [] };
}

export function asObject(document: Readonly<Record<string, unknown>>): KubeObject {
  const metadata = isRecord(document["metadata"]) ? document["metadata"] : {};
  return {
    ...document,
    apiVersion: String(document["apiVersion"]),
    kind: String(document["kind"]),
    metadata: { ...metadata, name: String(metadata["name"]) },
  };
}
