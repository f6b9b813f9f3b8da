// Gateway: the servers that proxies at the edge of the mesh offer.

import { type Static, Type } from "typebox";
import { ageColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { checkGateway } from "./gateway-check.ts";
import { istioHead } from "./head.ts";
import { labelMap, meshStatus, serverPort, serverTls, strings } from "./shapes.ts";

const server = Type.Object({
  name: Type.Optional(Type.String()),
  port: serverPort,
  bind: Type.Optional(Type.String()),
  /** `namespace/host`, `./host`, any namespace (`*`) with a host or a host alone. */
  hosts: strings,
  tls: Type.Optional(serverTls),
  defaultEndpoint: Type.Optional(Type.String()),
});

const schema = Type.Object({
  spec: Type.Object({
    selector: Type.Optional(labelMap),
    servers: Type.Optional(Type.Array(server)),
  }),
  status: Type.Optional(meshStatus),
});

export type Gateway = KubeObject & Static<typeof schema>;
export type GatewayServer = Static<typeof server>;

export const gatewayKind: Kind<Gateway> = {
  ...istioHead("networking"),
  versions: ["v1", "v1beta1", "v1alpha3"],
  kind: "Gateway",
  plural: "gateways",
  singular: "gateway",
  shortNames: ["gw"],
  schema,
  columns: [ageColumn],
  check: checkGateway,
};
