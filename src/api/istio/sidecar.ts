// Sidecar: what the proxies of some workloads see of the mesh, and what they listen on.

import { type Static, Type } from "typebox";
import { ageColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { labelMap, meshStatus, oneOf, portNumber, portSelector, serverTls, strings } from "./shapes.ts";
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

export const sidecarIneffective: readonly Ineffective[] = [
  { field: "spec.ingress", effect: "proxies listen on the ports of their Services" },
  { field: "spec.egress[].bind", effect: "what is listened on are the services' own addresses and ports" },
  { field: "spec.egress[].captureMode", effect: "how calls reach the proxy is the same for all of its listeners" },
  {
    field: "spec.outboundTrafficPolicy.egressProxy",
    effect: "calls to hosts that nobody registered go there directly",
  },
];

export const sidecarKind: Kind<Sidecar> = {
  ...istioHead("networking"),
  versions: ["v1", "v1beta1", "v1alpha3"],
  kind: "Sidecar",
  plural: "sidecars",
  singular: "sidecar",
  shortNames: [],
  schema,
  columns: [ageColumn],
  check: (object) => warnIneffective(object, sidecarIneffective),
};
