// What the controllers ask of a pod.

import type { Pod } from "../api/kubernetes/pod.ts";

export function isReady(pod: Pod): boolean {
  return readyCondition(pod)?.status === "True";
}

/** Neither finished nor on its way out. */
export function isActive(pod: Pod): boolean {
  return pod.metadata.deletionTimestamp === undefined && !isFinished(pod);
}

export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
}

/** Milliseconds until the pod has been ready long enough; 0 when it is available, undefined while it isn't ready. */
export function availableInMs(pod: Pod, minReadySeconds: number, nowMs: number): number | undefined {
  const condition = readyCondition(pod);
  if (condition?.status !== "True") return undefined;
  if (minReadySeconds === 0) return 0;
  const sinceMs = Date.parse(condition.lastTransitionTime ?? "");
  return Number.isNaN(sinceMs) ? undefined : Math.max(0, sinceMs + minReadySeconds * 1000 - nowMs);
}

function readyCondition(pod: Pod) {
  return pod.status?.conditions?.find((condition) => condition.type === "Ready");
}
