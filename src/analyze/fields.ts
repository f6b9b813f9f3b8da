// Fields by path: the leaves of a setting, and what stands at a path.

import { isRecord } from "../base/json.ts";

/** `connectionPool.http.maxRetries` of nested settings; lists are leaves. */
export function leaves(value: unknown, path = ""): readonly string[] {
  if (value === undefined) return [];
  if (!isRecord(value)) return path === "" ? [] : [path];
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, path === "" ? key : `${path}.${key}`));
}

/** The value at `spec.http[0].route[1].weight`. */
export function valueAt(value: unknown, path: string): unknown {
  let current = value;
  for (const [, key = ""] of path.matchAll(/([^.[\]]+)/g)) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Reflect.get(current, key);
  }
  return current;
}

/** `a, b and c`. */
export function list(items: readonly string[]): string {
  if (items.length < 2) return items.join("");
  return `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
