// StatefulSet: pods 0 to n-1, made in order and removed in the reverse one, each with a name and claims of its own.

import { type PersistentVolumeClaim, persistentVolumeClaimKind } from "../api/kubernetes/persistent-volume-claim.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import type { PodSpec } from "../api/kubernetes/pod-spec.ts";
import { type StatefulSet, type StatefulSetStatus, statefulSetKind } from "../api/kubernetes/stateful-set.ts";
import { deepEqual } from "../base/equal.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { endsWithNamespace, podFrom } from "./make-pod.ts";
import { controllerOf, isControlledBy, keyOf, refOf } from "./owner.ts";
import { availableInMs, isFinished, isReady } from "./pod-state.ts";
import { ensureRevision, REVISION_LABEL, type Revisions, templateIn, trimRevisions } from "./revisions.ts";
import { DONE, type Outcome } from "./work-queue.ts";

const NAME_LABEL = "statefulset.kubernetes.io/pod-name";
const INDEX_LABEL = "apps.kubernetes.io/pod-index";

export function startStatefulSets(context: ControllerContext): Controller {
  return runController(context, {
    name: "statefulset",
    feed: (feed) => {
      feed.watch(statefulSetKind, (object) => [keyOf(object)]);
      feed.watch(podKind, (pod) => {
        const owner = controllerOf(pod);
        return owner?.kind === "StatefulSet" ? [`${pod.metadata.namespace ?? ""}/${owner.name}`] : [];
      });
    },
    reconcile: (key) => reconcile(key, context),
  });
}

interface State {
  readonly set: StatefulSet;
  readonly revisions: Revisions;
  /** Name of the revision that pods below the partition keep. */
  readonly current: string;
  /** By ordinal. */
  readonly pods: ReadonlyMap<number, Pod>;
}

async function reconcile(key: string, context: ControllerContext): Promise<Outcome> {
  const { client, clock } = context;
  const ref = refOf(key);
  const found = await client.get(statefulSetKind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the StatefulSet", found.error);
  const set = found.value;
  if (set.metadata.deletionTimestamp !== undefined) return DONE;
  const revisions = await ensureRevision(set, context);
  if (!revisions.ok) return { kind: "failed", message: revisions.error };
  const listed = await client.list(podKind, ref.namespace === undefined ? {} : { namespace: ref.namespace });
  if (!listed.ok) return failed("listing pods", listed.error);
  const owned = listed.value.filter((pod) => isControlledBy(pod, set));
  const update = revisions.value.update.metadata.name;
  const state: State = {
    set,
    revisions: revisions.value,
    current: set.status?.currentRevision ?? update,
    pods: new Map(owned.map((pod) => [ordinalOf(pod, set), pod])),
  };
  const moved = await move(state, context);
  if (moved.kind === "failed") return moved;
  const written = await writeStatus(state, context);
  if (written.kind !== "done") return written;
  const used = new Set([...owned.map((pod) => revisionOf(pod, set)), state.current]);
  const problem = await trimRevisions(set, revisions.value, { used, context });
  if (problem !== undefined) return { kind: "failed", message: problem };
  const waits = owned.map((pod) => availableInMs(pod, set.spec.minReadySeconds ?? 0, clock.wallMs()) ?? 0);
  const waitMs = Math.max(0, ...waits);
  return waitMs > 0 ? { kind: "again", afterMs: waitMs } : DONE;
}

function ordinalOf(pod: Pod, set: StatefulSet): number {
  return Number(pod.metadata.name.slice(set.metadata.name.length + 1));
}

function revisionOf(pod: Pod, set: StatefulSet): string {
  return `${set.metadata.name}-${pod.metadata.labels?.[REVISION_LABEL] ?? ""}`;
}

function isInOrder(set: StatefulSet): boolean {
  return set.spec.podManagementPolicy !== "Parallel";
}

function ordinalsOf(set: StatefulSet): readonly number[] {
  const start = set.spec.ordinals?.start ?? 0;
  return Array.from({ length: set.spec.replicas ?? 1 }, (_, index) => start + index);
}

/** At most one step at a time where the order counts; the pods' changes wake this again. */
async function move(state: State, context: ControllerContext): Promise<Outcome> {
  const { set, pods } = state;
  const wanted = ordinalsOf(set);
  for (const ordinal of wanted) {
    const step = await ensurePod(state, ordinal, context);
    if (step !== undefined && (step.kind === "failed" || isInOrder(set))) return step;
  }
  const surplus = [...pods].filter(([ordinal]) => !wanted.includes(ordinal)).sort(([a], [b]) => b - a);
  for (const [, pod] of surplus) {
    const outcome = isEnding(pod) ? DONE : await removePod(set, pod, context);
    if (outcome.kind === "failed" || isInOrder(set)) return outcome;
  }
  return surplus.length === 0 ? roll(state, wanted, context) : DONE;
}

/** Undefined when the pod is there and nothing has to wait for it. */
async function ensurePod(state: State, ordinal: number, context: ControllerContext): Promise<Outcome | undefined> {
  const { set } = state;
  const pod = state.pods.get(ordinal);
  if (pod === undefined) return createPod(state, ordinal, context);
  if (isFinished(pod)) return removePod(set, pod, context);
  return isInOrder(set) && (isEnding(pod) || !isAvailable(pod, set, context)) ? DONE : undefined;
}

function isEnding(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp !== undefined;
}

function isAvailable(pod: Pod, set: StatefulSet, { clock }: ControllerContext): boolean {
  return availableInMs(pod, set.spec.minReadySeconds ?? 0, clock.wallMs()) === 0;
}

/** Replaces pods of an older template, the highest first, each once those above it serve. */
async function roll(state: State, wanted: readonly number[], context: ControllerContext): Promise<Outcome> {
  const { set, pods, revisions } = state;
  if (set.spec.updateStrategy?.type === "OnDelete") return DONE;
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  for (const ordinal of [...wanted].reverse().filter((each) => each >= partition)) {
    const pod = pods.get(ordinal);
    if (pod === undefined || isEnding(pod)) return DONE;
    if (revisionOf(pod, set) !== revisions.update.metadata.name) return removePod(set, pod, context);
    if (!isAvailable(pod, set, context)) return DONE;
  }
  return DONE;
}

async function removePod(set: StatefulSet, pod: Pod, context: ControllerContext): Promise<Outcome> {
  const { uid, name } = pod.metadata;
  const removed = await context.client.remove(podKind, refOf(keyOf(pod)), uid === undefined ? {} : { uid });
  if (!removed.ok && !isRace(removed.error)) return failed(`removing pod ${name}`, removed.error);
  const message = `delete Pod ${name} in StatefulSet ${set.metadata.name} successful`;
  context.events.record({ about: set, type: "Normal", reason: "SuccessfulDelete", message });
  return DONE;
}

async function createPod(state: State, ordinal: number, context: ControllerContext): Promise<Outcome> {
  const { set, revisions, current } = state;
  const name = `${set.metadata.name}-${ordinal}`;
  const claimed = await ensureClaims(set, name, context);
  if (claimed.kind === "failed") return claimed;
  const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const old = ordinal < partition ? revisions.all.find(({ metadata }) => metadata.name === current) : undefined;
  const revision = old ?? revisions.update;
  const pod = podFrom(
    set,
    templateIn(revision, set.spec.template),
    { name },
    {
      labels: {
        [NAME_LABEL]: name,
        [INDEX_LABEL]: String(ordinal),
        [REVISION_LABEL]: revision.metadata.labels?.[REVISION_LABEL] ?? "",
      },
      change: (spec) => withIdentity(spec, set, name),
    },
  );
  if (pod === undefined) return { kind: "failed", message: "the template has no spec" };
  const made = await context.client.create(podKind, pod);
  if (made.ok) {
    const message = `create Pod ${name} in StatefulSet ${set.metadata.name} successful`;
    context.events.record({ about: set, type: "Normal", reason: "SuccessfulCreate", message });
    return DONE;
  }
  if (made.error.reason === "AlreadyExists" || endsWithNamespace(made.error)) return DONE;
  const message = `create Pod ${name} in StatefulSet ${set.metadata.name} failed error: ${made.error.message}`;
  context.events.record({ about: set, type: "Warning", reason: "FailedCreate", message });
  return { kind: "failed", message };
}

function withIdentity(spec: PodSpec, set: StatefulSet, name: string): PodSpec {
  const claims = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name ?? "");
  const own = claims.map((claim) => ({ name: claim, persistentVolumeClaim: { claimName: `${claim}-${name}` } }));
  const others = (spec.volumes ?? []).filter((volume) => !claims.includes(volume.name));
  const subdomain = set.spec.serviceName;
  return {
    ...spec,
    hostname: name,
    ...(subdomain === undefined || subdomain === "" ? {} : { subdomain }),
    ...(own.length + others.length === 0 ? {} : { volumes: [...others, ...own] }),
  };
}

/** Claims stay when their pod goes: the next pod of the name finds them again. */
async function ensureClaims(set: StatefulSet, pod: string, { client }: ControllerContext): Promise<Outcome> {
  for (const { metadata, spec } of set.spec.volumeClaimTemplates ?? []) {
    const claim: PersistentVolumeClaim = {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: {
        name: `${metadata?.name ?? ""}-${pod}`,
        ...(set.metadata.namespace === undefined ? {} : { namespace: set.metadata.namespace }),
        labels: { ...metadata?.labels, ...set.spec.selector.matchLabels },
        ...(metadata?.annotations === undefined ? {} : { annotations: metadata.annotations }),
      },
      spec: { accessModes: ["ReadWriteOnce"], ...spec },
    };
    const made = await client.create(persistentVolumeClaimKind, claim);
    if (!made.ok && made.error.reason !== "AlreadyExists" && !endsWithNamespace(made.error)) {
      return failed(`making claim ${claim.metadata.name}`, made.error);
    }
  }
  return DONE;
}

async function writeStatus(state: State, context: ControllerContext): Promise<Outcome> {
  const { set, revisions } = state;
  const pods = [...state.pods.values()].filter((pod) => !isEnding(pod));
  const update = revisions.update.metadata.name;
  const ready = pods.filter(isReady);
  const updated = pods.filter((pod) => revisionOf(pod, set) === update).length;
  const replicas = set.spec.replicas ?? 1;
  // Once all pods have the new template it is the one that later pods below a partition keep.
  const done = updated === replicas && pods.length === replicas && ready.length === replicas;
  const current = done ? update : state.current;
  const status: StatefulSetStatus = {
    replicas: pods.length,
    ...(ready.length === 0 ? {} : { readyReplicas: ready.length }),
    availableReplicas: ready.filter((pod) => isAvailable(pod, set, context)).length,
    currentReplicas: pods.filter((pod) => revisionOf(pod, set) === current).length,
    ...(updated === 0 ? {} : { updatedReplicas: updated }),
    currentRevision: current,
    updateRevision: update,
    collisionCount: 0,
    ...(set.metadata.generation === undefined ? {} : { observedGeneration: set.metadata.generation }),
  };
  if (deepEqual(status, set.status)) return DONE;
  const { resourceVersion: _version, ...metadata } = set.metadata;
  const written = await context.client.updateStatus(statefulSetKind, { ...set, metadata, status });
  return written.ok || written.error.code === 404 ? DONE : failed("writing the status", written.error);
}
