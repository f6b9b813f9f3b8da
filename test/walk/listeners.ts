// The connection managers that the cases go through: what each has beyond the plain one.

import type { Json } from "./case.ts";
import { normalizationFields } from "./normalization-cases.ts";

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
  /** As MeshConfig's path normalisation makes them. */
  NONE: normalizationFields("NONE"),
  BASE: normalizationFields("BASE"),
  MERGE_SLASHES: normalizationFields("MERGE_SLASHES"),
  DECODE_AND_MERGE_SLASHES: normalizationFields("DECODE_AND_MERGE_SLASHES"),
} as const satisfies Readonly<Record<string, Json>>;

export type ListenerName = keyof typeof MANAGERS;

export const LISTENERS: ReadonlyMap<string, Json> = new Map(Object.entries(MANAGERS));
