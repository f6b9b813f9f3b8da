// Headers added, set and removed: the filter's own list first, then those of the route and what is around it.

import type { HeaderMutationConfig, MutationSet } from "../compile/header-mutation.ts";
import { applyMutations } from "../compile/mutation.ts";
import type { Exchange, Filter } from "./filter.ts";

const NONE: readonly MutationSet[] = [];

export function headerMutationFilter(name: string, config: HeaderMutationConfig): Filter {
  const ownOnly = [config.own];
  const setsFor = (exchange: Exchange): readonly MutationSet[] => {
    const override = exchange.override(name);
    if (override === undefined) return ownOnly;
    if (override.kind !== "header_mutation") return NONE;
    const { levels } = override;
    return [config.own, ...(config.mostSpecificWins ? levels.toReversed() : levels)];
  };
  return {
    onRequest(exchange) {
      const record = () => exchange.record();
      for (const set of setsFor(exchange)) applyMutations(set.request, exchange.head.headers, exchange.head, record);
      return undefined;
    },
    onResponse(exchange, response) {
      const record = () => exchange.record();
      for (const set of setsFor(exchange)) applyMutations(set.response, response.headers, undefined, record);
    },
    onRequestTrailers(exchange, trailers) {
      const record = () => exchange.record();
      for (const set of setsFor(exchange)) applyMutations(set.requestTrailers, trailers, undefined, record);
    },
    onResponseTrailers(exchange, trailers) {
      const record = () => exchange.record();
      for (const set of setsFor(exchange)) applyMutations(set.responseTrailers, trailers, undefined, record);
    },
  };
}
