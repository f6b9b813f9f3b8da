// Strategic merge patch: a merge patch that finds list items by the merge keys of the schema.

import type { SchemaNode } from "../api/validate.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";
import { childSchema } from "./field-set.ts";

type Fields = Readonly<Record<string, unknown>>;

const ORDER_PREFIX = "$setElementOrder/";
const DELETE_PREFIX = "$deleteFromPrimitiveList/";

export function strategicPatch(target: unknown, patch: unknown, schema: SchemaNode | undefined): unknown {
  if (!isRecord(patch)) return patch;
  const directive = patch["$patch"];
  if (directive === "replace") return withoutDirectives(patch);
  if (directive === "delete") return undefined;
  const result: Record<string, unknown> = isRecord(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith("$")) continue;
    const merged = mergeField(result[key], value, childSchema(schema, key));
    if (merged === undefined) delete result[key];
    else result[key] = merged;
  }
  applyListDirectives(result, patch, schema);
  return retained(result, patch["$retainKeys"]);
}

function mergeField(current: unknown, value: unknown, schema: SchemaNode | undefined): unknown {
  if (value === null) return undefined;
  if (!Array.isArray(value)) return strategicPatch(current, value, schema);
  if (schema?.["x-kubernetes-patch-strategy"] !== "merge") return value.filter((item) => !isDirective(item));
  const existing: readonly unknown[] = Array.isArray(current) ? current : [];
  const mergeKey = schema["x-kubernetes-patch-merge-key"];
  return mergeKey === undefined
    ? union(existing, value)
    : mergeLists(existing, value, { mergeKey, items: schema.items });
}

function union(existing: readonly unknown[], added: readonly unknown[]): unknown[] {
  return [...existing, ...added.filter((item) => !existing.some((other) => deepEqual(other, item)))];
}

interface ListRule {
  readonly mergeKey: string;
  readonly items: SchemaNode | undefined;
}

function mergeLists(existing: readonly unknown[], patch: readonly unknown[], rule: ListRule): unknown[] {
  const items = patch.filter(isRecord);
  const replaces = items.some((item) => item["$patch"] === "replace");
  let result: unknown[] = replaces ? [] : [...existing];
  for (const item of items) {
    const id = item[rule.mergeKey];
    if (item["$patch"] === "replace" && id === undefined) continue;
    const index = result.findIndex((other) => isRecord(other) && other[rule.mergeKey] === id);
    if (item["$patch"] === "delete")
      result = result.filter((other) => !(isRecord(other) && other[rule.mergeKey] === id));
    else if (index === -1) result.push(strategicPatch({}, item, rule.items));
    else result[index] = strategicPatch(result[index], item, rule.items);
  }
  return result;
}

/** `$setElementOrder/containers` and `$deleteFromPrimitiveList/finalizers`, which kubectl writes beside the list. */
function applyListDirectives(result: Record<string, unknown>, patch: Fields, schema: SchemaNode | undefined): void {
  for (const [key, value] of Object.entries(patch)) {
    if (!Array.isArray(value)) continue;
    if (key.startsWith(DELETE_PREFIX)) {
      const field = key.slice(DELETE_PREFIX.length);
      const list = result[field];
      if (Array.isArray(list)) result[field] = list.filter((item) => !value.some((gone) => deepEqual(gone, item)));
    }
    if (key.startsWith(ORDER_PREFIX)) {
      const field = key.slice(ORDER_PREFIX.length);
      const list = result[field];
      const mergeKey = childSchema(schema, field)?.["x-kubernetes-patch-merge-key"];
      const idOf = (item: unknown): unknown => (mergeKey !== undefined && isRecord(item) ? item[mergeKey] : item);
      if (Array.isArray(list)) result[field] = inOrder(list, value, idOf);
    }
  }
}

/** Listed items in the given order; others keep their place after the item that they followed. */
export function inOrder(
  list: readonly unknown[],
  order: readonly unknown[],
  idOf: (item: unknown) => unknown,
): unknown[] {
  const rank = new Map(order.map((item, index) => [idOf(item), index]));
  let lastRank = -1;
  const ranked = list.map((item, index) => {
    lastRank = rank.get(idOf(item)) ?? lastRank;
    return { item, rank: lastRank, isListed: rank.has(idOf(item)), index };
  });
  return ranked
    .sort((a, b) => a.rank - b.rank || Number(b.isListed) - Number(a.isListed) || a.index - b.index)
    .map(({ item }) => item);
}

function retained(result: Record<string, unknown>, keys: unknown): Record<string, unknown> {
  if (!Array.isArray(keys)) return result;
  return Object.fromEntries(Object.entries(result).filter(([key]) => keys.includes(key)));
}

function isDirective(item: unknown): boolean {
  return isRecord(item) && typeof item["$patch"] === "string";
}

function withoutDirectives(patch: Fields): Fields {
  return Object.fromEntries(Object.entries(patch).filter(([key]) => !key.startsWith("$")));
}
