// WorkloadGroup: what WorkloadEntries of one kind have in common, and how their health is probed.

import { type Static, Type } from "typebox";
import { ageColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { int32, labelMap, meshStatus, uint32 } from "./shapes.ts";
import { workloadEntrySpec } from "./workload-entry.ts";
import { checkWorkload } from "./workload-entry-check.ts";

const probe = Type.Object({
  initialDelaySeconds: Type.Optional(int32),
  timeoutSeconds: Type.Optional(int32),
  periodSeconds: Type.Optional(int32),
  successThreshold: Type.Optional(int32),
  failureThreshold: Type.Optional(int32),
  httpGet: Type.Optional(
    Type.Object({
      path: Type.Optional(Type.String()),
      port: uint32,
      host: Type.Optional(Type.String()),
      scheme: Type.Optional(Type.String()),
      httpHeaders: Type.Optional(
        Type.Array(Type.Object({ name: Type.Optional(Type.String()), value: Type.Optional(Type.String()) })),
      ),
    }),
  ),
  tcpSocket: Type.Optional(Type.Object({ host: Type.Optional(Type.String()), port: uint32 })),
  exec: Type.Optional(Type.Object({ command: Type.Array(Type.String()) })),
  grpc: Type.Optional(Type.Object({ port: Type.Optional(uint32), service: Type.Optional(Type.String()) })),
});

const schema = Type.Object({
  spec: Type.Object({
    metadata: Type.Optional(Type.Object({ labels: Type.Optional(labelMap), annotations: Type.Optional(labelMap) })),
    template: workloadEntrySpec,
    probe: Type.Optional(probe),
  }),
  status: Type.Optional(meshStatus),
});

export type WorkloadGroup = KubeObject & Static<typeof schema>;

export const workloadGroupIneffective: readonly Ineffective[] = [
  { field: "spec.template", effect: "workloads do not register themselves: write a WorkloadEntry for each" },
  {
    field: "spec.probe",
    effect: "what is outside pods is not probed: the Healthy condition of a WorkloadEntry counts",
  },
];

export const workloadGroupKind: Kind<WorkloadGroup> = {
  ...istioHead("networking"),
  versions: ["v1", "v1beta1", "v1alpha3"],
  kind: "WorkloadGroup",
  plural: "workloadgroups",
  singular: "workloadgroup",
  shortNames: ["wg"],
  schema,
  columns: [ageColumn],
  check: (object) => [
    ...checkWorkload(object.spec.template, "spec.template", "template"),
    ...warnIneffective(object, workloadGroupIneffective),
  ],
};
