// JSON patch (RFC 6902) and JSON merge patch (RFC 7386).

import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { err, ok, type Result } from "../base/result.ts";
import { JSON_PATCH_OPERATIONS_MAX } from "./limits.ts";

export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  const result: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

export function jsonPatch(target: unknown, operations: unknown): Result<unknown, string> {
  if (!Array.isArray(operations)) return err("a JSON patch is a list of operations");
  if (operations.length > JSON_PATCH_OPERATIONS_MAX) {
    return err(`a JSON patch has at most ${JSON_PATCH_OPERATIONS_MAX} operations, got ${operations.length}`);
  }
  let document: unknown = structuredClone(target);
  for (const operation of operations) {
    const next = applyOperation(document, operation);
    if (!next.ok) return next;
    document = next.value;
  }
  return ok(document);
}

function applyOperation(document: unknown, operation: unknown): Result<unknown, string> {
  if (!isRecord(operation) || typeof operation["op"] !== "string" || typeof operation["path"] !== "string") {
    return err(`every operation of a JSON patch has "op" and "path", got ${JSON.stringify(operation)}`);
  }
  const { op, path, value } = { op: operation["op"], path: operation["path"], value: operation["value"] };
  if (op === "add" || op === "replace") {
    return value === undefined ? err(`operation ${op} of ${path} has no "value"`) : edit(document, path, { op, value });
  }
  if (op === "remove") return edit(document, path, { op });
  if (op === "test") {
    const found = read(document, path);
    if (!found.ok) return found;
    return deepEqual(found.value, value) ? ok(document) : err(`testing value ${path} failed`);
  }
  if (op === "move" || op === "copy") return transfer(document, { op, path, from: operation["from"] });
  return err(`unexpected kind of operation: ${JSON.stringify(op)}`);
}

function transfer(
  document: unknown,
  { op, path, from }: { op: "move" | "copy"; path: string; from: unknown },
): Result<unknown, string> {
  if (typeof from !== "string") return err(`operation ${op} of ${path} has no "from"`);
  const found = read(document, from);
  if (!found.ok) return found;
  const without = op === "move" ? edit(document, from, { op: "remove" }) : ok(document);
  return without.ok ? edit(without.value, path, { op: "add", value: structuredClone(found.value) }) : without;
}

function tokensOf(pointer: string): Result<string[], string> {
  if (pointer === "") return ok([]);
  if (!pointer.startsWith("/")) return err(`a path begins with "/", got ${JSON.stringify(pointer)}`);
  return ok(
    pointer
      .slice(1)
      .split("/")
      .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~")),
  );
}

function read(document: unknown, pointer: string): Result<unknown, string> {
  const tokens = tokensOf(pointer);
  if (!tokens.ok) return tokens;
  let current = document;
  for (const token of tokens.value) {
    const next = childAt(current, token);
    if (next === undefined) return err(`the path ${pointer} does not exist`);
    current = next;
  }
  return ok(current);
}

function childAt(parent: unknown, token: string): unknown {
  if (Array.isArray(parent)) return /^(0|[1-9]\d*)$/.test(token) ? parent[Number(token)] : undefined;
  return isRecord(parent) && Object.hasOwn(parent, token) ? parent[token] : undefined;
}

type Edit = { readonly op: "add" | "replace"; readonly value: unknown } | { readonly op: "remove" };

/** Works on the clone that `jsonPatch` made, so in place. */
function edit(document: unknown, pointer: string, change: Edit): Result<unknown, string> {
  const tokens = tokensOf(pointer);
  if (!tokens.ok) return tokens;
  const last = tokens.value.at(-1);
  if (last === undefined) return ok(change.op === "remove" ? null : change.value);
  const parent = read(document, pointer.slice(0, pointer.lastIndexOf("/")));
  if (!parent.ok) return parent;
  const done = Array.isArray(parent.value)
    ? editArray(parent.value, last, change)
    : typeof parent.value === "object" && parent.value !== null && editObject(parent.value, last, change);
  return done ? ok(document) : err(`${change.op} operation does not apply: the path ${pointer} does not exist`);
}

function editArray(parent: unknown[], token: string, change: Edit): boolean {
  const index = token === "-" ? parent.length : /^(0|[1-9]\d*)$/.test(token) ? Number(token) : -1;
  const last = change.op === "add" ? parent.length : parent.length - 1;
  if (index < 0 || index > last) return false;
  if (change.op === "add") parent.splice(index, 0, change.value);
  else if (change.op === "replace") parent[index] = change.value;
  else parent.splice(index, 1);
  return true;
}

function editObject(parent: object, key: string, change: Edit): boolean {
  if (change.op !== "add" && !Object.hasOwn(parent, key)) return false;
  if (change.op === "remove") return Reflect.deleteProperty(parent, key);
  return Reflect.defineProperty(parent, key, {
    value: change.value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
}
