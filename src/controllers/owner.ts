// Who made what: owner references, and the keys of objects.

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

export function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}

export function refOf(key: string): { readonly namespace?: string; readonly name: string } {
  const slash = key.indexOf("/");
  const namespace = key.slice(0, slash);
  return { name: key.slice(slash + 1), ...(namespace === "" ? {} : { namespace }) };
}
