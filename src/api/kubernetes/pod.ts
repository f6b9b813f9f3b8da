// Pod: what runs. Its columns are those of `kubectl get pods`.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { type ContainerStatus, containerStatus, resources } from "./container.ts";
import { int64, list, mergeList, oneOf, struct, text, time, workloadCondition } from "./fields.ts";
import { checkPodSpec, checkPodUpdate } from "./pod-check.ts";
import { podSpecDefaults } from "./pod-defaults.ts";
import { describePod } from "./pod-print.ts";
import { type PodSpec, podSpec } from "./pod-spec.ts";

const podStatus = struct(
  {},
  {
    phase: oneOf("Pending", "Running", "Succeeded", "Failed", "Unknown"),
    conditions: mergeList(workloadCondition, "type"),
    message: text,
    reason: text,
    nominatedNodeName: text,
    hostIP: text,
    hostIPs: mergeList(struct({}, { ip: text }), "ip"),
    podIP: text,
    podIPs: mergeList(struct({}, { ip: text }), "ip"),
    startTime: time,
    initContainerStatuses: list(containerStatus),
    containerStatuses: list(containerStatus),
    ephemeralContainerStatuses: list(containerStatus),
    qosClass: oneOf("Guaranteed", "Burstable", "BestEffort"),
    resize: text,
    observedGeneration: int64,
    resourceClaimStatuses: mergeList(struct({ name: text }, { resourceClaimName: text }), "name"),
    resources,
  },
);
export type PodStatus = Static<typeof podStatus>;

export interface Pod extends KubeObject {
  readonly spec: PodSpec;
  readonly status?: PodStatus;
}

const columns: readonly Column<Pod>[] = [
  nameColumn,
  { name: "Ready", type: "string", priority: 0, value: (pod) => describePod(pod).ready },
  { name: "Status", type: "string", priority: 0, value: (pod) => describePod(pod).status },
  { name: "Restarts", type: "string", priority: 0, value: (pod) => describePod(pod).restarts },
  ageColumn,
  { name: "IP", type: "string", priority: 1, value: (pod) => pod.status?.podIP ?? "<none>" },
  { name: "Node", type: "string", priority: 1, value: (pod) => pod.spec.nodeName ?? "<none>" },
  { name: "Nominated Node", type: "string", priority: 1, value: (pod) => pod.status?.nominatedNodeName ?? "<none>" },
  { name: "Readiness Gates", type: "string", priority: 1, value: readinessGates },
];

function readinessGates(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? [];
  if (gates.length === 0) return "<none>";
  const conditions = pod.status?.conditions ?? [];
  const holding = gates.filter((gate) =>
    conditions.some((condition) => condition.type === gate.conditionType && condition.status === "True"),
  );
  return `${holding.length}/${gates.length}`;
}

export const podKind: Kind<Pod> = {
  group: "",
  versions: ["v1"],
  kind: "Pod",
  plural: "pods",
  singular: "pod",
  shortNames: ["po"],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status", "log", "exec", "attach", "portforward"],
  schema: struct({ spec: podSpec }, { status: podStatus }),
  columns,
  applyDefaults: (pod) => {
    const account = pod.spec.serviceAccountName ?? pod.spec.serviceAccount ?? "default";
    return {
      ...pod,
      spec: {
        enableServiceLinks: true,
        priority: 0,
        preemptionPolicy: "PreemptLowerPriority",
        ...withRequests(podSpecDefaults({ ...pod.spec, serviceAccountName: account })),
        tolerations: pod.spec.tolerations ?? defaultTolerations,
      },
      status: { phase: "Pending", qosClass: qosClassOf(pod.spec), ...pod.status },
    };
  },
  check: (pod, previous) => {
    if (previous !== undefined) return checkPodUpdate(pod.spec, previous.spec);
    const issues = checkPodSpec(pod.spec, "spec");
    if (pod.status?.containerStatuses !== undefined) {
      issues.push(errorIssue("status.containerStatuses", "a new pod has no containers yet", "immutable"));
    }
    return issues;
  },
};

const defaultTolerations = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"].map((key) => ({
  key,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: 300,
}));

/** A limit without a request is the request too. */
function withRequests(spec: PodSpec): PodSpec {
  const fill = (container: PodSpec["containers"][number]): PodSpec["containers"][number] => {
    const limits = container.resources?.limits;
    if (limits === undefined) return container;
    return {
      ...container,
      resources: { ...container.resources, requests: { ...limits, ...container.resources?.requests } },
    };
  };
  return {
    ...spec,
    containers: spec.containers.map(fill),
    ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(fill) }),
  };
}

function qosClassOf(spec: PodSpec): "Guaranteed" | "Burstable" | "BestEffort" {
  const containers = [...spec.containers, ...(spec.initContainers ?? [])];
  const amounts = containers.map((container) => container.resources ?? {});
  const isEmpty = (map: Readonly<Record<string, string>> | undefined): boolean =>
    map === undefined || (map["cpu"] === undefined && map["memory"] === undefined);
  if (amounts.every((amount) => isEmpty(amount.limits) && isEmpty(amount.requests))) return "BestEffort";
  const guaranteed = amounts.every(({ limits, requests }) =>
    ["cpu", "memory"].every(
      (resource) => limits?.[resource] !== undefined && (requests?.[resource] ?? limits[resource]) === limits[resource],
    ),
  );
  return guaranteed ? "Guaranteed" : "Burstable";
}

/** The status of one container of a pod, whichever list it is in. */
export function statusOf(pod: Pod, container: string): ContainerStatus | undefined {
  const status = pod.status;
  return [...(status?.containerStatuses ?? []), ...(status?.initContainerStatuses ?? [])].find(
    (entry) => entry.name === container,
  );
}
