// DaemonSet: one pod on every node; here there is one node.

import type { Static } from "typebox";
import { deepEqual } from "../../base/equal.ts";
import { ageColumn, mapCell, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { int32, int64, intOrString, labelSelector, mergeList, oneOf, struct, workloadCondition } from "./fields.ts";
import { podTemplate } from "./pod-spec.ts";
import { checkWorkload, templateDefaults, workloadWideColumns } from "./workload.ts";

const daemonSetSpec = struct(
  { selector: labelSelector, template: podTemplate },
  {
    updateStrategy: struct(
      {},
      {
        type: oneOf("RollingUpdate", "OnDelete"),
        rollingUpdate: struct({}, { maxSurge: intOrString, maxUnavailable: intOrString }),
      },
    ),
    minReadySeconds: int32,
    revisionHistoryLimit: int32,
  },
);
const daemonSetStatus = struct(
  {},
  {
    observedGeneration: int64,
    currentNumberScheduled: int32,
    desiredNumberScheduled: int32,
    numberMisscheduled: int32,
    numberReady: int32,
    numberAvailable: int32,
    numberUnavailable: int32,
    updatedNumberScheduled: int32,
    collisionCount: int32,
    conditions: mergeList(workloadCondition, "type"),
  },
);
export type DaemonSetStatus = Static<typeof daemonSetStatus>;

export interface DaemonSet extends KubeObject {
  readonly spec: Static<typeof daemonSetSpec>;
  readonly status?: DaemonSetStatus;
}

function count(name: string, field: Exclude<keyof DaemonSetStatus, "conditions">): Column<DaemonSet> {
  return { name, type: "integer", priority: 0, value: ({ status }) => status?.[field] ?? 0 };
}

export const daemonSetKind: Kind<DaemonSet> = {
  group: "apps",
  versions: ["v1"],
  kind: "DaemonSet",
  plural: "daemonsets",
  singular: "daemonset",
  shortNames: ["ds"],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status"],
  summary: "DaemonSet represents the configuration of a daemon set: one pod on every node.",
  schema: struct({ spec: daemonSetSpec }, { status: daemonSetStatus }),
  columns: [
    nameColumn,
    count("Desired", "desiredNumberScheduled"),
    count("Current", "currentNumberScheduled"),
    count("Ready", "numberReady"),
    count("Up-to-date", "updatedNumberScheduled"),
    count("Available", "numberAvailable"),
    {
      name: "Node Selector",
      type: "string",
      priority: 0,
      value: ({ spec }) => mapCell(spec.template.spec?.nodeSelector),
    },
    ageColumn,
    ...workloadWideColumns,
  ],
  applyDefaults: (set) => ({
    ...set,
    spec: {
      revisionHistoryLimit: 10,
      ...set.spec,
      updateStrategy:
        set.spec.updateStrategy?.type === "OnDelete"
          ? set.spec.updateStrategy
          : {
              ...set.spec.updateStrategy,
              type: "RollingUpdate",
              rollingUpdate: { maxSurge: 0, maxUnavailable: 1, ...set.spec.updateStrategy?.rollingUpdate },
            },
      template: templateDefaults(set.spec.template),
    },
  }),
  check: (set, previous) => {
    const issues = checkWorkload(set);
    if (previous !== undefined && !deepEqual(previous.spec.selector, set.spec.selector)) {
      issues.push(errorIssue("spec.selector", "field is immutable"));
    }
    return issues;
  },
};
