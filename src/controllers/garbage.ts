// Garbage collection: what belonged to an object that is gone goes too, or is set free when the deletion said so.

import type { Kind } from "../api/kind.ts";
import type { KubeObject, OwnerReference } from "../api/object.ts";
import {
  type ChangingKinds,
  type Controller,
  type ControllerContext,
  type Feed,
  failed,
  isRace,
  runController,
} from "./controller.ts";
import { DONE, type Outcome } from "./work-queue.ts";

const ORPHAN = "orphan";
const FOREGROUND = "foregroundDeletion";

/** Follows every kind that owns or is owned, those that come later too. */
export function startGarbageCollection(context: ControllerContext, served: ChangingKinds): Controller {
  const graph = new OwnerGraph();
  const followed = new Set<string>();
  let stopListening = (): void => undefined;
  const controller = runController(context, {
    name: "garbage",
    feed: (feed) => {
      const followNew = (): void => {
        for (const kind of served.kinds) {
          const name = `${kind.plural}.${kind.group}`;
          if (kind.kind === "Event" || followed.has(name)) continue;
          followed.add(name);
          follow(feed, kind, graph);
        }
      };
      followNew();
      stopListening = served.onChange(followNew);
    },
    reconcile: (key) => reconcile(parseKey(key), { context, served, graph }),
  });
  return {
    close: () => {
      stopListening();
      return controller.close();
    },
  };
}

function follow(feed: Feed, kind: Kind, graph: OwnerGraph): void {
  feed.watch(kind, (object, change) => {
    const uid = object.metadata.uid ?? "";
    if (change === "deleted") {
      graph.remove(uid);
      // Owners that wait for their dependents, and dependents that lost their owner.
      const owners = (object.metadata.ownerReferences ?? []).map((reference) => graph.keyOf(reference.uid));
      return [...graph.dependentsOf(uid), ...owners.filter((key) => key !== undefined)];
    }
    graph.set(kind, object);
    const concerned = (object.metadata.ownerReferences ?? []).length > 0 || endsSlowly(object);
    return concerned ? [keyText(kind, object)] : [];
  });
}

interface Scope {
  readonly context: ControllerContext;
  readonly served: ChangingKinds;
  readonly graph: OwnerGraph;
}

interface ObjectKey {
  readonly plural: string;
  readonly group: string;
  readonly namespace: string;
  readonly name: string;
}

/** Keys of objects by uid, and who depends on whom. Holds no more than the API does. */
class OwnerGraph {
  readonly #keys = new Map<string, string>();
  readonly #owners = new Map<string, readonly string[]>();

  set(kind: Kind, object: KubeObject): void {
    const uid = object.metadata.uid ?? "";
    this.#keys.set(uid, keyText(kind, object));
    const owners = object.metadata.ownerReferences ?? [];
    if (owners.length === 0) this.#owners.delete(uid);
    else
      this.#owners.set(
        uid,
        owners.map((reference) => reference.uid),
      );
  }

  remove(uid: string): void {
    this.#keys.delete(uid);
    this.#owners.delete(uid);
  }

  keyOf(uid: string): string | undefined {
    return this.#keys.get(uid);
  }

  dependentsOf(uid: string): readonly string[] {
    const keys: string[] = [];
    for (const [dependent, owners] of this.#owners) {
      const key = owners.includes(uid) ? this.#keys.get(dependent) : undefined;
      if (key !== undefined) keys.push(key);
    }
    return keys;
  }
}

async function reconcile(key: ObjectKey, scope: Scope): Promise<Outcome> {
  const kind = scope.served.kinds.find((other) => other.plural === key.plural && other.group === key.group);
  if (kind === undefined) return DONE;
  const { client } = scope.context;
  const ref = refOf(key);
  const found = await client.get(kind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the object", found.error);
  const object = found.value;
  if (endsSlowly(object)) return finishDeletion(kind, object, scope);
  const owners = object.metadata.ownerReferences ?? [];
  if (owners.length === 0 || object.metadata.deletionTimestamp !== undefined) return DONE;
  for (const owner of owners) {
    const state = await ownerState(owner, key.namespace, scope);
    if (state === "unknown") return { kind: "failed", message: `owner ${owner.kind} ${owner.name} could not be read` };
    if (state === "present") return DONE;
  }
  const uid = object.metadata.uid;
  const removed = await client.remove(kind, ref, uid === undefined ? {} : { uid });
  return removed.ok || isRace(removed.error) ? DONE : failed("removing what has no owner any more", removed.error);
}

async function ownerState(
  owner: OwnerReference,
  namespace: string,
  { context, served }: Scope,
): Promise<"present" | "absent" | "unknown"> {
  const group = owner.apiVersion.includes("/") ? (owner.apiVersion.split("/")[0] ?? "") : "";
  const kind = served.kinds.find((other) => other.kind === owner.kind && other.group === group);
  // An owner of a kind that is not followed here is somebody else's business.
  if (kind === undefined) return "present";
  const ref = { name: owner.name, ...(kind.namespaced && namespace !== "" ? { namespace } : {}) };
  const found = await context.client.get(kind, ref);
  if (found.ok) return found.value.metadata.uid === owner.uid ? "present" : "absent";
  return found.error.code === 404 ? "absent" : "unknown";
}

function endsSlowly(object: KubeObject): boolean {
  const finalizers = object.metadata.finalizers ?? [];
  return (
    object.metadata.deletionTimestamp !== undefined && (finalizers.includes(ORPHAN) || finalizers.includes(FOREGROUND))
  );
}

async function finishDeletion(kind: Kind, object: KubeObject, scope: Scope): Promise<Outcome> {
  const { client } = scope.context;
  const uid = object.metadata.uid ?? "";
  const finalizers = object.metadata.finalizers ?? [];
  for (const text of scope.graph.dependentsOf(uid)) {
    const key = parseKey(text);
    const dependentKind = scope.served.kinds.find((other) => other.plural === key.plural && other.group === key.group);
    if (dependentKind === undefined) continue;
    const outcome = finalizers.includes(ORPHAN)
      ? await setFree(dependentKind, key, { uid, scope })
      : await removeFirst(dependentKind, key, scope);
    if (outcome !== undefined) return outcome;
  }
  const left = finalizers.filter((finalizer) => finalizer !== ORPHAN && finalizer !== FOREGROUND);
  const ref = refOf({ namespace: object.metadata.namespace ?? "", name: object.metadata.name });
  const patched = await client.mergePatch(kind, ref, { body: { metadata: { finalizers: left } } });
  return patched.ok || isRace(patched.error) ? DONE : failed("finishing the deletion", patched.error);
}

async function setFree(
  kind: Kind,
  key: ObjectKey,
  { uid, scope }: { readonly uid: string; readonly scope: Scope },
): Promise<Outcome | undefined> {
  const { client } = scope.context;
  const found = await client.get(kind, refOf(key));
  if (!found.ok) return isRace(found.error) ? undefined : failed("reading a dependent", found.error);
  const ownerReferences = (found.value.metadata.ownerReferences ?? []).filter((reference) => reference.uid !== uid);
  const patched = await client.mergePatch(kind, refOf(key), { body: { metadata: { ownerReferences } } });
  return patched.ok || isRace(patched.error) ? undefined : failed("setting a dependent free", patched.error);
}

/** Foreground: the owner stays until its dependents are gone; their deletion wakes this key again. */
async function removeFirst(kind: Kind, key: ObjectKey, scope: Scope): Promise<Outcome | undefined> {
  const { client } = scope.context;
  const found = await client.get(kind, refOf(key));
  if (!found.ok) return isRace(found.error) ? undefined : failed("reading a dependent", found.error);
  if (found.value.metadata.deletionTimestamp === undefined) {
    const removed = await client.remove(kind, refOf(key));
    if (!removed.ok && !isRace(removed.error)) return failed("removing a dependent", removed.error);
  }
  return DONE;
}

function keyText(kind: Kind, object: KubeObject): string {
  return [kind.group, kind.plural, object.metadata.namespace ?? "", object.metadata.name].join("/");
}

function parseKey(text: string): ObjectKey {
  const [group = "", plural = "", namespace = "", name = ""] = text.split("/");
  return { group, plural, namespace, name };
}

function refOf(key: { readonly namespace: string; readonly name: string }): {
  readonly namespace?: string;
  readonly name: string;
} {
  return { name: key.name, ...(key.namespace === "" ? {} : { namespace: key.namespace }) };
}
