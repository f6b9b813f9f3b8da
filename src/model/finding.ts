// What the model has to say about a resource: becomes its conditions.

import type { KubeObject } from "../api/object.ts";

export interface ResourceRef {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Finding {
  readonly resource: ResourceRef;
  /** `conflict`: another resource won; `reference`: something it names does not exist; `ignored`: a field has no effect here. */
  readonly type: "conflict" | "reference" | "ignored";
  /** Field path; empty for the whole resource. */
  readonly path: string;
  readonly message: string;
}

export function refOf(object: KubeObject): ResourceRef {
  return { kind: object.kind, namespace: object.metadata.namespace ?? "", name: object.metadata.name };
}

/** `VirtualService production/api`. */
export function formatRef(ref: ResourceRef): string {
  return `${ref.kind} ${ref.namespace}/${ref.name}`;
}

/** Oldest first, then by namespace and name: who comes first wins. */
export function byAge(left: KubeObject, right: KubeObject): number {
  const a = left.metadata;
  const b = right.metadata;
  return (
    compareText(a.creationTimestamp ?? "9999", b.creationTimestamp ?? "9999") ||
    compareText(a.name, b.name) ||
    compareText(a.namespace ?? "", b.namespace ?? "")
  );
}

function compareText(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
