// All controllers of the local cluster together.

import type { KubeClient } from "../api/client.ts";
import { kubernetesKinds } from "../api/kubernetes/kinds.ts";
import type { Clock } from "../base/clock.ts";
import { type Random, systemRandom } from "../base/random.ts";
import type { ChangingKinds, Controller, ControllerContext } from "./controller.ts";
import { startCronJobs } from "./cron-job.ts";
import { startDaemonSets } from "./daemon-set.ts";
import { startDeployments } from "./deployment.ts";
import { startEndpointSlices } from "./endpoint-slice.ts";
import { EventRecorder } from "./events.ts";
import { startGarbageCollection } from "./garbage.ts";
import { startJobs } from "./job.ts";
import { startNamespaces } from "./namespace.ts";
import { startReplicaSets } from "./replica-set.ts";
import { startScheduler } from "./scheduler.ts";
import { startServiceAccounts } from "./service-account.ts";
import { startStatefulSets } from "./stateful-set.ts";
import { startVolumeClaims } from "./volume-claim.ts";
import type { WorkQueueOptions } from "./work-queue.ts";

export interface ControllersOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Where every pod is scheduled to. */
  readonly nodeName: string;
  /** Kinds beyond the built-in ones, as they are at the moment: a deleted namespace is emptied of them too. */
  readonly kinds?: ChangingKinds;
  readonly random?: Random;
  /** A key could not be brought to its wanted state; it is tried again. For the log. */
  readonly onFailure?: WorkQueueOptions["onFailure"];
}

export interface Controllers {
  close(): Promise<void>;
}

export function startControllers(options: ControllersOptions): Controllers {
  const contextFor = (component: string): ControllerContext => ({
    client: options.client,
    clock: options.clock,
    random: options.random ?? systemRandom,
    events: new EventRecorder(options.client, options.clock, { component }),
    onFailure: options.onFailure ?? (() => undefined),
  });
  const kinds: ChangingKinds = options.kinds ?? { kinds: kubernetesKinds, onChange: () => () => undefined };
  const running: readonly Controller[] = [
    startServiceAccounts(contextFor("serviceaccount-controller")),
    startNamespaces(contextFor("namespace-controller"), kinds),
    startGarbageCollection(contextFor("garbage-collector"), kinds),
    startDeployments(contextFor("deployment-controller")),
    startReplicaSets(contextFor("replicaset-controller")),
    startStatefulSets(contextFor("statefulset-controller")),
    startDaemonSets(contextFor("daemonset-controller"), options.nodeName),
    startJobs(contextFor("job-controller")),
    startCronJobs(contextFor("cronjob-controller")),
    startVolumeClaims(contextFor("persistentvolume-controller")),
    startEndpointSlices(contextFor("endpointslice-controller")),
    startScheduler(contextFor("default-scheduler"), options.nodeName),
  ];
  return {
    close: async () => {
      await Promise.all(running.map((controller) => controller.close()));
    },
  };
}
