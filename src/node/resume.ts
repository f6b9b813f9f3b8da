// Where a container goes on after the node itself was started again.

import type { ContainerStateTerminated } from "../api/kubernetes/container.ts";
import { type Pod, statusOf } from "../api/kubernetes/pod.ts";

export interface Resumed {
  readonly restartCount: number;
  readonly last: ContainerStateTerminated | undefined;
}

/** A container that had run before counts one restart more; how its last run ended is not known if nobody saw it. */
export function resumeOf(pod: Pod, container: string, now: string): Resumed {
  const before = statusOf(pod, container);
  const { running, terminated } = before?.state ?? {};
  const lastSeen = terminated ?? before?.lastState?.terminated;
  if (before === undefined || (running === undefined && lastSeen === undefined))
    return { restartCount: 0, last: undefined };
  const unseen = {
    exitCode: 255,
    reason: "Unknown",
    message: "the node was restarted",
    ...(running?.startedAt === undefined ? {} : { startedAt: running.startedAt }),
    finishedAt: now,
  };
  return { restartCount: before.restartCount + 1, last: running === undefined ? lastSeen : unseen };
}
