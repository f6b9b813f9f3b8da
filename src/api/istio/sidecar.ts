// Sidecar: what the proxies of some workloads see of the mesh, and what they listen on.

import { type Static, Type } from "typebox";
import { ageColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { labelMap, meshStatus, oneOf, portNumber, portSelector, serverTls, strings } from "./shapes.ts";
import { checkSidecar } from "./sidecar-check.ts";
import { connectionPool } from "./traffic.ts";

/** A listener's port: unlike a server's, each part may be left out. */
const sidecarPort = Type.Object({
  number: Type.Optional(portNumber),
  protocol: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  targetPort: Type.Optional(portNumber),
});

const captureMode = oneOf(["DEFAULT", "IPTABLES", "NONE"]);

const ingress = Type.Object({
  port: sidecarPort,
  bind: Type.Optional(Type.String()),
  captureMode: Type.Optional(captureMode),
  defaultEndpoint: Type.Optional(Type.String()),
  tls: Type.Optional(serverTls),
  connectionPool: Type.Optional(connectionPool),
});

const egress = Type.Object({
  port: Type.Optional(sidecarPort),
  bind: Type.Optional(Type.String()),
  captureMode: Type.Optional(captureMode),
  hosts: strings,
});

const egressProxy = Type.Object({
  host: Type.String(),
  subset: Type.Optional(Type.String()),
  port: Type.Optional(portSelector),
});

const schema = Type.Object({
  spec: Type.Optional(
    Type.Object({
      workloadSelector: Type.Optional(Type.Object({ labels: Type.Optional(labelMap) })),
      ingress: Type.Optional(Type.Array(ingress)),
      egress: Type.Optional(Type.Array(egress)),
      inboundConnectionPool: Type.Optional(connectionPool),
      outboundTrafficPolicy: Type.Optional(
        Type.Object({
          mode: Type.Optional(oneOf(["REGISTRY_ONLY", "ALLOW_ANY"])),
          egressProxy: Type.Optional(egressProxy),
        }),
      ),
    }),
  ),
  status: Type.Optional(meshStatus),
});

export type Sidecar = KubeObject & Static<typeof schema>;

export const sidecarKind: Kind<Sidecar> = {
  ...istioHead("networking"),
  versions: ["v1", "v1beta1", "v1alpha3"],
  kind: "Sidecar",
  plural: "sidecars",
  singular: "sidecar",
  shortNames: [],
  schema,
  columns: [ageColumn],
  check: checkSidecar,
};
