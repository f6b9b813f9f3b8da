// A namespace that is deleted is emptied first, and then let go.

import type { Kind } from "../api/kind.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import {
  type ChangingKinds,
  type Controller,
  type ControllerContext,
  failed,
  isRace,
  runController,
} from "./controller.ts";
import { NAMESPACE_RETRY_MS } from "./limits.ts";
import { keyOf, refOf } from "./owner.ts";
import { DONE, type Outcome } from "./work-queue.ts";

const FINALIZER = "kubernetes";

/** `served` has everything that a namespace can hold. */
export function startNamespaces(context: ControllerContext, served: ChangingKinds): Controller {
  return runController(context, {
    name: "namespace",
    feed: (feed) => {
      feed.watch(namespaceKind, (namespace) =>
        namespace.metadata.deletionTimestamp === undefined ? [] : [keyOf(namespace)],
      );
    },
    reconcile: (key) => reconcile(key, context, contentsOf(served.kinds)),
  });
}

/** What makes others goes before what it makes. */
function contentsOf(kinds: readonly Kind[]): readonly Kind[] {
  const namespaced = kinds.filter((kind) => kind.namespaced);
  const isMaker = (kind: Kind) => kind.group === "apps" || kind.group === "batch";
  return [...namespaced.filter(isMaker), ...namespaced.filter((kind) => !isMaker(kind))];
}

async function reconcile(key: string, context: ControllerContext, kinds: readonly Kind[]): Promise<Outcome> {
  const { client } = context;
  const ref = refOf(key);
  const found = await client.get(namespaceKind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the namespace", found.error);
  const namespace = found.value;
  if (namespace.metadata.deletionTimestamp === undefined) return DONE;
  if (namespace.status?.phase !== "Terminating") {
    const body = { status: { phase: "Terminating" } };
    await client.mergePatch(namespaceKind, ref, { body, subresource: "status" });
  }
  let left = 0;
  for (const kind of kinds) {
    const emptied = await empty(kind, ref.name, context);
    if (typeof emptied !== "number") return emptied;
    left += emptied;
  }
  if (left > 0) return { kind: "again", afterMs: NAMESPACE_RETRY_MS };
  const finalizers = (namespace.spec?.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
  const { resourceVersion: _version, ...metadata } = namespace.metadata;
  const released = await client.update(namespaceKind, {
    ...namespace,
    metadata,
    spec: { ...namespace.spec, finalizers },
  });
  return released.ok || isRace(released.error) ? DONE : failed("letting the namespace go", released.error);
}

/** Begins the end of everything of one kind; returns how many there were. */
async function empty(kind: Kind, namespace: string, { client }: ControllerContext): Promise<number | Outcome> {
  const listed = await client.list(kind, { namespace });
  if (!listed.ok) return failed(`listing ${kind.plural}`, listed.error);
  for (const object of listed.value) {
    if (object.metadata.deletionTimestamp !== undefined) continue;
    const removed = await client.remove(kind, { namespace, name: object.metadata.name });
    if (!removed.ok && !isRace(removed.error)) return failed(`removing ${kind.singular}`, removed.error);
  }
  return listed.value.length;
}
