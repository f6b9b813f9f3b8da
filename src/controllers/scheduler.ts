// The scheduler of a cluster with one node: every pod goes there.

import { nodeKind } from "../api/kubernetes/node.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { matchesSelector } from "../api/kubernetes/selector-match.ts";
import { type Controller, type ControllerContext, failed, isRace, runController } from "./controller.ts";
import { SCHEDULE_RETRY_MS } from "./limits.ts";
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
  const hindrance = await hindranceOf(pod, context, nodeName);
  if (hindrance !== undefined) {
    const message = `0/1 nodes are available: 1 node(s) ${hindrance}.`;
    context.events.record({ about: pod, type: "Warning", reason: "FailedScheduling", message });
    return { kind: "again", afterMs: SCHEDULE_RETRY_MS };
  }
  const bound = await client.mergePatch(podKind, refOf(key), { body: { spec: { nodeName } } });
  if (!bound.ok) return bound.error.code === 404 ? DONE : failed("binding the pod", bound.error);
  const message = `Successfully assigned ${key} to ${nodeName}`;
  context.events.record({ about: pod, type: "Normal", reason: "Scheduled", message });
  return DONE;
}

/** Why the node can't have the pod; a node that has not registered yet has every pod. */
async function hindranceOf(pod: Pod, { client }: ControllerContext, nodeName: string): Promise<string | undefined> {
  const node = await client.get(nodeKind, { name: nodeName });
  if (!node.ok) return undefined;
  if (node.value.spec?.unschedulable === true) return "were unschedulable";
  const matchLabels = pod.spec.nodeSelector ?? {};
  return matchesSelector({ matchLabels }, node.value.metadata.labels)
    ? undefined
    : "didn't match the pod's node selector";
}
