// A pod's status from what its containers do (pure).

import type { ContainerStatus } from "../api/kubernetes/container.ts";
import type { WorkloadCondition } from "../api/kubernetes/fields.ts";
import type { Pod, PodStatus } from "../api/kubernetes/pod.ts";

export interface PodPicture {
  readonly pod: Pod;
  readonly podIP: string | undefined;
  readonly nodeIP: string;
  readonly startTime: string;
  readonly now: string;
  readonly initialized: boolean;
  readonly initContainers: readonly PictureContainer[];
  readonly containers: readonly PictureContainer[];
}

export interface PictureContainer {
  readonly status: ContainerStatus;
  /** It will not run again. */
  readonly finished: boolean;
  /** It serves the others: when they are finished, how it ended decides nothing. */
  readonly helper: boolean;
}

export function podStatusOf(picture: PodPicture): PodStatus {
  const { pod } = picture;
  const phase = phaseOf(picture);
  const unready = picture.containers.filter(({ status }) => !status.ready).map(({ status }) => status.name);
  const completed = phase === "Succeeded";
  const readiness = unreadyCondition(unready, completed);
  const uninitialized = picture.initContainers.filter(({ finished }) => !finished).map(({ status }) => status.name);
  const wanted: readonly WorkloadCondition[] = [
    { type: "PodReadyToStartContainers", status: picture.podIP === undefined ? "False" : "True" },
    picture.initialized
      ? { type: "Initialized", status: "True", ...(completed ? { reason: "PodCompleted" } : {}) }
      : {
          type: "Initialized",
          status: "False",
          reason: "ContainersNotInitialized",
          message: `containers with incomplete status: [${uninitialized.join(" ")}]`,
        },
    { type: "Ready", ...readiness },
    { type: "ContainersReady", ...readiness },
    { type: "PodScheduled", status: "True" },
  ];
  const address = picture.podIP;
  return {
    ...(pod.status?.qosClass === undefined ? {} : { qosClass: pod.status.qosClass }),
    ...(pod.metadata.generation === undefined ? {} : { observedGeneration: pod.metadata.generation }),
    phase,
    conditions: mergeConditions(pod.status?.conditions ?? [], wanted, picture.now),
    hostIP: picture.nodeIP,
    hostIPs: [{ ip: picture.nodeIP }],
    ...(address === undefined ? {} : { podIP: address, podIPs: [{ ip: address }] }),
    startTime: picture.startTime,
    ...(picture.initContainers.length === 0
      ? {}
      : { initContainerStatuses: picture.initContainers.map(({ status }) => status) }),
    containerStatuses: picture.containers.map(({ status }) => status),
  };
}

function phaseOf(picture: PodPicture): NonNullable<PodStatus["phase"]> {
  const failedInit = picture.initContainers.some(({ status, finished, helper }) => {
    return finished && !helper && (status.state?.terminated?.exitCode ?? 0) !== 0;
  });
  if (failedInit) return "Failed";
  if (!picture.initialized) return "Pending";
  const deciding = picture.containers.filter(({ helper }) => !helper);
  const counted = deciding.length === 0 ? picture.containers : deciding;
  if (counted.every(({ finished }) => finished)) {
    const failed = counted.some(({ status }) => status.state?.terminated?.exitCode !== 0);
    return failed ? "Failed" : "Succeeded";
  }
  const neverRan = picture.containers.some(
    ({ status }) => status.state?.waiting !== undefined && status.lastState?.terminated === undefined,
  );
  return neverRan ? "Pending" : "Running";
}

function unreadyCondition(unready: readonly string[], completed: boolean): Omit<WorkloadCondition, "type"> {
  if (completed) return { status: "False", reason: "PodCompleted" };
  if (unready.length === 0) return { status: "True" };
  return {
    status: "False",
    reason: "ContainersNotReady",
    message: `containers with unready status: [${unready.join(" ")}]`,
  };
}

/** Keeps the time of the last change where nothing changed, and the conditions of others. */
function mergeConditions(
  previous: readonly WorkloadCondition[],
  wanted: readonly WorkloadCondition[],
  now: string,
): readonly WorkloadCondition[] {
  const merged = wanted.map((condition) => {
    const before = previous.find((other) => other.type === condition.type);
    const since = before?.status === condition.status ? before.lastTransitionTime : undefined;
    return { ...condition, lastTransitionTime: since ?? now };
  });
  return [...merged, ...previous.filter((other) => !wanted.some((condition) => condition.type === other.type))];
}
