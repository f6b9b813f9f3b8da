// The JSONPath of printer columns: `.spec.size`, `.items[0].name`, `.status.conditions[?(@.type=="Ready")].status`.

import { isRecord } from "../../base/json.ts";

const STEP = /\.([^.[\]]+)|\[(\d+|\*)\]|\['([^']+)'\]|\[\?\(@\.([^=!)]+?)\s*(==|!=)\s*["']?([^"')]*)["']?\)\]/gy;

type Step = (value: unknown) => readonly unknown[];

/** Undefined for a path that is none. */
export function parseJsonPath(path: string): ((object: unknown) => readonly unknown[]) | undefined {
  const steps: Step[] = [];
  STEP.lastIndex = 0;
  const text = path.startsWith(".") || path.startsWith("[") ? path : `.${path}`;
  while (STEP.lastIndex < text.length) {
    const match = STEP.exec(text);
    if (match === null) return undefined;
    steps.push(stepOf(match));
  }
  return (object) => steps.reduce((values: readonly unknown[], step) => values.flatMap(step), [object]);
}

function stepOf([, name, index, quoted, field, operator, wanted]: RegExpExecArray): Step {
  const key = name ?? quoted;
  // A dot within a key is written with a backslash before it.
  if (key !== undefined) return (value) => present(isRecord(value) ? value[key.replaceAll("\\", "")] : undefined);
  if (index === "*") return (value) => (Array.isArray(value) ? value : isRecord(value) ? Object.values(value) : []);
  if (index !== undefined) return (value) => present(Array.isArray(value) ? value[Number(index)] : undefined);
  return (value) => {
    const items: readonly unknown[] = Array.isArray(value) ? value : [];
    return items.filter((item) => isRecord(item) && (String(item[field ?? ""]) === wanted) === (operator === "=="));
  };
}

function present(value: unknown): readonly unknown[] {
  return value === undefined || value === null ? [] : [value];
}
