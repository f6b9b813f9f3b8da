// From a request's body to an object of a kind: strict or lenient about unknown fields, as the client asked.

import type { Issue } from "../api/issue.ts";
import { apiVersionOf, type Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import { validateStructure } from "../api/validate.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type ApiFailure, badRequest, invalid } from "./status.ts";

export type FieldValidation = "Strict" | "Warn" | "Ignore";

export interface Decoded {
  readonly object: KubeObject;
  readonly warnings: readonly string[];
}

export function decode(kind: Kind, body: unknown, fieldValidation: FieldValidation): Result<Decoded, ApiFailure> {
  if (!isRecord(body)) return err(badRequest(`the body must be one ${kind.kind} object`));
  const identity = checkIdentity(kind, body);
  if (identity !== undefined) return err(identity);
  const { metadata } = body;
  const canonical = { ...body, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: metadata ?? {} };
  const { issues, object } = validateStructure(kind, canonical);
  const unknown = issues.filter((issue) => issue.reason === "unknown");
  const others = issues.filter((issue) => issue.reason !== "unknown" && !isLooseStatus(kind, issue));
  const problem = structuralFailure(kind, others, canonical);
  if (problem !== undefined) return err(problem);
  const texts = unknown.map((issue) => `unknown field ${JSON.stringify(issue.path)}`);
  if (texts.length > 0 && fieldValidation === "Strict") {
    return err(badRequest(`${cannotHandle(kind, body)}: strict decoding error: ${texts.join(", ")}`));
  }
  return ok({ object, warnings: fieldValidation === "Warn" ? texts : [] });
}

/** Manifests often carry a status, whole or in part: Kubernetes reads its types, and leaves its contents to controllers. */
function isLooseStatus(kind: Kind, issue: Issue): boolean {
  return kind.origin === "builtin" && issue.path.startsWith("status.") && issue.reason !== "type";
}

function checkIdentity(kind: Kind, body: Readonly<Record<string, unknown>>): ApiFailure | undefined {
  const accepted = kind.versions.map((version) => apiVersionOf(kind, version));
  if (body["apiVersion"] !== undefined && !accepted.some((version) => version === body["apiVersion"])) {
    return badRequest(
      `the API version in the data (${String(body["apiVersion"])}) does not match the expected API version (${accepted[0]})`,
    );
  }
  if (body["kind"] !== undefined && body["kind"] !== kind.kind) {
    return badRequest(`the kind in the data (${String(body["kind"])}) does not match the expected kind (${kind.kind})`);
  }
  return undefined;
}

/** A built-in kind can't even be read with a wrong type (400); a custom one is read and then found invalid (422). */
function structuralFailure(
  kind: Kind,
  issues: readonly Issue[],
  body: Readonly<Record<string, unknown>>,
): ApiFailure | undefined {
  if (issues.length === 0) return undefined;
  const types = issues.filter((issue) => issue.reason === "type");
  if (kind.origin === "builtin" && types.length > 0) {
    const texts = types.map((issue) => `${issue.path}: ${issue.message}`).join("; ");
    return badRequest(`${cannotHandle(kind, body)}: json: ${texts}`);
  }
  return invalid(kind, nameOf(body), issues, body);
}

function cannotHandle(kind: Kind, body: Readonly<Record<string, unknown>>): string {
  const version = String(body["apiVersion"] ?? apiVersionOf(kind))
    .split("/")
    .at(-1);
  return `${kind.kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind.kind}`;
}

function nameOf(body: Readonly<Record<string, unknown>>): string {
  const metadata = body["metadata"];
  return isRecord(metadata) ? String(metadata["name"] ?? metadata["generateName"] ?? "") : "";
}
