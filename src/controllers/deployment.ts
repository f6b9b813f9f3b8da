// Deployment: one ReplicaSet for each version of the template, and pods moved from the old ones to the new one.

import { type Deployment, deploymentKind } from "../api/kubernetes/deployment.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import type { PodTemplate } from "../api/kubernetes/pod-spec.ts";
import { type ReplicaSet, replicaSetKind } from "../api/kubernetes/replica-set.ts";
import { canonicalJson, deepEqual } from "../base/equal.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type Controller, type ControllerContext, failed, runController, timestamp } from "./controller.ts";
import { deadlineInMs, deploymentStatusOf } from "./deployment-status.ts";
import { REVISION_HISTORY_DEFAULT } from "./limits.ts";
import { shortHash } from "./names.ts";
import { controllerOf, controllerReference, isControlledBy, keyOf, refOf } from "./owner.ts";
import { isFinished } from "./pod-state.ts";
import { boundsOf, planRollout, type Version } from "./rollout.ts";
import { DONE, type Outcome } from "./work-queue.ts";

const HASH_LABEL = "pod-template-hash";
const REVISION = "deployment.kubernetes.io/revision";
const DESIRED = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM = "deployment.kubernetes.io/max-replicas";
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";

export function startDeployments(context: ControllerContext): Controller {
  return runController(context, {
    name: "deployment",
    feed: (feed) => {
      feed.watch(deploymentKind, (object) => [keyOf(object)]);
      feed.watch(replicaSetKind, (set) => {
        const owner = controllerOf(set);
        return owner?.kind === "Deployment" ? [`${set.metadata.namespace ?? ""}/${owner.name}`] : [];
      });
      // Recreate waits for the last old pod to be gone; its ReplicaSet's status knows only of those that stay.
      feed.watch(podKind, (pod, change) => (change === "deleted" ? deploymentKeyOf(pod) : []));
    },
    reconcile: (key) => reconcile(key, context),
  });
}

function deploymentKeyOf(pod: Pod): readonly string[] {
  const owner = controllerOf(pod);
  const hash = pod.metadata.labels?.[HASH_LABEL];
  if (owner?.kind !== "ReplicaSet" || hash === undefined || !owner.name.endsWith(`-${hash}`)) return [];
  return [`${pod.metadata.namespace ?? ""}/${owner.name.slice(0, -hash.length - 1)}`];
}

interface State {
  readonly deployment: Deployment;
  readonly current: ReplicaSet | undefined;
  /** The oldest first. */
  readonly old: readonly ReplicaSet[];
}

async function reconcile(key: string, context: ControllerContext): Promise<Outcome> {
  const ref = refOf(key);
  const found = await context.client.get(deploymentKind, ref);
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the Deployment", found.error);
  const deployment = found.value;
  if (deployment.metadata.deletionTimestamp !== undefined) return DONE;
  const scope = ref.namespace === undefined ? {} : { namespace: ref.namespace };
  const sets = await context.client.list(replicaSetKind, scope);
  if (!sets.ok) return failed("listing ReplicaSets", sets.error);
  const owned = sets.value.filter((set) => isControlledBy(set, deployment)).sort(oldestFirst);
  const current = owned.find((set) => sameTemplate(set.spec.template, deployment.spec.template));
  const state = { deployment, current, old: owned.filter((set) => set !== current) };
  const rolled = await roll(state, context);
  if (!rolled.ok) return { kind: "failed", message: rolled.error };
  await cleanUp(rolled.value, context);
  return writeStatus(rolled.value, context);
}

async function roll(state: State, context: ControllerContext): Promise<Result<State, string>> {
  if (state.deployment.spec.paused === true) return scalePaused(state, context);
  const ensured = await ensureCurrent(state, context);
  if (!ensured.ok) return ensured;
  const { deployment, current, old } = ensured.value;
  const pods = await context.client.list(podKind, namespaceOf(deployment));
  if (!pods.ok) return err(`listing pods: ${pods.error.message}`);
  const plan = planRollout({
    replicas: deployment.spec.replicas ?? 1,
    strategy: deployment.spec.strategy?.type ?? "RollingUpdate",
    bounds: boundsOf(deployment),
    current: versionOf(current, pods.value),
    old: old.map((set) => versionOf(set, pods.value)),
  });
  let next: State = ensured.value;
  for (const set of [current, ...old]) {
    const replicas = plan.get(set.metadata.name);
    if (replicas === undefined) continue;
    const scaled = await scaleSet(set, replicas, next, context);
    if (!scaled.ok) return scaled;
    next = replaceSet(next, scaled.value);
  }
  return ok(next);
}

/** A paused Deployment starts no version, but still follows its replica count. */
async function scalePaused(state: State, context: ControllerContext): Promise<Result<State, string>> {
  const active = [state.current, ...state.old].filter((set) => set !== undefined && (set.spec.replicas ?? 0) > 0);
  const only = active.length === 1 ? active[0] : undefined;
  if (only === undefined || only.spec.replicas === state.deployment.spec.replicas) return ok(state);
  const scaled = await scaleSet(only, state.deployment.spec.replicas ?? 1, state, context);
  return scaled.ok ? ok(replaceSet(state, scaled.value)) : scaled;
}

type Ensured = State & { readonly current: ReplicaSet };

/** The ReplicaSet of the present template, with the newest revision number; the Deployment carries the same. */
async function ensureCurrent(state: State, context: ControllerContext): Promise<Result<Ensured, string>> {
  const newestOld = Math.max(0, ...state.old.map(revisionOf));
  const revision = state.current === undefined ? newestOld + 1 : Math.max(revisionOf(state.current), newestOld + 1);
  const current =
    state.current === undefined
      ? await createSet(state, revision, context)
      : await renumber(state.current, revision, context);
  if (!current.ok) return current;
  const deployment = await annotate(state.deployment, revision, context);
  return deployment.ok ? ok({ deployment: deployment.value, current: current.value, old: state.old }) : deployment;
}

async function createSet(
  state: State,
  revision: number,
  context: ControllerContext,
): Promise<Result<ReplicaSet, string>> {
  const { deployment } = state;
  const { client, events } = context;
  const collisions = deployment.status?.collisionCount ?? 0;
  const set = setOf(deployment, revision, shortHash(canonicalJson([deployment.spec.template, collisions])));
  const made = await client.create(replicaSetKind, set);
  if (made.ok) {
    const message = `Scaled up replica set ${set.metadata.name} from 0 to ${set.spec.replicas}`;
    if ((set.spec.replicas ?? 0) > 0)
      events.record({ about: deployment, type: "Normal", reason: "ScalingReplicaSet", message });
    return made;
  }
  if (made.error.reason !== "AlreadyExists")
    return err(`creating ReplicaSet ${set.metadata.name}: ${made.error.message}`);
  // The name is somebody else's: the next try hashes with a higher count.
  const body = { status: { collisionCount: collisions + 1 } };
  await client.mergePatch(deploymentKind, refOf(keyOf(deployment)), { body, subresource: "status" });
  return err(`ReplicaSet ${set.metadata.name} exists and belongs to something else; trying another name`);
}

function setOf(deployment: Deployment, revision: number, hash: string): ReplicaSet {
  const { template, selector, minReadySeconds } = deployment.spec;
  const rolling = deployment.spec.strategy?.type !== "Recreate";
  const wanted = deployment.spec.replicas ?? 1;
  return {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name: `${deployment.metadata.name}-${hash}`,
      ...namespaceOf(deployment),
      labels: { ...template.metadata?.labels, [HASH_LABEL]: hash },
      annotations: { ...inherited(deployment), ...sizeAnnotations(deployment), [REVISION]: String(revision) },
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      // Its first size is decided by the plan, once it is known beside the others.
      replicas: rolling && isFirst(deployment) ? wanted : 0,
      ...(minReadySeconds === undefined ? {} : { minReadySeconds }),
      selector: { ...selector, matchLabels: { ...selector.matchLabels, [HASH_LABEL]: hash } },
      template: {
        ...template,
        metadata: { ...template.metadata, labels: { ...template.metadata?.labels, [HASH_LABEL]: hash } },
      },
    },
  };
}

function isFirst(deployment: Deployment): boolean {
  return deployment.metadata.annotations?.[REVISION] === undefined;
}

function inherited(deployment: Deployment): Readonly<Record<string, string>> {
  const entries = Object.entries(deployment.metadata.annotations ?? {});
  return Object.fromEntries(entries.filter(([key]) => ![LAST_APPLIED, REVISION, DESIRED, MAXIMUM].includes(key)));
}

function sizeAnnotations(deployment: Deployment): Readonly<Record<string, string>> {
  const wanted = deployment.spec.replicas ?? 1;
  const surge = deployment.spec.strategy?.type === "Recreate" ? 0 : boundsOf(deployment).maxSurge;
  return { [DESIRED]: String(wanted), [MAXIMUM]: String(wanted + surge) };
}

async function renumber(
  set: ReplicaSet,
  revision: number,
  context: ControllerContext,
): Promise<Result<ReplicaSet, string>> {
  if (revisionOf(set) === revision) return ok(set);
  const body = { metadata: { annotations: { [REVISION]: String(revision) } } };
  const patched = await context.client.mergePatch(replicaSetKind, refOf(keyOf(set)), { body });
  return patched.ok ? patched : err(`numbering ReplicaSet ${set.metadata.name}: ${patched.error.message}`);
}

async function annotate(
  deployment: Deployment,
  revision: number,
  context: ControllerContext,
): Promise<Result<Deployment, string>> {
  if (deployment.metadata.annotations?.[REVISION] === String(revision)) return ok(deployment);
  const body = { metadata: { annotations: { [REVISION]: String(revision) } } };
  const patched = await context.client.mergePatch(deploymentKind, refOf(keyOf(deployment)), { body });
  return patched.ok ? patched : err(`numbering the Deployment: ${patched.error.message}`);
}

async function scaleSet(
  set: ReplicaSet,
  replicas: number,
  { deployment }: State,
  context: ControllerContext,
): Promise<Result<ReplicaSet, string>> {
  const before = set.spec.replicas ?? 0;
  const body = { spec: { replicas }, metadata: { annotations: sizeAnnotations(deployment) } };
  const patched = await context.client.mergePatch(replicaSetKind, refOf(keyOf(set)), { body });
  if (!patched.ok) return err(`scaling ReplicaSet ${set.metadata.name}: ${patched.error.message}`);
  const direction = replicas > before ? "up" : "down";
  const message = `Scaled ${direction} replica set ${set.metadata.name} from ${before} to ${replicas}`;
  context.events.record({ about: deployment, type: "Normal", reason: "ScalingReplicaSet", message });
  return patched;
}

/** Versions without pods are kept for going back, but only so many. */
async function cleanUp({ deployment, old }: State, context: ControllerContext): Promise<void> {
  const empty = old.filter((set) => (set.spec.replicas ?? 0) === 0 && (set.status?.replicas ?? 0) === 0);
  const keep = deployment.spec.revisionHistoryLimit ?? REVISION_HISTORY_DEFAULT;
  const surplus = empty.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, empty.length - keep));
  for (const set of surplus) await context.client.remove(replicaSetKind, refOf(keyOf(set)));
}

async function writeStatus(state: State, context: ControllerContext): Promise<Outcome> {
  const { deployment, current, old } = state;
  const all = current === undefined ? old : [current, ...old];
  const status = deploymentStatusOf({ deployment, current, all, now: timestamp(context.clock) });
  const deadlineMs = deadlineInMs(deployment, status, context.clock.wallMs());
  const outcome: Outcome = deadlineMs === undefined ? DONE : { kind: "again", afterMs: deadlineMs };
  if (deepEqual(status, deployment.status)) return outcome;
  const { resourceVersion: _version, ...metadata } = deployment.metadata;
  const written = await context.client.updateStatus(deploymentKind, { ...deployment, metadata, status });
  if (written.ok || written.error.code === 404) return outcome;
  return failed("writing the status", written.error);
}

function replaceSet(state: State, set: ReplicaSet): State {
  const isSame = (other: ReplicaSet | undefined) => other?.metadata.uid === set.metadata.uid;
  return {
    deployment: state.deployment,
    current: isSame(state.current) ? set : state.current,
    old: state.old.map((other) => (isSame(other) ? set : other)),
  };
}

function versionOf(set: ReplicaSet, pods: readonly Pod[]): Version {
  return {
    name: set.metadata.name,
    replicas: set.spec.replicas ?? 0,
    readyReplicas: set.status?.readyReplicas ?? 0,
    availableReplicas: set.status?.availableReplicas ?? 0,
    existingPods: pods.filter((pod) => isControlledBy(pod, set) && !isFinished(pod)).length,
  };
}

function sameTemplate(a: PodTemplate, b: PodTemplate): boolean {
  return deepEqual(withoutHash(a), withoutHash(b));
}

function withoutHash(template: PodTemplate): unknown {
  const { [HASH_LABEL]: _hash, ...labels } = template.metadata?.labels ?? {};
  return { ...template, metadata: { ...template.metadata, labels } };
}

function revisionOf(set: ReplicaSet): number {
  return Number(set.metadata.annotations?.[REVISION] ?? 0);
}

function oldestFirst(a: ReplicaSet, b: ReplicaSet): number {
  return (
    (a.metadata.creationTimestamp ?? "").localeCompare(b.metadata.creationTimestamp ?? "") ||
    revisionOf(a) - revisionOf(b)
  );
}

function namespaceOf(deployment: Deployment): { readonly namespace?: string } {
  return deployment.metadata.namespace === undefined ? {} : { namespace: deployment.metadata.namespace };
}
