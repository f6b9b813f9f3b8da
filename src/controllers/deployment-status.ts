// A Deployment's status from its ReplicaSets (pure): what `kubectl rollout status` and `kubectl wait` look at.

import type { Deployment, DeploymentStatus } from "../api/kubernetes/deployment.ts";
import type { WorkloadCondition } from "../api/kubernetes/fields.ts";
import type { ReplicaSet } from "../api/kubernetes/replica-set.ts";
import { PROGRESS_DEADLINE_DEFAULT_SECONDS } from "./limits.ts";
import { boundsOf } from "./rollout.ts";

export interface DeploymentPicture {
  readonly deployment: Deployment;
  readonly current: ReplicaSet | undefined;
  readonly all: readonly ReplicaSet[];
  readonly now: string;
}

type Counts = Required<
  Pick<DeploymentStatus, "replicas" | "updatedReplicas" | "readyReplicas" | "availableReplicas" | "unavailableReplicas">
>;

export function deploymentStatusOf(picture: DeploymentPicture): DeploymentStatus {
  const { deployment, current, all } = picture;
  const count = (amount: (status: NonNullable<ReplicaSet["status"]>) => number | undefined): number =>
    all.reduce((total, set) => total + (set.status === undefined ? 0 : (amount(set.status) ?? 0)), 0);
  const available = count((status) => status.availableReplicas);
  const wanted = all.reduce((total, set) => total + (set.spec.replicas ?? 0), 0);
  const counts: Counts = {
    replicas: count((status) => status.replicas),
    updatedReplicas: current?.status?.replicas ?? 0,
    readyReplicas: count((status) => status.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, wanted - available),
  };
  return {
    ...(deployment.metadata.generation === undefined ? {} : { observedGeneration: deployment.metadata.generation }),
    ...Object.fromEntries(Object.entries(counts).filter(([, value]) => value > 0)),
    ...(deployment.status?.collisionCount === undefined ? {} : { collisionCount: deployment.status.collisionCount }),
    conditions: conditionsOf(picture, counts),
  };
}

function isComplete(deployment: Deployment, counts: Partial<Counts>): boolean {
  const replicas = deployment.spec.replicas ?? 1;
  return (
    (counts.updatedReplicas ?? 0) === replicas &&
    (counts.replicas ?? 0) === replicas &&
    (counts.availableReplicas ?? 0) === replicas
  );
}

/** Milliseconds until the rollout counts as stuck; undefined when there is none to wait for. */
export function deadlineInMs(deployment: Deployment, status: DeploymentStatus, nowMs: number): number | undefined {
  const progressing = status.conditions?.find((condition) => condition.type === "Progressing");
  if (deployment.spec.paused === true || isComplete(deployment, status)) return undefined;
  if (progressing?.reason === "ProgressDeadlineExceeded") return undefined;
  const sinceMs = Date.parse(progressing?.lastUpdateTime ?? "");
  if (Number.isNaN(sinceMs)) return undefined;
  return Math.max(1, sinceMs + deadlineSeconds(deployment) * 1000 - nowMs);
}

function deadlineSeconds(deployment: Deployment): number {
  return deployment.spec.progressDeadlineSeconds ?? PROGRESS_DEADLINE_DEFAULT_SECONDS;
}

function conditionsOf(picture: DeploymentPicture, counts: Counts): readonly WorkloadCondition[] {
  const { deployment } = picture;
  const before = deployment.status?.conditions ?? [];
  const wanted = [availableCondition(deployment, counts), progressingCondition(picture, counts), failure(picture)];
  const conditions = wanted.filter((condition) => condition !== undefined);
  return conditions.map((condition) =>
    dated(condition, before, { now: picture.now, moved: hasMoved(picture, counts) }),
  );
}

function availableCondition(deployment: Deployment, counts: Counts): WorkloadCondition {
  const replicas = deployment.spec.replicas ?? 1;
  const unavailable = deployment.spec.strategy?.type === "Recreate" ? 0 : boundsOf(deployment).maxUnavailable;
  return counts.availableReplicas >= replicas - unavailable
    ? {
        type: "Available",
        status: "True",
        reason: "MinimumReplicasAvailable",
        message: "Deployment has minimum availability.",
      }
    : {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      };
}

function progressingCondition(picture: DeploymentPicture, counts: Counts): WorkloadCondition {
  const { deployment, current } = picture;
  const name = current?.metadata.name ?? deployment.metadata.name;
  const type = "Progressing";
  const before = deployment.status?.conditions?.find((condition) => condition.type === type);
  if (deployment.spec.paused === true) {
    return { type, status: "Unknown", reason: "DeploymentPaused", message: "Deployment is paused" };
  }
  if (isComplete(deployment, counts)) {
    const message = `ReplicaSet "${name}" has successfully progressed.`;
    return { type, status: "True", reason: "NewReplicaSetAvailable", message };
  }
  const sinceMs = Date.parse(before?.lastUpdateTime ?? picture.now);
  const late = Date.parse(picture.now) - sinceMs >= deadlineSeconds(deployment) * 1000;
  const stuckBefore = before?.reason === "ProgressDeadlineExceeded";
  // A version that had been complete is being replaced: the clock starts with this change.
  const fresh = before === undefined || before.reason === "NewReplicaSetAvailable" || hasMoved(picture, counts);
  if ((late || stuckBefore) && !fresh) {
    const message = `ReplicaSet "${name}" has timed out progressing.`;
    return { type, status: "False", reason: "ProgressDeadlineExceeded", message };
  }
  return { type, status: "True", reason: "ReplicaSetUpdated", message: `ReplicaSet "${name}" is progressing.` };
}

function failure({ current }: DeploymentPicture): WorkloadCondition | undefined {
  const found = current?.status?.conditions?.find((condition) => condition.type === "ReplicaFailure");
  if (found?.status !== "True") return undefined;
  const { reason, message } = found;
  return {
    type: "ReplicaFailure",
    status: "True",
    ...(reason === undefined ? {} : { reason }),
    ...(message === undefined ? {} : { message }),
  };
}

function hasMoved({ deployment, current, all }: DeploymentPicture, counts: Counts): boolean {
  const before = deployment.status;
  const oldNow = all.filter((set) => set !== current).reduce((total, set) => total + (set.status?.replicas ?? 0), 0);
  const oldBefore = (before?.replicas ?? 0) - (before?.updatedReplicas ?? 0);
  return (
    counts.updatedReplicas > (before?.updatedReplicas ?? 0) ||
    oldNow < oldBefore ||
    counts.readyReplicas > (before?.readyReplicas ?? 0) ||
    counts.availableReplicas > (before?.availableReplicas ?? 0)
  );
}

function dated(
  condition: WorkloadCondition,
  previous: readonly WorkloadCondition[],
  { now, moved }: { readonly now: string; readonly moved: boolean },
): WorkloadCondition {
  const before = previous.find((other) => other.type === condition.type);
  const same = before?.status === condition.status && before.reason === condition.reason;
  const counts = condition.type === "Progressing" && moved;
  const updated = same && before.message === condition.message && !counts ? before.lastUpdateTime : undefined;
  const changed = before?.status === condition.status ? before.lastTransitionTime : undefined;
  return { ...condition, lastUpdateTime: updated ?? now, lastTransitionTime: changed ?? now };
}
