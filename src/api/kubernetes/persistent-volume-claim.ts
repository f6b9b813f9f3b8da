// PersistentVolumeClaim: storage that outlives a pod. On the local cluster a directory of the data directory.

import type { Static } from "typebox";
import { deepEqual } from "../../base/equal.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { mergeList, objectMeta, oneOf, quantities, struct, text, texts, workloadCondition } from "./fields.ts";
import { claimSpec } from "./volume.ts";

const claimStatus = struct(
  {},
  {
    phase: oneOf("Pending", "Bound", "Lost"),
    accessModes: texts,
    capacity: quantities,
    conditions: mergeList(workloadCondition, "type"),
  },
);

/** Of a StatefulSet, which makes a claim of it for each of its pods. */
export const claimTemplate = struct(
  {},
  { apiVersion: text, kind: text, metadata: objectMeta, spec: claimSpec, status: claimStatus },
);

export interface PersistentVolumeClaim extends KubeObject {
  readonly spec: Static<typeof claimSpec>;
  readonly status?: Static<typeof claimStatus>;
}

const SHORT_MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};

export const persistentVolumeClaimKind: Kind<PersistentVolumeClaim> = {
  group: "",
  versions: ["v1"],
  kind: "PersistentVolumeClaim",
  plural: "persistentvolumeclaims",
  singular: "persistentvolumeclaim",
  shortNames: ["pvc"],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: ["status"],
  summary: "PersistentVolumeClaim is a user's request for and claim to a persistent volume.",
  schema: struct({ spec: claimSpec }, { status: claimStatus }),
  columns: [
    nameColumn,
    { name: "Status", type: "string", priority: 0, value: (claim) => claim.status?.phase ?? "Pending" },
    { name: "Volume", type: "string", priority: 0, value: (claim) => claim.spec.volumeName ?? "" },
    { name: "Capacity", type: "string", priority: 0, value: (claim) => claim.status?.capacity?.["storage"] ?? "" },
    {
      name: "Access Modes",
      type: "string",
      priority: 0,
      value: (claim) => (claim.status?.accessModes ?? []).map((mode) => SHORT_MODES[mode] ?? mode).join(","),
    },
    { name: "StorageClass", type: "string", priority: 0, value: (claim) => claim.spec.storageClassName ?? "" },
    { name: "VolumeAttributesClass", type: "string", priority: 0, value: () => "<unset>" },
    ageColumn,
  ] satisfies readonly Column<PersistentVolumeClaim>[],
  applyDefaults: (claim) => ({ ...claim, spec: { volumeMode: "Filesystem", ...claim.spec } }),
  check: (claim, previous) => {
    const issues = [];
    if ((claim.spec.accessModes ?? []).length === 0) {
      issues.push(errorIssue("spec.accessModes", "at least 1 access mode is required", "required"));
    }
    if (previous?.spec.volumeName !== undefined && !deepEqual(withoutSize(claim), withoutSize(previous))) {
      issues.push(errorIssue("spec", "spec is immutable after creation except resources.requests", "immutable"));
    }
    return issues;
  },
};

function withoutSize({ spec }: PersistentVolumeClaim): unknown {
  return { ...spec, resources: undefined };
}
