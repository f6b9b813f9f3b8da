// The scheduler of a cluster with one node: every pod goes there.

import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { keyOf, refOf } from "./owner.ts";
import { DONE, type Outcome } from "./work-queue.ts";

export function startScheduler(context: ControllerContext, nodeName: string): Controller {
  return runController(context, {
    name: "scheduler",
    feed: (feed) => {
      feed.watch(podKind, (pod, change) => (change !== "deleted" && needsNode(pod) ? [keyOf(pod)] : []));
    },
    reconcile: (key) => reconcile(key, context, nodeName),
  });
}

function needsNode(pod: Pod): boolean {
  return (pod.spec.nodeName ?? "") === "";
}

async function reconcile(key: string, context: ControllerContext, nodeName: string): Promise<Outcome> {
  const { client } = context;
  const found = await client.get(podKind, refOf(key));
  if (!found.ok) return found.error.code === 404 ? DONE : failed("reading the pod", found.error);
  const pod = found.value;
  if (!needsNode(pod)) return DONE;
  if (pod.metadata.deletionTimestamp !== undefined) {
    // No node will ever end what none has begun.
    const removed = await client.remove(podKind, refOf(key), { gracePeriodSeconds: 0 });
    return removed.ok || isRace(removed.error) ? DONE : failed("removing a pod without a node", removed.error);
  }
  if ((pod.spec.schedulingGates ?? []).length > 0) return DONE;
  const bound = await client.mergePatch(podKind, refOf(key), { body: { spec: { nodeName } } });
  if (!bound.ok) return bound.error.code === 404 ? DONE : failed("binding the pod", bound.error);
  const message = `Successfully assigned ${key} to ${nodeName}`;
  context.events.record({ about: pod, type: "Normal", reason: "Scheduled", message });
  return DONE;
}
