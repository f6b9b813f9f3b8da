// Lease: who leads, and until when.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { int32, struct, text, time } from "./fields.ts";

const leaseSpec = struct(
  {},
  {
    holderIdentity: text,
    leaseDurationSeconds: int32,
    acquireTime: time,
    renewTime: time,
    leaseTransitions: int32,
    strategy: text,
    preferredHolder: text,
  },
);

export interface Lease extends KubeObject {
  readonly spec?: Static<typeof leaseSpec>;
}

export const leaseKind: Kind<Lease> = {
  group: "coordination.k8s.io",
  versions: ["v1"],
  kind: "Lease",
  plural: "leases",
  singular: "lease",
  shortNames: [],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: [],
  schema: struct({}, { spec: leaseSpec }),
  columns: [
    nameColumn,
    { name: "Holder", type: "string", priority: 0, value: (lease) => lease.spec?.holderIdentity ?? "" },
    ageColumn,
  ],
};
