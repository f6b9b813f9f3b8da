// HorizontalPodAutoscaler and PodDisruptionBudget, as objects: with one node and no autoscaler they are only kept.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { anything, int32, intOrString, labelSelector, list, struct, text } from "./fields.ts";

const autoscalerSpec = struct(
  { scaleTargetRef: struct({ kind: text, name: text }, { apiVersion: text }), maxReplicas: int32 },
  { minReplicas: int32, metrics: list(anything), behavior: anything },
);

export interface HorizontalPodAutoscaler extends KubeObject {
  readonly spec: Static<typeof autoscalerSpec>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export const horizontalPodAutoscalerKind: Kind<HorizontalPodAutoscaler> = {
  group: "autoscaling",
  versions: ["v2"],
  kind: "HorizontalPodAutoscaler",
  plural: "horizontalpodautoscalers",
  singular: "horizontalpodautoscaler",
  shortNames: ["hpa"],
  categories: ["all"],
  namespaced: true,
  origin: "builtin",
  subresources: ["status"],
  keptOnly: "nothing on the local cluster scales by a HorizontalPodAutoscaler",
  summary: "HorizontalPodAutoscaler scales the pods of a workload to the measures it names.",
  schema: struct({ spec: autoscalerSpec }, { status: anything }),
  columns: [
    nameColumn,
    {
      name: "Reference",
      type: "string",
      priority: 0,
      value: ({ spec }) => `${spec.scaleTargetRef.kind}/${spec.scaleTargetRef.name}`,
    },
    { name: "Targets", type: "string", priority: 0, value: () => "<unknown>" },
    { name: "MinPods", type: "string", priority: 0, value: ({ spec }) => String(spec.minReplicas ?? "<unset>") },
    { name: "MaxPods", type: "integer", priority: 0, value: ({ spec }) => spec.maxReplicas },
    { name: "Replicas", type: "integer", priority: 0, value: () => 0 },
    ageColumn,
  ] satisfies readonly Column<HorizontalPodAutoscaler>[],
  applyDefaults: (object) => ({ ...object, spec: { minReplicas: 1, ...object.spec } }),
  check: ({ spec }) => {
    const issues: Issue[] = [];
    if (spec.maxReplicas < Math.max(1, spec.minReplicas ?? 1)) {
      issues.push(errorIssue("spec.maxReplicas", "must be greater than or equal to `minReplicas`"));
    }
    return issues;
  },
};

const budgetSpec = struct(
  {},
  { minAvailable: intOrString, maxUnavailable: intOrString, selector: labelSelector, unhealthyPodEvictionPolicy: text },
);

export interface PodDisruptionBudget extends KubeObject {
  readonly spec?: Static<typeof budgetSpec>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export const podDisruptionBudgetKind: Kind<PodDisruptionBudget> = {
  group: "policy",
  versions: ["v1"],
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  singular: "poddisruptionbudget",
  shortNames: ["pdb"],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: ["status"],
  keptOnly: "nothing on the local cluster evicts pods: a PodDisruptionBudget has nothing to hold back",
  summary: "PodDisruptionBudget defines how many pods of a set may be evicted at a time.",
  schema: struct({}, { spec: budgetSpec, status: anything }),
  columns: [
    nameColumn,
    { name: "Min Available", type: "string", priority: 0, value: ({ spec }) => String(spec?.minAvailable ?? "N/A") },
    {
      name: "Max Unavailable",
      type: "string",
      priority: 0,
      value: ({ spec }) => String(spec?.maxUnavailable ?? "N/A"),
    },
    { name: "Allowed Disruptions", type: "integer", priority: 0, value: () => 0 },
    ageColumn,
  ] satisfies readonly Column<PodDisruptionBudget>[],
  check: ({ spec }) =>
    spec?.minAvailable !== undefined && spec.maxUnavailable !== undefined
      ? [errorIssue("spec", "minAvailable and maxUnavailable cannot be both set")]
      : [],
};
