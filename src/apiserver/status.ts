// Refusals as Kubernetes words them: every one is a Status object with a reason, a code and, where fields are to blame, causes.

import type { ApiError } from "../api/client.ts";
import type { Issue } from "../api/issue.ts";
import type { Kind } from "../api/kind.ts";
import { isRecord } from "../base/json.ts";

interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field?: string;
}

export interface ApiFailure extends ApiError {
  readonly details?: {
    readonly name?: string;
    readonly group?: string;
    readonly kind?: string;
    readonly uid?: string;
    readonly causes?: readonly StatusCause[];
    readonly retryAfterSeconds?: number;
  };
}

export function failure(code: number, reason: string, message: string): ApiFailure {
  return { code, reason, message };
}

export function badRequest(message: string): ApiFailure {
  return failure(400, "BadRequest", message);
}

export function notFound(kind: Kind, name: string): ApiFailure {
  return {
    ...failure(404, "NotFound", `${resourceName(kind)} ${JSON.stringify(name)} not found`),
    details: { name, ...groupOf(kind), kind: kind.plural },
  };
}

export function alreadyExists(kind: Kind, name: string): ApiFailure {
  return {
    ...failure(409, "AlreadyExists", `${resourceName(kind)} ${JSON.stringify(name)} already exists`),
    details: { name, ...groupOf(kind), kind: kind.plural },
  };
}

export function conflict(kind: Kind, name: string, why: string): ApiFailure {
  const message = `Operation cannot be fulfilled on ${resourceName(kind)} ${JSON.stringify(name)}: ${why}`;
  return { ...failure(409, "Conflict", message), details: { name, ...groupOf(kind), kind: kind.plural } };
}

export const MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

export function forbidden(kind: Kind, name: string, why: string): ApiFailure {
  const message = `${resourceName(kind)} ${JSON.stringify(name)} is forbidden: ${why}`;
  return { ...failure(403, "Forbidden", message), details: { name, ...groupOf(kind), kind: kind.plural } };
}

export function expired(revision: string): ApiFailure {
  return failure(410, "Expired", `too old resource version: ${revision}; list again and watch from the answer`);
}

/** 422, with one cause for each issue. `object` is what was written: the message quotes the value at fault. */
export function invalid(kind: Kind, name: string, issues: readonly Issue[], object: unknown): ApiFailure {
  const causes = issues.map((issue) => causeOf(issue, object));
  const lines = causes.map((cause) => (cause.field === "" ? cause.message : `${cause.field}: ${cause.message}`));
  const text = lines.length === 1 ? lines[0] : `[${lines.join(", ")}]`;
  const full = kind.group === "" ? kind.kind : `${kind.kind}.${kind.group}`;
  return {
    ...failure(422, "Invalid", `${full} ${JSON.stringify(name)} is invalid: ${text}`),
    details: { name, ...groupOf(kind), kind: kind.kind, causes },
  };
}

export interface StatusObject {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: string;
  readonly details?: unknown;
  readonly code?: number;
}

export function toStatus(error: ApiFailure): StatusObject {
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: error.message,
    reason: error.reason,
    ...(error.details === undefined ? {} : { details: error.details }),
    code: error.code,
  };
}

function resourceName(kind: Kind): string {
  return kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`;
}

function groupOf(kind: Kind): { group?: string } {
  return kind.group === "" ? {} : { group: kind.group };
}

function causeOf(issue: Issue, object: unknown): StatusCause {
  const field = issue.path;
  const quoted = quote(valueAt(object, issue.path));
  const suffix = issue.message === "" ? "" : `: ${issue.message}`;
  switch (issue.reason) {
    case "required":
      return { reason: "FieldValueRequired", message: `Required value${suffix}`, field };
    case "duplicate":
      return { reason: "FieldValueDuplicate", message: `Duplicate value: ${quoted}${suffix}`, field };
    case "immutable":
      return { reason: "FieldValueForbidden", message: `Forbidden${suffix}`, field };
    case "missing":
      return { reason: "FieldValueNotFound", message: `Not found: ${quoted}${suffix}`, field };
    case "unsupported":
      return { reason: "FieldValueNotSupported", message: `Unsupported value${suffix}`, field };
    case "type":
      return { reason: "FieldValueTypeInvalid", message: `Invalid value: ${quoted}${suffix}`, field };
    default:
      return { reason: "FieldValueInvalid", message: `Invalid value: ${quoted}${suffix}`, field };
  }
}

const QUOTED_CHARS_MAX = 200;

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  return text.length > QUOTED_CHARS_MAX ? `${text.slice(0, QUOTED_CHARS_MAX)}…` : text;
}

/** `spec.http[0].route` or `data[key]` of an object. */
function valueAt(object: unknown, path: string): unknown {
  let current = object;
  for (const [, name, index] of path.matchAll(/([^.[\]]+)|\[([^\]]+)\]/g)) {
    if (Array.isArray(current)) current = current[Number(index ?? name)];
    else if (isRecord(current)) current = current[name ?? index ?? ""];
    else return undefined;
  }
  return current;
}
