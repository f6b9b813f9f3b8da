// ServiceEntry: a service that Kubernetes doesn't know, inside or outside the mesh.

import { type Static, Type } from "typebox";
import { ageColumn, pathColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { checkServiceEntry } from "./service-entry-check.ts";
import { labelMap, meshStatus, oneOf, serverPort, strings } from "./shapes.ts";
import { workloadEntrySpec } from "./workload-entry.ts";

const schema = Type.Object({
  spec: Type.Object({
    hosts: Type.Array(Type.String(), { minItems: 1, maxItems: 256 }),
    addresses: Type.Optional(Type.Array(Type.String(), { maxItems: 256 })),
    ports: Type.Optional(Type.Array(serverPort, { maxItems: 256 })),
    location: Type.Optional(oneOf(["MESH_EXTERNAL", "MESH_INTERNAL"])),
    resolution: Type.Optional(oneOf(["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"])),
    endpoints: Type.Optional(Type.Array(workloadEntrySpec, { maxItems: 4096 })),
    workloadSelector: Type.Optional(Type.Object({ labels: Type.Optional(labelMap) })),
    exportTo: Type.Optional(strings),
    subjectAltNames: Type.Optional(strings),
  }),
  status: Type.Optional(
    Type.Object({
      ...meshStatus.properties,
      addresses: Type.Optional(
        Type.Array(Type.Object({ value: Type.Optional(Type.String()), host: Type.Optional(Type.String()) })),
      ),
    }),
  ),
});

export type ServiceEntry = KubeObject & Static<typeof schema>;

export const serviceEntryIneffective: readonly Ineffective[] = [
  {
    field: "spec.endpoints[].network",
    effect: "one network is all there is: gateways of other networks are not built",
  },
];

export const serviceEntryKind: Kind<ServiceEntry> = {
  ...istioHead("networking"),
  versions: ["v1", "v1beta1", "v1alpha3"],
  kind: "ServiceEntry",
  plural: "serviceentries",
  singular: "serviceentry",
  shortNames: ["se"],
  schema,
  columns: [
    pathColumn("Hosts", ".spec.hosts"),
    pathColumn("Location", ".spec.location"),
    pathColumn("Resolution", ".spec.resolution"),
    ageColumn,
  ],
  check: (object) => [...checkServiceEntry(object), ...warnIneffective(object, serviceEntryIneffective)],
};
