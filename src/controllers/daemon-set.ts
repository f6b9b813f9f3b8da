// DaemonSet: one pod on the node, if the template's node selector wants it there.

import { type DaemonSet, type DaemonSetStatus, daemonSetKind } from "../api/kubernetes/daemon-set.ts";
import { nodeKind } from "../api/kubernetes/node.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { matchesSelector } from "../api/kubernetes/selector-match.ts";
import { deepEqual } from "../base/equal.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { endsWithNamespace, podFrom } from "./make-pod.ts";
import { generatedName } from "./names.ts";
import { controllerOf, isControlledBy, keyOf, refOf } from "./owner.ts";
import { availableInMs, isFinished, isReady } from "./pod-state.ts";
import { ensureRevision, REVISION_LABEL, trimRevisions } from "./revisions.ts";
import { DONE, type Outcome } from "./work-queue.ts";

export function startDaemonSets(context: ControllerContext, nodeName: string): Controller {
  return runController(context, {
    name: "daemonset",
    feed: (feed) => {
      feed.watch(daemonSetKind, (object) => [keyOf(object)]);
      feed.watch(podKind, (pod) => {
        const owner = controllerOf(pod);
        return owner?.kind === "DaemonSet" ? [`${pod.metadata.namespace ?? ""}/${owner.name}`] : [];
      });
    },
    reconcile: (key) => reconcile(key, context, nodeName),
  });
}

interface Picture {
  readonly set: DaemonSet;
  /** Those of the set that are not on their way out. */
  readonly pods: readonly Pod[];
  readonly hash: string;
  readonly desired: number;
}

async function reconcile(key: string, context: ControllerContext, nodeName: string): Promise<Outcome> {
  const { client } = context;
  const ref = refOf(key);
  const found = await client.get(daemonSetKind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the DaemonSet", found.error);
  const set = found.value;
  if (set.metadata.deletionTimestamp !== undefined) return DONE;
  const revisions = await ensureRevision(set, context);
  if (!revisions.ok) return { kind: "failed", message: revisions.error };
  const hash = revisions.value.update.metadata.labels?.[REVISION_LABEL] ?? "";
  const listed = await client.list(podKind, ref.namespace === undefined ? {} : { namespace: ref.namespace });
  if (!listed.ok) return failed("listing pods", listed.error);
  const owned = listed.value.filter((pod) => isControlledBy(pod, set));
  const pods = owned.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const desired = (await wantsNode(set, context, nodeName)) ? 1 : 0;
  const picture = { set, pods, hash, desired };
  // The next one comes when the last is gone: both would want the node's ports.
  const outcome = await move(picture, owned.length, { context, nodeName });
  if (outcome.kind === "failed") return outcome;
  const written = await writeStatus(picture, context);
  if (written.kind !== "done") return written;
  const used = new Set(owned.map((pod) => `${set.metadata.name}-${pod.metadata.labels?.[REVISION_LABEL] ?? ""}`));
  const problem = await trimRevisions(set, revisions.value, { used, context });
  return problem === undefined ? DONE : { kind: "failed", message: problem };
}

async function wantsNode(set: DaemonSet, { client }: ControllerContext, nodeName: string): Promise<boolean> {
  const matchLabels = set.spec.template.spec?.nodeSelector ?? {};
  if (Object.keys(matchLabels).length === 0) return true;
  const node = await client.get(nodeKind, { name: nodeName });
  return node.ok && matchesSelector({ matchLabels }, node.value.metadata.labels);
}

interface Place {
  readonly context: ControllerContext;
  readonly nodeName: string;
}

async function move(picture: Picture, existing: number, place: Place): Promise<Outcome> {
  const { set, pods, hash, desired } = picture;
  const isOld = (pod: Pod): boolean =>
    set.spec.updateStrategy?.type !== "OnDelete" && pod.metadata.labels?.[REVISION_LABEL] !== hash;
  const [kept, ...surplus] = desired === 0 ? [undefined, ...pods] : pods;
  const goes = [...surplus, ...(kept !== undefined && (isFinished(kept) || isOld(kept)) ? [kept] : [])];
  for (const pod of goes) {
    if (pod === undefined) continue;
    const removed = await place.context.client.remove(podKind, refOf(keyOf(pod)));
    if (!removed.ok && !isRace(removed.error)) return failed(`removing pod ${pod.metadata.name}`, removed.error);
    const message = `Deleted pod: ${pod.metadata.name}`;
    place.context.events.record({ about: set, type: "Normal", reason: "SuccessfulDelete", message });
  }
  return desired === 1 && existing === 0 ? createPod(picture, place) : DONE;
}

async function createPod({ set, hash }: Picture, { context, nodeName }: Place): Promise<Outcome> {
  const generateName = `${set.metadata.name}-`;
  const named = { name: generatedName(generateName, context.random), generateName };
  const pod = podFrom(set, set.spec.template, named, {
    labels: { [REVISION_LABEL]: hash },
    change: (spec) => ({ ...spec, nodeName }),
  });
  if (pod === undefined) return { kind: "failed", message: "the template has no spec" };
  const made = await context.client.create(podKind, pod);
  if (!made.ok && endsWithNamespace(made.error)) return DONE;
  const message = made.ok ? `Created pod: ${named.name}` : `Error creating: ${made.error.message}`;
  const reason = made.ok ? "SuccessfulCreate" : "FailedCreate";
  context.events.record({ about: set, type: made.ok ? "Normal" : "Warning", reason, message });
  return made.ok ? DONE : { kind: "failed", message };
}

async function writeStatus(
  { set, pods, hash, desired }: Picture,
  { client, clock }: ControllerContext,
): Promise<Outcome> {
  const isAvailable = (pod: Pod): boolean => availableInMs(pod, set.spec.minReadySeconds ?? 0, clock.wallMs()) === 0;
  const available = pods.filter(isAvailable).length;
  const status: DaemonSetStatus = {
    currentNumberScheduled: Math.min(pods.length, desired),
    desiredNumberScheduled: desired,
    numberMisscheduled: desired === 0 ? pods.length : 0,
    numberReady: pods.filter(isReady).length,
    ...(available === 0 ? {} : { numberAvailable: available }),
    ...(desired > available ? { numberUnavailable: desired - available } : {}),
    updatedNumberScheduled: pods.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] === hash).length,
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
  };
  if (deepEqual(status, set.status)) return DONE;
  const { resourceVersion: _version, ...metadata } = set.metadata;
  const written = await client.updateStatus(daemonSetKind, { ...set, metadata, status });
  return written.ok || written.error.code === 404 ? DONE : failed("writing the status", written.error);
}
