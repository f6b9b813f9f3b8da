// EndpointSlice: the addresses behind a Service.

import type { Static } from "typebox";
import { ageColumn, nameColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { flag, int32, list, objectReference, oneOf, struct, text, textMap, texts } from "./fields.ts";

const endpoint = struct(
  { addresses: texts },
  {
    conditions: struct({}, { ready: flag, serving: flag, terminating: flag }),
    hostname: text,
    nodeName: text,
    zone: text,
    targetRef: objectReference,
    deprecatedTopology: textMap,
    hints: struct({}, { forZones: list(struct({ name: text }, {})), forNodes: list(struct({ name: text }, {})) }),
  },
);
export type Endpoint = Static<typeof endpoint>;

const endpointPort = struct({}, { name: text, port: int32, protocol: text, appProtocol: text });
export type EndpointPort = Static<typeof endpointPort>;

const addressType = oneOf("IPv4", "IPv6", "FQDN");

/** The label that says which Service a slice belongs to. */
export const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

export interface EndpointSlice extends KubeObject {
  readonly addressType: Static<typeof addressType>;
  readonly endpoints: readonly Endpoint[];
  readonly ports?: readonly EndpointPort[];
}

const SHOWN_MAX = 3;

export const endpointSliceKind: Kind<EndpointSlice> = {
  group: "discovery.k8s.io",
  versions: ["v1"],
  kind: "EndpointSlice",
  plural: "endpointslices",
  singular: "endpointslice",
  shortNames: [],
  categories: [],
  namespaced: true,
  origin: "builtin",
  subresources: [],
  schema: struct({ addressType, endpoints: list(endpoint) }, { ports: list(endpointPort) }),
  columns: [
    nameColumn,
    { name: "AddressType", type: "string", priority: 0, value: (slice) => slice.addressType },
    {
      name: "Ports",
      type: "string",
      priority: 0,
      value: (slice) =>
        (slice.ports ?? []).length === 0
          ? "<unset>"
          : firstFew((slice.ports ?? []).map((port) => String(port.port ?? "*"))),
    },
    {
      name: "Endpoints",
      type: "string",
      priority: 0,
      value: (slice) =>
        slice.endpoints.length === 0 ? "<unset>" : firstFew(slice.endpoints.flatMap((entry) => entry.addresses)),
    },
    ageColumn,
  ],
  applyDefaults: (slice) => ({
    ...slice,
    ...(slice.ports === undefined
      ? {}
      : { ports: slice.ports.map((port) => ({ ...port, name: port.name ?? "", protocol: port.protocol ?? "TCP" })) }),
  }),
};

function firstFew(values: readonly string[]): string {
  const shown = values.slice(0, SHOWN_MAX).join(",");
  return values.length > SHOWN_MAX ? `${shown} + ${values.length - SHOWN_MAX} more...` : shown;
}
