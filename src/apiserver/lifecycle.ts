// An object's life by its metadata: born, changed, ending, gone.

import { randomBytes, randomUUID } from "node:crypto";
import type { Kind } from "../api/kind.ts";
import type { KubeObject, ObjectMeta } from "../api/object.ts";
import { deepEqual } from "../base/equal.ts";
import { isRecord } from "../base/json.ts";

const SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_CHARS = 5;
const GENERATED_PREFIX_CHARS_MAX = 58;
const POD_GRACE_SECONDS_DEFAULT = 30;

/** RFC 3339 with whole seconds, as Kubernetes writes times. */
export function timestamp(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/\.\d+Z$/, "Z");
}

function generateName(prefix: string): string {
  const letters = [...randomBytes(SUFFIX_CHARS)].map((byte) => SUFFIX_LETTERS[byte % SUFFIX_LETTERS.length]);
  return prefix.slice(0, GENERATED_PREFIX_CHARS_MAX) + letters.join("");
}

/** Metadata of a new object: what only the server may set is set here, whatever the writer said. */
export function newMetadata(
  kind: Kind,
  given: ObjectMeta,
  at: { namespace: string | undefined; wallMs: number },
): ObjectMeta {
  const {
    deletionTimestamp: _,
    deletionGracePeriodSeconds: __,
    resourceVersion: ___,
    namespace: ____,
    ...rest
  } = given;
  const name = given.name ?? "";
  return {
    ...withoutManagedFields(rest),
    name: name === "" && given.generateName !== undefined ? generateName(given.generateName) : name,
    ...(kind.namespaced && at.namespace !== undefined ? { namespace: at.namespace } : {}),
    uid: randomUUID(),
    creationTimestamp: timestamp(at.wallMs),
    ...(hasGeneration(kind) ? { generation: 1 } : {}),
  };
}

/** Metadata of a changed object: labels, annotations, owners and finalizers are the writer's, the rest stays. */
export function changedMetadata(given: ObjectMeta, previous: ObjectMeta): ObjectMeta {
  const { labels, annotations, ownerReferences, finalizers } = given;
  const { labels: _, annotations: __, ownerReferences: ___, finalizers: ____, ...fixed } = previous;
  return {
    ...fixed,
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(ownerReferences === undefined ? {} : { ownerReferences }),
    ...(finalizers === undefined ? {} : { finalizers }),
  };
}

/** The generation counts changes of what the user wants: everything but metadata and status. */
export function withGeneration(kind: Kind, object: KubeObject, previous: KubeObject): KubeObject {
  if (!hasGeneration(kind) || deepEqual(desiredPart(object), desiredPart(previous))) return object;
  return { ...object, metadata: { ...object.metadata, generation: (previous.metadata.generation ?? 0) + 1 } };
}

export function statusOf(object: KubeObject): unknown {
  return Reflect.get(object, "status");
}

export function withStatus(object: KubeObject, status: unknown): KubeObject {
  const copy: KubeObject & { status?: unknown } = { ...object };
  if (status === undefined) delete copy.status;
  else copy.status = status;
  return copy;
}

/** A new object's status is its controller's to write, except where the node itself registers with one. */
export function ignoresStatusOnCreate(kind: Kind): boolean {
  return kind.subresources.includes("status") && kind.kind !== "Node";
}

/** True when nothing holds the ending object back any more. */
export function mayGo(object: KubeObject): boolean {
  if (object.metadata.deletionTimestamp === undefined) return false;
  if ((object.metadata.finalizers ?? []).length > 0) return false;
  if (object.kind === "Namespace") return namespaceFinalizers(object).length === 0;
  return !(object.kind === "Pod" && (object.metadata.deletionGracePeriodSeconds ?? 0) > 0);
}

/** What deletion does first: undefined when the object may go at once. */
export function ending(
  object: KubeObject,
  options: { readonly gracePeriodSeconds: number | undefined; readonly wallMs: number },
): KubeObject | undefined {
  const graceSeconds = object.kind === "Pod" ? podGraceSeconds(object, options.gracePeriodSeconds) : 0;
  const deadline = timestamp(options.wallMs + graceSeconds * 1000);
  const before = object.metadata.deletionTimestamp;
  const isSooner = before === undefined || graceSeconds < (object.metadata.deletionGracePeriodSeconds ?? 0);
  const metadata = isSooner
    ? { ...object.metadata, deletionTimestamp: deadline, deletionGracePeriodSeconds: graceSeconds }
    : object.metadata;
  const marked: KubeObject = { ...object, metadata };
  if (object.kind === "Namespace") {
    const status = statusOf(object);
    const terminating = withStatus(marked, { ...(isRecord(status) ? status : {}), phase: "Terminating" });
    return mayGo(terminating) ? undefined : terminating;
  }
  return mayGo(marked) ? undefined : marked;
}

function podGraceSeconds(pod: KubeObject, asked: number | undefined): number {
  const spec: unknown = Reflect.get(pod, "spec");
  const status = statusOf(pod);
  if (!isRecord(spec)) return 0;
  const isScheduled = typeof spec["nodeName"] === "string" && spec["nodeName"] !== "";
  const phase = isRecord(status) ? status["phase"] : undefined;
  if (!isScheduled || phase === "Succeeded" || phase === "Failed") return 0;
  const own = spec["terminationGracePeriodSeconds"];
  return Math.max(0, asked ?? (typeof own === "number" ? own : POD_GRACE_SECONDS_DEFAULT));
}

function namespaceFinalizers(namespace: KubeObject): readonly unknown[] {
  const spec: unknown = Reflect.get(namespace, "spec");
  const finalizers = isRecord(spec) ? spec["finalizers"] : undefined;
  return Array.isArray(finalizers) ? finalizers : [];
}

const COUNTED_GROUPS = new Set([
  "apps",
  "batch",
  "networking.k8s.io",
  "policy",
  "apiextensions.k8s.io",
  "admissionregistration.k8s.io",
]);

function hasGeneration(kind: Kind): boolean {
  return kind.origin === "custom" || COUNTED_GROUPS.has(kind.group);
}

function desiredPart(object: KubeObject): unknown {
  return { ...withStatus(object, undefined), metadata: undefined };
}

function withoutManagedFields(metadata: Omit<ObjectMeta, "namespace">): Omit<ObjectMeta, "namespace"> {
  const copy = { ...metadata };
  Reflect.deleteProperty(copy, "managedFields");
  Reflect.deleteProperty(copy, "selfLink");
  return copy;
}
