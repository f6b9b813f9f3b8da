// How many pods each version of a Deployment should have next (pure).

import type { Deployment } from "../api/kubernetes/deployment.ts";

export interface Version {
  readonly name: string;
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
  /** Pods that still exist, those on their way out too. */
  readonly existingPods: number;
}

export interface RolloutBounds {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

export function boundsOf(deployment: Deployment): RolloutBounds {
  const replicas = deployment.spec.replicas ?? 1;
  const { maxSurge, maxUnavailable } = deployment.spec.strategy?.rollingUpdate ?? {};
  const surge = amountOf(maxSurge ?? "25%", replicas, Math.ceil);
  const unavailable = Math.min(replicas, amountOf(maxUnavailable ?? "25%", replicas, Math.floor));
  // With neither, nothing could ever move.
  return { maxSurge: surge, maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable };
}

function amountOf(bound: number | string, replicas: number, round: (value: number) => number): number {
  if (typeof bound === "number") return bound;
  const percent = /^(\d+)%$/.exec(bound)?.[1];
  if (percent !== undefined) return round((Number(percent) / 100) * replicas);
  return Number.isInteger(Number(bound)) ? Number(bound) : 0;
}

export interface RolloutInput {
  readonly replicas: number;
  readonly strategy: "RollingUpdate" | "Recreate";
  readonly bounds: RolloutBounds;
  readonly current: Version;
  /** The oldest first. */
  readonly old: readonly Version[];
}

/** Names of versions and the replicas they should have; versions that stay as they are don't appear. */
export function planRollout(input: RolloutInput): ReadonlyMap<string, number> {
  return input.strategy === "Recreate" ? planRecreate(input) : planRolling(input);
}

function planRecreate({ replicas, current, old }: RolloutInput): ReadonlyMap<string, number> {
  const plan = new Map(old.filter((version) => version.replicas > 0).map((version) => [version.name, 0]));
  const oldIsGone = old.every((version) => version.existingPods === 0);
  if (plan.size === 0 && oldIsGone && current.replicas !== replicas) plan.set(current.name, replicas);
  return plan;
}

function planRolling(input: RolloutInput): ReadonlyMap<string, number> {
  const { replicas, bounds, current, old } = input;
  const total = sum([current, ...old], (version) => version.replicas);
  if (current.replicas > replicas) return new Map([[current.name, replicas]]);
  if (current.replicas < replicas) {
    const room = replicas + bounds.maxSurge - total;
    const grow = Math.min(room, replicas - current.replicas);
    if (grow > 0) return new Map([[current.name, current.replicas + grow]]);
  }
  return shrinkOld(input, total);
}

function shrinkOld({ replicas, bounds, current, old }: RolloutInput, total: number): ReadonlyMap<string, number> {
  const minAvailable = replicas - bounds.maxUnavailable;
  const missing = current.replicas - current.availableReplicas;
  let removable = total - minAvailable - missing;
  const plan = new Map<string, number>();
  if (removable <= 0) return plan;
  for (const version of old) {
    // Pods that serve nobody go first: their end costs nothing.
    const unhealthy = Math.max(0, version.replicas - version.availableReplicas);
    const cut = Math.min(removable, unhealthy);
    if (cut <= 0) continue;
    plan.set(version.name, version.replicas - cut);
    removable -= cut;
  }
  let spare = sum([current, ...old], (version) => version.availableReplicas) - minAvailable;
  for (const version of old) {
    const left = plan.get(version.name) ?? version.replicas;
    const cut = Math.min(left, spare, removable);
    if (cut <= 0) continue;
    plan.set(version.name, left - cut);
    spare -= cut;
    removable -= cut;
  }
  return plan;
}

function sum(versions: readonly Version[], amount: (version: Version) => number): number {
  return versions.reduce((total, version) => total + amount(version), 0);
}
