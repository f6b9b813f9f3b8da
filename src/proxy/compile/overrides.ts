// What routes, virtual hosts and weighted clusters say to single filters.

import type { Any } from "../../proto/gen/google/protobuf/any.ts";
import type { Field } from "./field.ts";
import { compileFilterOverride, type FilterOverride, joinOverrides } from "./http-filter.ts";

/** The most specific configuration of each filter wins, but where the filter knows how to have several. */
export function compileOverrides(
  holders: readonly { readonly typedPerFilterConfig: { readonly [name: string]: Any } }[],
  at: Field,
): ReadonlyMap<string, FilterOverride> {
  const overrides = new Map<string, FilterOverride>();
  for (const holder of holders) {
    for (const [name, any] of Object.entries(holder.typedPerFilterConfig)) {
      const override = compileFilterOverride(any, at.at(`typedPerFilterConfig[${name}]`));
      if (override !== undefined) overrides.set(name, joinOverrides(overrides.get(name), override));
    }
  }
  return overrides;
}
