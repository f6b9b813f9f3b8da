// Whether labels are those that a selector asks for.

import type { LabelSelector } from "./fields.ts";

export function matchesSelector(
  selector: LabelSelector,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const own = labels ?? {};
  const equal = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => own[key] === value);
  return equal && (selector.matchExpressions ?? []).every((expression) => matchesExpression(expression, own));
}

function matchesExpression(
  expression: { readonly key: string; readonly operator: string; readonly values?: readonly string[] },
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = labels[expression.key];
  const values = expression.values ?? [];
  switch (expression.operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    default:
      return false;
  }
}
