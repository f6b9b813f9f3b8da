// What a write or a deletion may not do to the object that is there.

import type { Issue } from "../api/issue.ts";
import type { Kind } from "../api/kind.ts";
import type { KubeObject } from "../api/object.ts";
import { type ApiFailure, badRequest, conflict, forbidden, MODIFIED } from "./status.ts";

const KEPT_NAMESPACES = new Set(["default", "kube-system", "kube-public", "kube-node-lease"]);

interface Preconditions {
  readonly uid: string | undefined;
  readonly resourceVersion: string | undefined;
}

export function namespaceMismatch(
  kind: Kind,
  given: KubeObject,
  namespace: string | undefined,
): ApiFailure | undefined {
  const stated = given.metadata.namespace ?? "";
  if (!kind.namespaced || stated === "" || stated === namespace) return undefined;
  return badRequest("the namespace of the provided object does not match the namespace sent on the request");
}

export function updateRefusal(kind: Kind, given: KubeObject, current: KubeObject): ApiFailure | undefined {
  const { name, namespace, uid, resourceVersion } = current.metadata;
  if (given.metadata.name !== name) {
    return badRequest(`the name of the object (${given.metadata.name}) does not match the name on the URL (${name})`);
  }
  const mismatch = namespaceMismatch(kind, given, namespace);
  if (mismatch !== undefined) return mismatch;
  if (given.metadata.uid !== undefined && given.metadata.uid !== uid) {
    return conflict(
      kind,
      name,
      `StorageError: invalid object, Code: 4: Precondition failed: UID in precondition: ${given.metadata.uid}, UID in object meta: ${uid}`,
    );
  }
  const stated = given.metadata.resourceVersion;
  if (stated !== undefined && stated !== "" && stated !== resourceVersion) return conflict(kind, name, MODIFIED);
  return undefined;
}

export function deletionRefusal(kind: Kind, current: KubeObject, options: Preconditions): ApiFailure | undefined {
  const { name, uid, resourceVersion } = current.metadata;
  if (options.uid !== undefined && options.uid !== uid) {
    return conflict(kind, name, `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`);
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion) {
    return conflict(
      kind,
      name,
      `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`,
    );
  }
  if (kind.kind === "Namespace" && kind.group === "" && KEPT_NAMESPACES.has(name)) {
    return forbidden(kind, name, "this namespace may not be deleted");
  }
  return undefined;
}

/** A name that breaks two rules is reported once. */
export function uniqueByPath(issues: readonly Issue[]): Issue[] {
  const seen = new Set<string>();
  return issues.filter((issue) => {
    const key = `${issue.path} ${issue.reason}`;
    if (issue.path !== "metadata.name" || !seen.has(key)) {
      seen.add(key);
      return true;
    }
    return false;
  });
}
