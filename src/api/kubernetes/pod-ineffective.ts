// Fields of a pod that the local cluster accepts without effect: the table that documentation is made of, and warnings.

import { type Issue, warningIssue } from "../issue.ts";
import type { PodSpec } from "./pod-spec.ts";

export interface PodIneffective {
  /** Of the pod's specification; `containers[]` stands for every container. */
  readonly field: string;
  readonly effect: string;
  /** Stands in so many manifests, and means so little on one's own machine, that a warning each time would be noise. */
  readonly quiet?: boolean;
}

export const podIneffective: readonly PodIneffective[] = [
  { field: "activeDeadlineSeconds", effect: "the pod runs on; a Job's own deadline holds" },
  { field: "dnsConfig", effect: "names are resolved as for every pod" },
  { field: "hostAliases", effect: "names come from the cluster's DNS and the machine's" },
  { field: "hostIPC", effect: "as without it" },
  { field: "hostNetwork", effect: "the pod has a network of its own" },
  { field: "hostPID", effect: "as without it" },
  { field: "readinessGates", effect: "the containers alone decide" },
  { field: "runtimeClassName", effect: "containers are processes of this machine" },
  { field: "setHostnameAsFQDN", effect: "the host name is the pod's" },
  { field: "shareProcessNamespace", effect: "each container has its own processes" },
  { field: "affinity", effect: "there is one node", quiet: true },
  { field: "imagePullSecrets", effect: "an image is a name for a command: nothing is pulled", quiet: true },
  { field: "priorityClassName", effect: "no pod makes room for another", quiet: true },
  { field: "securityContext", effect: "processes run as the user that runs weft", quiet: true },
  { field: "tolerations", effect: "the node has no taints", quiet: true },
  { field: "topologySpreadConstraints", effect: "there is one node", quiet: true },
  { field: "containers[].imagePullPolicy", effect: "nothing is pulled", quiet: true },
  { field: "containers[].securityContext", effect: "processes run as the user that runs weft", quiet: true },
  { field: "containers[].volumeDevices", effect: "there are no block devices" },
  { field: "containers[].resizePolicy", effect: "a change of resources makes a new pod" },
];

export function ineffectiveInPod(spec: PodSpec, path: string): Issue[] {
  return podIneffective.flatMap(({ field, effect, quiet }) => {
    if (quiet === true) return [];
    const inContainer = /^containers\[\]\.(.+)$/.exec(field)?.[1];
    const isSet =
      inContainer === undefined
        ? isGiven(Reflect.get(spec, field))
        : spec.containers.some((container) => isGiven(Reflect.get(container, inContainer)));
    return isSet ? [warningIssue(`${path}.${field}`, `has no effect on the local cluster: ${effect}`)] : [];
  });
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== false && value !== "";
}
