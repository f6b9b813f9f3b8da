// Pods of an earlier run, made for another mode or other ports: a pod's environment can't be changed, so they are made anew.

import type { KubeClient } from "../api/client.ts";
import { type Pod, podKind } from "../api/kubernetes/pod.ts";
import { deepEqual } from "../base/equal.ts";
import type { InjectOptions } from "../inject/options.ts";
import { injectPod, isInjected, workloadOfPod } from "../inject/pod.ts";

/** Before the node and the controllers start. A pod of a controller is made again by it, any other one here. */
export async function renewPods(client: KubeClient, options: InjectOptions): Promise<void> {
  const pods = await client.list<Pod>(podKind);
  if (!pods.ok) return;
  for (const pod of pods.value) {
    const plain = { ...pod };
    if (!isInjected(plain) || pod.metadata.deletionTimestamp !== undefined) continue;
    const namespace = pod.metadata.namespace ?? "default";
    const adapted = injectPod(plain, workloadOfPod(plain, namespace), options).pod;
    if (deepEqual(adapted["spec"], pod.spec)) continue;
    const ref = { namespace, name: pod.metadata.name };
    const removed = await client.remove(podKind, ref, { gracePeriodSeconds: 0 });
    const isOwned = pod.metadata.ownerReferences?.some((owner) => owner.controller === true) ?? false;
    if (!removed.ok || isOwned) continue;
    const { nodeName: _node, ...spec } = pod.spec;
    const { name, labels = {}, annotations = {} } = pod.metadata;
    // Admission fits the sidecar to this cluster, as it does for a pod that was injected elsewhere.
    await client.create<Pod>(podKind, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace, labels, annotations },
      spec,
    });
  }
}
