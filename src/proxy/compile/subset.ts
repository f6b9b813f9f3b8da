// Subsets of a cluster's hosts by their metadata, and what a route asks for.

import {
  type Cluster_LbSubsetConfig,
  Cluster_LbSubsetConfig_LbSubsetFallbackPolicy,
  Cluster_LbSubsetConfig_LbSubsetSelector_LbSubsetSelectorFallbackPolicy,
} from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { Metadata } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { type Field, fields } from "./field.ts";

/** Which hosts: metadata keys with the values that a host must have. Made once, compared as text. */
export interface MetadataMatch {
  /** Sorted by key; values in a canonical form. */
  readonly pairs: readonly (readonly [key: string, value: string])[];
  readonly keyText: string;
  readonly valueText: string;
}

export interface SubsetSelector {
  readonly keys: readonly string[];
  readonly keyText: string;
  readonly singleHost: boolean;
  readonly fallback: "cluster" | "none" | "any" | "default" | "keys";
  readonly fallbackKeys: readonly string[];
}

export interface SubsetConfig {
  readonly fallback: "none" | "any" | "default";
  readonly defaultSubset: MetadataMatch;
  readonly selectors: readonly SubsetSelector[];
  readonly localityWeightAware: boolean;
  readonly scaleLocalityWeight: boolean;
  /** Where even the fallback has no host, any host is better than none. */
  readonly panicAny: boolean;
  /** A list in a host's metadata stands for each of its items. */
  readonly listAsAny: boolean;
}

const LB_METADATA = "envoy.lb";
const HONOURED = fields(`fallbackPolicy defaultSubset subsetSelectors localityWeightAware scaleLocalityWeight
  panicModeAny listAsAny`);

export function compileSubsets(config: Cluster_LbSubsetConfig | undefined, at: Field): SubsetConfig | undefined {
  if (config === undefined || config.subsetSelectors.length === 0) return undefined;
  at.only(config, HONOURED);
  return {
    fallback: fallbackOf(config.fallbackPolicy, at.at("fallbackPolicy")),
    defaultSubset: metadataMatch(Object.entries(config.defaultSubset ?? {})),
    selectors: config.subsetSelectors.map((selector, index) => {
      const field = at.at("subsetSelectors").at(index);
      const keys = [...new Set(selector.keys)].sort();
      if (selector.singleHostPerSubset && keys.length !== 1) {
        field.at("singleHostPerSubset").refuse("needs a selector of exactly one key");
      }
      const fallback = selectorFallback(selector.fallbackPolicy);
      const narrower = [...new Set(selector.fallbackKeysSubset)];
      const some = narrower.length > 0 && narrower.length < keys.length && narrower.every((key) => keys.includes(key));
      if (fallback === "keys" && !some)
        field.at("fallbackKeysSubset").refuse("must be some of the selector's keys, not all");
      return {
        keys,
        keyText: keys.join("\n"),
        singleHost: selector.singleHostPerSubset,
        fallback,
        fallbackKeys: narrower,
      };
    }),
    localityWeightAware: config.localityWeightAware,
    scaleLocalityWeight: config.scaleLocalityWeight,
    panicAny: config.panicModeAny,
    listAsAny: config.listAsAny,
  };
}

/** What a route's or a weighted cluster's `metadata_match` asks for; `over` is what it adds to. */
export function compileMetadataMatch(
  metadata: Metadata | undefined,
  over: MetadataMatch | undefined,
): MetadataMatch | undefined {
  const own = metadata?.filterMetadata[LB_METADATA];
  if (own === undefined) return over;
  const merged = new Map(over?.pairs);
  for (const [key, value] of Object.entries(own)) merged.set(key, canonical(value));
  return made([...merged]);
}

/** The part of a match that has the given keys. */
export function narrowMatch(match: MetadataMatch, keys: readonly string[]): MetadataMatch {
  return made(match.pairs.filter(([key]) => keys.includes(key)));
}

/** A host's labels for subsets, each with the texts of its value or, where lists count as any, of every item. */
export function subsetLabels(
  metadata: Metadata | undefined,
  listAsAny: boolean,
): ReadonlyMap<string, readonly string[]> {
  const labels = new Map<string, readonly string[]>();
  for (const [key, value] of Object.entries(metadata?.filterMetadata[LB_METADATA] ?? {})) {
    const values: readonly unknown[] = listAsAny && Array.isArray(value) ? value : [value];
    labels.set(key, values.map(canonical));
  }
  return labels;
}

function metadataMatch(entries: readonly (readonly [string, unknown])[]): MetadataMatch {
  return made(entries.map(([key, value]) => [key, canonical(value)] as const));
}

function made(pairs: readonly (readonly [string, string])[]): MetadataMatch {
  const sorted = [...pairs].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    pairs: sorted,
    keyText: sorted.map(([key]) => key).join("\n"),
    valueText: sorted.map(([, value]) => value).join("\n"),
  };
}

/** Equal values have equal texts, whatever the order of their fields. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const parts = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`);
  return `{${parts.sort().join()}}`;
}

const Fallback = Cluster_LbSubsetConfig_LbSubsetFallbackPolicy;

function fallbackOf(policy: Cluster_LbSubsetConfig_LbSubsetFallbackPolicy, at: Field): SubsetConfig["fallback"] {
  switch (policy) {
    case Fallback.NO_FALLBACK:
      return "none";
    case Fallback.ANY_ENDPOINT:
      return "any";
    case Fallback.DEFAULT_SUBSET:
      return "default";
    default:
      at.refuse("this fallback policy is not known");
      return "none";
  }
}

const SelectorFallback = Cluster_LbSubsetConfig_LbSubsetSelector_LbSubsetSelectorFallbackPolicy;

function selectorFallback(
  policy: Cluster_LbSubsetConfig_LbSubsetSelector_LbSubsetSelectorFallbackPolicy,
): SubsetSelector["fallback"] {
  switch (policy) {
    case SelectorFallback.NO_FALLBACK:
      return "none";
    case SelectorFallback.ANY_ENDPOINT:
      return "any";
    case SelectorFallback.DEFAULT_SUBSET:
      return "default";
    case SelectorFallback.KEYS_SUBSET:
      return "keys";
    default:
      return "cluster";
  }
}
