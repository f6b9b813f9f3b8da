// Who made what: owner references and label selectors.

import type { LabelSelector } from "../api/kubernetes/fields.ts";
import type { KubeObject, OwnerReference } from "../api/object.ts";

export function controllerReference(owner: KubeObject): OwnerReference {
  return {
    apiVersion: owner.apiVersion,
    kind: owner.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return controllerOf(object)?.uid === owner.metadata.uid;
}

export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((reference) => reference.controller === true);
}

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

export function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

export function refOf(key: string): { readonly namespace?: string; readonly name: string } {
  const slash = key.indexOf("/");
  const namespace = key.slice(0, slash);
  return { name: key.slice(slash + 1), ...(namespace === "" ? {} : { namespace }) };
}
