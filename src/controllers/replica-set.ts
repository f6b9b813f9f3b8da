// ReplicaSet: makes pods from the template until there are as many as wanted, and removes those too many.

import type { WorkloadCondition } from "../api/kubernetes/fields.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { type ReplicaSet, type ReplicaSetStatus, replicaSetKind } from "../api/kubernetes/replica-set.ts";
import { matchesSelector } from "../api/kubernetes/selector-match.ts";
import { deepEqual } from "../base/equal.ts";
import { type Controller, type ControllerContext, failed, isRace, runController, timestamp } from "./controller.ts";
import { PODS_PER_SYNC_MAX } from "./limits.ts";
import { endsWithNamespace, podFrom } from "./make-pod.ts";
import { generatedName } from "./names.ts";
import { controllerOf, isControlledBy, keyOf, refOf } from "./owner.ts";
import { availableInMs, isActive, isReady } from "./pod-state.ts";
import { DONE, type Outcome } from "./work-queue.ts";

export function startReplicaSets(context: ControllerContext): Controller {
  return runController(context, {
    name: "replicaset",
    feed: (feed) => {
      feed.watch(replicaSetKind, (object) => [keyOf(object)]);
      feed.watch(podKind, (pod) => {
        const owner = controllerOf(pod);
        return owner?.kind === "ReplicaSet" ? [`${pod.metadata.namespace ?? ""}/${owner.name}`] : [];
      });
    },
    reconcile: (key) => reconcile(key, context),
  });
}

async function reconcile(key: string, context: ControllerContext): Promise<Outcome> {
  const { client, clock } = context;
  const ref = refOf(key);
  const found = await client.get(replicaSetKind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the ReplicaSet", found.error);
  const set = found.value;
  if (set.metadata.deletionTimestamp !== undefined) return DONE;
  const listed = await client.list(podKind, ref.namespace === undefined ? {} : { namespace: ref.namespace });
  if (!listed.ok) return failed("listing pods", listed.error);
  const pods = listed.value.filter((pod) => isControlledBy(pod, set) && isActive(pod));
  const scaled = await scale(set, pods, context);
  const status = await writeStatus(set, scaled, context);
  if (scaled.problem !== undefined) return { kind: "failed", message: scaled.problem };
  if (status.kind !== "done") return status;
  const waits = pods.map((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0, clock.wallMs()) ?? 0);
  const waitMs = Math.max(0, ...waits);
  return waitMs > 0 ? { kind: "again", afterMs: waitMs } : DONE;
}

interface Scaled {
  readonly pods: readonly Pod[];
  readonly problem: string | undefined;
}

async function scale(set: ReplicaSet, pods: readonly Pod[], context: ControllerContext): Promise<Scaled> {
  const wanted = set.spec.replicas ?? 1;
  if (pods.length < wanted)
    return createPods(set, { pods, count: Math.min(wanted - pods.length, PODS_PER_SYNC_MAX) }, context);
  const surplus = [...pods].sort(removeFirst).slice(0, Math.min(pods.length - wanted, PODS_PER_SYNC_MAX));
  for (const pod of surplus) {
    const removed = await context.client.remove(podKind, refOf(keyOf(pod)), uidOf(pod));
    if (!removed.ok && !isRace(removed.error))
      return { pods, problem: `removing pod ${pod.metadata.name}: ${removed.error.message}` };
    context.events.record({
      about: set,
      type: "Normal",
      reason: "SuccessfulDelete",
      message: `Deleted pod: ${pod.metadata.name}`,
    });
  }
  return { pods: pods.filter((pod) => !surplus.includes(pod)), problem: undefined };
}

async function createPods(
  set: ReplicaSet,
  { pods, count }: { readonly pods: readonly Pod[]; readonly count: number },
  context: ControllerContext,
): Promise<Scaled> {
  const all = [...pods];
  for (let made = 0; made < count; made += 1) {
    const pod = podOf(set, context);
    if (pod === undefined) return { pods: all, problem: "the template has no spec" };
    const created = await context.client.create(podKind, pod);
    if (!created.ok && created.error.reason === "AlreadyExists") continue;
    if (!created.ok && endsWithNamespace(created.error)) return { pods: all, problem: undefined };
    if (!created.ok) {
      const message = `Error creating: ${created.error.message}`;
      context.events.record({ about: set, type: "Warning", reason: "FailedCreate", message });
      return { pods: all, problem: message };
    }
    all.push(created.value);
    context.events.record({
      about: set,
      type: "Normal",
      reason: "SuccessfulCreate",
      message: `Created pod: ${created.value.metadata.name}`,
    });
  }
  return { pods: all, problem: undefined };
}

function podOf(set: ReplicaSet, context: ControllerContext): Pod | undefined {
  const generateName = `${set.metadata.name}-`;
  return podFrom(set, set.spec.template, { name: generatedName(generateName, context.random), generateName });
}

/** Kubernetes' order: without a node, pending, not ready, and among equals the newest. */
function removeFirst(a: Pod, b: Pod): number {
  return rank(a) - rank(b) || newest(a, b);
}

function rank(pod: Pod): number {
  if (pod.spec.nodeName === undefined) return 0;
  if (pod.status?.phase !== "Running") return 1;
  return isReady(pod) ? 3 : 2;
}

function newest(a: Pod, b: Pod): number {
  return (b.metadata.creationTimestamp ?? "").localeCompare(a.metadata.creationTimestamp ?? "");
}

function uidOf(pod: Pod): { readonly uid?: string } {
  return pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid };
}

async function writeStatus(set: ReplicaSet, scaled: Scaled, context: ControllerContext): Promise<Outcome> {
  const nowMs = context.clock.wallMs();
  const ready = scaled.pods.filter(isReady);
  const available = ready.filter((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0, nowMs) === 0);
  const labelled = scaled.pods.filter((pod) =>
    matchesSelector({ matchLabels: set.spec.template.metadata?.labels ?? {} }, pod.metadata.labels),
  );
  const conditions = failureConditions(set, scaled.problem, timestamp(context.clock));
  const status: ReplicaSetStatus = {
    replicas: scaled.pods.length,
    fullyLabeledReplicas: labelled.length,
    readyReplicas: ready.length,
    availableReplicas: available.length,
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
    ...(conditions.length === 0 ? {} : { conditions }),
  };
  if (deepEqual(status, set.status)) return DONE;
  const { resourceVersion: _version, ...metadata } = set.metadata;
  const written = await context.client.updateStatus(replicaSetKind, { ...set, metadata, status });
  if (written.ok || written.error.code === 404) return DONE;
  return failed("writing the status", written.error);
}

function failureConditions(set: ReplicaSet, problem: string | undefined, now: string): readonly WorkloadCondition[] {
  const others = (set.status?.conditions ?? []).filter((condition) => condition.type !== "ReplicaFailure");
  if (problem === undefined) return others;
  const before = set.status?.conditions?.find((condition) => condition.type === "ReplicaFailure");
  const since = before?.lastTransitionTime ?? now;
  const condition = { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message: problem } as const;
  return [...others, { ...condition, lastTransitionTime: since }];
}
