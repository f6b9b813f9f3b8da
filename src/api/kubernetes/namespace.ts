// Namespace: where names are unique. It ends in two steps: Terminating while its content goes, gone when `spec.finalizers` is empty.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import { isDnsLabel } from "../names.ts";
import type { KubeObject } from "../object.ts";
import { mergeList, oneOf, struct, texts, workloadCondition } from "./fields.ts";

const namespaceSpec = struct({}, { finalizers: texts });
const namespaceStatus = struct(
  {},
  { phase: oneOf("Active", "Terminating"), conditions: mergeList(workloadCondition, "type") },
);

export interface Namespace extends KubeObject {
  /** `finalizers: ["kubernetes"]` until whoever empties the namespace takes it out. */
  readonly spec?: Static<typeof namespaceSpec>;
  readonly status?: Static<typeof namespaceStatus>;
}

export const namespaceKind: Kind<Namespace> = {
  group: "",
  versions: ["v1"],
  kind: "Namespace",
  plural: "namespaces",
  singular: "namespace",
  shortNames: ["ns"],
  categories: [],
  namespaced: false,
  origin: "builtin",
  subresources: ["status"],
  schema: struct({}, { spec: namespaceSpec, status: namespaceStatus }),
  columns: [
    nameColumn,
    { name: "Status", type: "string", priority: 0, value: (object) => object.status?.phase ?? "Active" },
    ageColumn,
  ],
  applyDefaults: (object) => ({
    ...object,
    metadata: {
      ...object.metadata,
      labels: { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name },
    },
    spec: { finalizers: ["kubernetes"], ...object.spec },
    status: { phase: "Active", ...object.status },
  }),
  check: (object) =>
    isDnsLabel(object.metadata.name)
      ? []
      : [
          errorIssue(
            "metadata.name",
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
          ),
        ],
};
