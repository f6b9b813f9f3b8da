// WorkloadEntry: an instance that is no pod, such as a virtual machine or a process of the host.

import { type Static, Type } from "typebox";
import { ageColumn, pathColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { labelMap, mapOf, meshStatus, portNumber, uint32 } from "./shapes.ts";
import { checkWorkload } from "./workload-entry-check.ts";

/** Also what a ServiceEntry writes as an endpoint. */
export const workloadEntrySpec = Type.Object({
  address: Type.Optional(Type.String()),
  ports: Type.Optional(mapOf(portNumber)),
  labels: Type.Optional(labelMap),
  network: Type.Optional(Type.String()),
  locality: Type.Optional(Type.String()),
  weight: Type.Optional(uint32),
  serviceAccount: Type.Optional(Type.String()),
});

export type WorkloadEntrySpec = Static<typeof workloadEntrySpec>;

const schema = Type.Object({ spec: workloadEntrySpec, status: Type.Optional(meshStatus) });

export type WorkloadEntry = KubeObject & Static<typeof schema>;

export const workloadEntryIneffective: readonly Ineffective[] = [
  { field: "spec.network", effect: "one network is all there is: gateways of other networks are not built" },
];

export const workloadEntryKind: Kind<WorkloadEntry> = {
  ...istioHead("networking"),
  versions: ["v1", "v1beta1", "v1alpha3"],
  kind: "WorkloadEntry",
  plural: "workloadentries",
  singular: "workloadentry",
  shortNames: ["we"],
  schema,
  columns: [ageColumn, pathColumn("Address", ".spec.address")],
  check: (object) => [...checkWorkload(object.spec, "spec"), ...warnIneffective(object, workloadEntryIneffective)],
};
