// The connection managers that the cases go through: what each has beyond the plain one.

import type { Json } from "./case.ts";
import { managerFields } from "./managers.ts";

const MANAGERS = {
  /** As in a sidecar: nothing but defaults. */
  mesh: {},
  /** Trusts nobody and cleans paths and names. */
  edge: {
    useRemoteAddress: true,
    normalizePath: true,
    mergeSlashes: true,
    commonHttpProtocolOptions: { headersWithUnderscoresAction: "REJECT_REQUEST" },
  },
  /** As the control plane makes them: a gateway's, one behind a trusted proxy, a sidecar's. */
  gateway: managerFields("edge"),
  gatewayBehindOne: managerFields("edge", {}, 1),
  inbound: managerFields("inbound"),
  outbound: managerFields("outbound"),
  /** As MeshConfig's path normalisation makes them. */
  NONE: managerFields("inbound", { pathNormalization: { normalization: "NONE" } }),
  BASE: managerFields("inbound", { pathNormalization: { normalization: "BASE" } }),
  MERGE_SLASHES: managerFields("inbound", { pathNormalization: { normalization: "MERGE_SLASHES" } }),
  DECODE_AND_MERGE_SLASHES: managerFields("inbound", {
    pathNormalization: { normalization: "DECODE_AND_MERGE_SLASHES" },
  }),
} as const satisfies Readonly<Record<string, Json>>;

export type ListenerName = keyof typeof MANAGERS;

export const LISTENERS: ReadonlyMap<string, Json> = new Map(Object.entries(MANAGERS));
