// ControllerRevision: a template that a StatefulSet or DaemonSet had, for its rollout and the way back.

import { deepEqual } from "../../base/equal.ts";
import { ageColumn, nameColumn } from "../columns.ts";
import { errorIssue } from "../issue.ts";
import type { Column, Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { anything, int64, struct } from "./fields.ts";

export interface ControllerRevision extends KubeObject {
  readonly revision: number;
  /** A patch of the owner: `{"spec":{"template":…}}`. */
  readonly data?: Readonly<Record<string, unknown>>;
}

export const controllerRevisionKind: Kind<ControllerRevision> = {
  group: "apps",
  versions: ["v1"],
  kind: "ControllerRevision",
  plural: "controllerrevisions",
  singular: "controllerrevision",
  shortNames: [],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: [],
  summary: "ControllerRevision implements an immutable snapshot of state data.",
  schema: struct({ revision: int64 }, { data: anything }),
  columns: [
    nameColumn,
    {
      name: "Controller",
      type: "string",
      priority: 0,
      value: ({ metadata }) => {
        const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
        return owner === undefined ? "<none>" : `${owner.kind.toLowerCase()}.apps/${owner.name}`;
      },
    },
    { name: "Revision", type: "integer", priority: 0, value: ({ revision }) => revision },
    ageColumn,
  ] satisfies readonly Column<ControllerRevision>[],
  check: (object, previous) =>
    previous === undefined || deepEqual(previous.data, object.data)
      ? []
      : [errorIssue("data", "field is immutable", "immutable")],
};
