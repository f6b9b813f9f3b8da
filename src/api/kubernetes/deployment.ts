// Deployment: replicas of one pod template, replaced little by little when it changes.

import type { Static } from "typebox";
import { deepEqual } from "../../base/equal.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import {
  flag,
  int32,
  int64,
  labelSelector,
  mergeList,
  oneOf,
  retainKeys,
  struct,
  workloadCondition,
} from "./fields.ts";
import { podTemplate, rolloutBound } from "./pod-spec.ts";
import { checkWorkload, templateDefaults, workloadWideColumns } from "./workload.ts";

const strategy = retainKeys(
  struct(
    {},
    {
      type: oneOf("RollingUpdate", "Recreate"),
      rollingUpdate: struct({}, { maxSurge: rolloutBound, maxUnavailable: rolloutBound }),
    },
  ),
);

const deploymentSpec = struct(
  { selector: labelSelector, template: podTemplate },
  {
    replicas: int32,
    strategy,
    minReadySeconds: int32,
    revisionHistoryLimit: int32,
    paused: flag,
    progressDeadlineSeconds: int32,
  },
);
export type DeploymentSpec = Static<typeof deploymentSpec>;

const deploymentStatus = struct(
  {},
  {
    observedGeneration: int64,
    replicas: int32,
    updatedReplicas: int32,
    readyReplicas: int32,
    availableReplicas: int32,
    unavailableReplicas: int32,
    terminatingReplicas: int32,
    conditions: mergeList(workloadCondition, "type"),
    collisionCount: int32,
  },
);
export type DeploymentStatus = Static<typeof deploymentStatus>;

export interface Deployment extends KubeObject {
  readonly spec: DeploymentSpec;
  readonly status?: DeploymentStatus;
}

export const deploymentKind: Kind<Deployment> = {
  group: "apps",
  versions: ["v1"],
  kind: "Deployment",
  plural: "deployments",
  singular: "deployment",
  shortNames: ["deploy"],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status", "scale"],
  schema: struct({ spec: deploymentSpec }, { status: deploymentStatus }),
  columns: [
    nameColumn,
    {
      name: "Ready",
      type: "string",
      priority: 0,
      value: (object) => `${object.status?.readyReplicas ?? 0}/${object.spec.replicas ?? 1}`,
    },
    { name: "Up-to-date", type: "integer", priority: 0, value: (object) => object.status?.updatedReplicas ?? 0 },
    { name: "Available", type: "integer", priority: 0, value: (object) => object.status?.availableReplicas ?? 0 },
    ageColumn,
    ...workloadWideColumns,
  ],
  applyDefaults: (object) => ({
    ...object,
    spec: {
      replicas: 1,
      revisionHistoryLimit: 10,
      progressDeadlineSeconds: 600,
      ...object.spec,
      template: templateDefaults(object.spec.template),
      strategy: strategyDefaults(object.spec.strategy),
    },
  }),
  check: (object, previous) => {
    const issues = checkWorkload(object);
    if (previous !== undefined && !deepEqual(previous.spec.selector, object.spec.selector)) {
      issues.push(errorIssue("spec.selector", "field is immutable"));
    }
    return issues;
  },
};

function strategyDefaults(given: DeploymentSpec["strategy"]): NonNullable<DeploymentSpec["strategy"]> {
  if (given?.type === "Recreate") return given;
  return {
    ...given,
    type: "RollingUpdate",
    rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%", ...given?.rollingUpdate },
  };
}
