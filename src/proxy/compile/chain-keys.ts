// Two filter chains that would match the same connection are refused, as Envoy refuses them: which one holds would be chance.

import type { FilterChainMatch } from "../../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { CHAIN_KEYS_MAX } from "../limits.ts";
import type { Field } from "./field.ts";

/** Every combination of what one match names, as text: equal ones overlap. Undefined: too many to compare. */
function keysOf(match: FilterChainMatch | undefined): readonly string[] | undefined {
  const range = (one: { readonly addressPrefix: string; readonly prefixLen: number | undefined }) =>
    `${one.addressPrefix.toLowerCase()}/${one.prefixLen ?? 0}`;
  const lists: readonly (readonly string[])[] = [
    [String(match?.destinationPort ?? "")],
    match?.prefixRanges.map(range) ?? [],
    match?.serverNames.map((name) => name.toLowerCase()) ?? [],
    [match?.transportProtocol ?? ""],
    match?.applicationProtocols ?? [],
    match?.directSourcePrefixRanges.map(range) ?? [],
    [String(match?.sourceType ?? 0)],
    match?.sourcePrefixRanges.map(range) ?? [],
    match?.sourcePorts.map(String) ?? [],
  ];
  let keys: readonly string[] = [""];
  for (const list of lists) {
    const values = list.length === 0 ? [""] : list;
    if (keys.length * values.length > CHAIN_KEYS_MAX) return undefined;
    keys = keys.flatMap((key) => values.map((value) => `${key} ${value}`));
  }
  return keys;
}

export function refuseOverlaps(
  chains: readonly { readonly name: string; readonly filterChainMatch: FilterChainMatch | undefined }[],
  at: Field,
): void {
  const seen = new Map<string, number>();
  for (const [index, chain] of chains.entries()) {
    const field = at.at(index).at("filterChainMatch");
    for (const [place, name] of (chain.filterChainMatch?.serverNames ?? []).entries()) {
      if (name.includes("*") && (!name.startsWith("*.") || name.lastIndexOf("*") > 0))
        field.at("serverNames").at(place).refuse(`${name}: a star stands for whole labels, at the beginning only`);
    }
    const other = (keysOf(chain.filterChainMatch) ?? [])
      .map((key) => remember(seen, key, index))
      .find((one) => one >= 0);
    if (other !== undefined)
      field.refuse(
        `filter chain ${other}${chains[other]?.name ? ` (${chains[other].name})` : ""} matches the same connections`,
      );
  }
}

/** The other chain that has the key; -1: none. */
function remember(seen: Map<string, number>, key: string, index: number): number {
  const known = seen.get(key);
  if (known === undefined) seen.set(key, index);
  return known === undefined || known === index ? -1 : known;
}
