// StatefulSet: pods with names that stay, one after the other.

import type { Static } from "typebox";
import { deepEqual } from "../../base/equal.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import {
  int32,
  int64,
  intOrString,
  labelSelector,
  list,
  mergeList,
  oneOf,
  struct,
  text,
  workloadCondition,
} from "./fields.ts";
import { claimTemplate } from "./persistent-volume-claim.ts";
import { podTemplate } from "./pod-spec.ts";
import { checkWorkload, templateColumns, templateDefaults } from "./workload.ts";

const statefulSetSpec = struct(
  { selector: labelSelector, template: podTemplate },
  {
    serviceName: text,
    replicas: int32,
    podManagementPolicy: oneOf("OrderedReady", "Parallel"),
    updateStrategy: struct(
      {},
      {
        type: oneOf("RollingUpdate", "OnDelete"),
        rollingUpdate: struct({}, { partition: int32, maxUnavailable: intOrString }),
      },
    ),
    revisionHistoryLimit: int32,
    minReadySeconds: int32,
    volumeClaimTemplates: list(claimTemplate),
    persistentVolumeClaimRetentionPolicy: struct({}, { whenDeleted: text, whenScaled: text }),
    ordinals: struct({}, { start: int32 }),
  },
);
const statefulSetStatus = struct(
  {},
  {
    observedGeneration: int64,
    replicas: int32,
    readyReplicas: int32,
    availableReplicas: int32,
    currentReplicas: int32,
    updatedReplicas: int32,
    currentRevision: text,
    updateRevision: text,
    collisionCount: int32,
    conditions: mergeList(workloadCondition, "type"),
  },
);
export type StatefulSetStatus = Static<typeof statefulSetStatus>;

export interface StatefulSet extends KubeObject {
  readonly spec: Static<typeof statefulSetSpec>;
  readonly status?: StatefulSetStatus;
}

export const statefulSetKind: Kind<StatefulSet> = {
  group: "apps",
  versions: ["v1"],
  kind: "StatefulSet",
  plural: "statefulsets",
  singular: "statefulset",
  shortNames: ["sts"],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status", "scale"],
  summary: "StatefulSet represents a set of pods with consistent identities: a stable name, DNS name and storage.",
  schema: struct({ spec: statefulSetSpec }, { status: statefulSetStatus }),
  columns: [
    nameColumn,
    {
      name: "Ready",
      type: "string",
      priority: 0,
      value: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec.replicas ?? 1}`,
    },
    ageColumn,
    ...templateColumns,
  ] satisfies readonly Column<StatefulSet>[],
  applyDefaults: (set) => ({
    ...set,
    spec: {
      replicas: 1,
      podManagementPolicy: "OrderedReady",
      revisionHistoryLimit: 10,
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
      ...set.spec,
      updateStrategy:
        set.spec.updateStrategy?.type === "OnDelete"
          ? set.spec.updateStrategy
          : {
              ...set.spec.updateStrategy,
              type: "RollingUpdate",
              rollingUpdate: { partition: 0, ...set.spec.updateStrategy?.rollingUpdate },
            },
      template: templateDefaults(set.spec.template),
    },
  }),
  check: (set, previous) => {
    // Claims of the set are volumes of its pods without standing in the template.
    const claims = (set.spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata?.name ?? "");
    const issues = checkWorkload(set, claims);
    if (previous === undefined) return issues;
    for (const field of ["selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"] as const) {
      if (!deepEqual(previous.spec[field], set.spec[field])) {
        issues.push(errorIssue(`spec.${field}`, "field is immutable: updates to it are forbidden", "immutable"));
      }
    }
    return issues;
  },
};
