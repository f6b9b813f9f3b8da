// Node: a machine that runs pods.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import {
  anything,
  flag,
  int32,
  int64,
  list,
  mergeList,
  mergeSet,
  quantities,
  struct,
  text,
  texts,
  time,
  workloadCondition,
} from "./fields.ts";

const taint = struct({ key: text, effect: text }, { value: text, timeAdded: time });
const nodeSpec = struct(
  {},
  {
    podCIDR: text,
    podCIDRs: mergeSet(text),
    providerID: text,
    unschedulable: flag,
    taints: list(taint),
    configSource: anything,
    externalID: text,
  },
);
const nodeInfo = struct(
  {},
  {
    machineID: text,
    systemUUID: text,
    bootID: text,
    kernelVersion: text,
    osImage: text,
    containerRuntimeVersion: text,
    kubeletVersion: text,
    kubeProxyVersion: text,
    operatingSystem: text,
    architecture: text,
    swap: struct({}, { capacity: int64 }),
  },
);
const nodeStatus = struct(
  {},
  {
    capacity: quantities,
    allocatable: quantities,
    phase: text,
    conditions: mergeList(workloadCondition, "type"),
    addresses: mergeList(struct({ type: text, address: text }, {}), "type"),
    daemonEndpoints: struct({}, { kubeletEndpoint: struct({}, { Port: int32 }) }),
    nodeInfo,
    images: list(struct({}, { names: texts, sizeBytes: int64 })),
    volumesInUse: texts,
    volumesAttached: list(anything),
    config: anything,
    runtimeHandlers: list(anything),
    features: anything,
    declaredFeatures: texts,
  },
);
type NodeStatus = Static<typeof nodeStatus>;

export interface Node extends KubeObject {
  readonly spec?: Static<typeof nodeSpec>;
  readonly status?: NodeStatus;
}

const ROLE_LABEL = "node-role.kubernetes.io/";

const columns: readonly Column<Node>[] = [
  nameColumn,
  { name: "Status", type: "string", priority: 0, value: readiness },
  { name: "Roles", type: "string", priority: 0, value: roles },
  ageColumn,
  { name: "Version", type: "string", priority: 0, value: (node) => node.status?.nodeInfo?.kubeletVersion ?? "" },
  { name: "Internal-IP", type: "string", priority: 1, value: (node) => address(node, "InternalIP") },
  { name: "External-IP", type: "string", priority: 1, value: (node) => address(node, "ExternalIP") },
  { name: "OS-Image", type: "string", priority: 1, value: (node) => node.status?.nodeInfo?.osImage ?? "<unknown>" },
  {
    name: "Kernel-Version",
    type: "string",
    priority: 1,
    value: (node) => node.status?.nodeInfo?.kernelVersion ?? "<unknown>",
  },
  {
    name: "Container-Runtime",
    type: "string",
    priority: 1,
    value: (node) => node.status?.nodeInfo?.containerRuntimeVersion ?? "<unknown>",
  },
];

function readiness(node: Node): string {
  const ready = node.status?.conditions?.find((condition) => condition.type === "Ready");
  const word = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return node.spec?.unschedulable === true ? `${word},SchedulingDisabled` : word;
}

function roles(node: Node): string {
  const names = Object.keys(node.metadata.labels ?? {})
    .filter((label) => label.startsWith(ROLE_LABEL))
    .map((label) => label.slice(ROLE_LABEL.length))
    .sort();
  return names.length === 0 ? "<none>" : names.join(",");
}

function address(node: Node, type: string): string {
  return node.status?.addresses?.find((entry) => entry.type === type)?.address ?? "<none>";
}

export const nodeKind: Kind<Node> = {
  group: "",
  versions: ["v1"],
  kind: "Node",
  plural: "nodes",
  singular: "node",
  shortNames: ["no"],
  categories: [],
  namespaced: false,
  origin: "builtin",
  subresources: ["status"],
  schema: struct({}, { spec: nodeSpec, status: nodeStatus }),
  columns,
  applyDefaults: (node) => ({ ...node, spec: { ...node.spec }, status: { ...node.status } }),
};
