// Fields that are accepted but change nothing yet: one table per kind, a warning for each that is used.

import { type Issue, warningIssue } from "../issue.ts";

export interface Ineffective {
  /** `spec.http[].delegate`; `[]` stands for every element, `{}` for every key of a map. */
  readonly field: string;
  /** Finishes "accepted, but …": what happens instead. */
  readonly effect: string;
}

/** One warning for each use of a field in the table, with the exact path. */
export function warnIneffective(object: object, table: readonly Ineffective[]): readonly Issue[] {
  return table.flatMap((entry) =>
    occurrences(object, "", entry.field.split(".")).map((path) => warningIssue(path, `accepted, but ${entry.effect}`)),
  );
}

function occurrences(value: unknown, path: string, steps: readonly string[]): readonly string[] {
  const [step, ...rest] = steps;
  if (step === undefined) return [path];
  if (typeof value !== "object" || value === null) return [];
  const list = step.endsWith("[]");
  const map = step.endsWith("{}");
  const name = list || map ? step.slice(0, -2) : step;
  const inner: unknown = Reflect.get(value, name);
  if (inner === undefined || inner === null) return [];
  const at = path === "" ? name : `${path}.${name}`;
  if (list) {
    return Array.isArray(inner) ? inner.flatMap((item: unknown, i) => occurrences(item, `${at}[${i}]`, rest)) : [];
  }
  if (map) {
    if (typeof inner !== "object") return [];
    return Object.entries(inner).flatMap(([key, item]) => occurrences(item, `${at}[${key}]`, rest));
  }
  return occurrences(inner, at, rest);
}
