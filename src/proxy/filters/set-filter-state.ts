// Filter state: the protocols that the upstream TLS connection offers, which tell the peer that HTTP is inside.

import type { FilterStateConfig } from "../compile/filter-state.ts";
import type { Filter } from "./filter.ts";

export function setFilterStateFilter(config: FilterStateConfig): Filter {
  const { applicationProtocols } = config;
  return {
    onRequest(exchange) {
      if (applicationProtocols !== undefined) exchange.setApplicationProtocols(applicationProtocols);
      return undefined;
    },
    onResponse() {
      // The state is for the way upstream only.
    },
  };
}
