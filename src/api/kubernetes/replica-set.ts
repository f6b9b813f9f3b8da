// ReplicaSet: so many pods of one template, no more and no fewer.

import type { Static } from "typebox";
import { deepEqual } from "../../base/equal.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { int32, int64, labelSelector, mergeList, struct, workloadCondition } from "./fields.ts";
import { podTemplate } from "./pod-spec.ts";
import { checkWorkload, templateDefaults, workloadWideColumns } from "./workload.ts";

const replicaSetSpec = struct(
  { selector: labelSelector, template: podTemplate },
  { replicas: int32, minReadySeconds: int32 },
);
const replicaSetStatus = struct(
  {},
  {
    replicas: int32,
    fullyLabeledReplicas: int32,
    readyReplicas: int32,
    availableReplicas: int32,
    terminatingReplicas: int32,
    observedGeneration: int64,
    conditions: mergeList(workloadCondition, "type"),
  },
);
type ReplicaSetSpec = Static<typeof replicaSetSpec>;
export type ReplicaSetStatus = Static<typeof replicaSetStatus>;

export interface ReplicaSet extends KubeObject {
  readonly spec: ReplicaSetSpec;
  readonly status?: ReplicaSetStatus;
}

export const replicaSetKind: Kind<ReplicaSet> = {
  group: "apps",
  versions: ["v1"],
  kind: "ReplicaSet",
  plural: "replicasets",
  singular: "replicaset",
  shortNames: ["rs"],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status", "scale"],
  schema: struct({ spec: replicaSetSpec }, { status: replicaSetStatus }),
  columns: [
    nameColumn,
    { name: "Desired", type: "integer", priority: 0, value: (object) => object.spec.replicas ?? 1 },
    { name: "Current", type: "integer", priority: 0, value: (object) => object.status?.replicas ?? 0 },
    { name: "Ready", type: "integer", priority: 0, value: (object) => object.status?.readyReplicas ?? 0 },
    ageColumn,
    ...workloadWideColumns,
  ],
  applyDefaults: (object) => ({
    ...object,
    spec: { replicas: 1, ...object.spec, template: templateDefaults(object.spec.template) },
    status: { replicas: 0, ...object.status },
  }),
  check: (object, previous) => {
    const issues = checkWorkload(object);
    if (previous !== undefined && !deepEqual(previous.spec.selector, object.spec.selector)) {
      issues.push(errorIssue("spec.selector", "field is immutable"));
    }
    return issues;
  },
};
