// Who is let in by HTTP: tokens are verified first, since policies ask for their claims.

import type { HttpFilter } from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { jwtFilters } from "./jwt.ts";
import { httpRbacFilters, type RbacTarget } from "./rbac.ts";
import type { Workload } from "./workload.ts";

export function accessFilters({ proxy, jwtRules, keySets, policies }: Workload, target: RbacTarget): HttpFilter[] {
  // At a gateway routes may go by claims, which are known only once the token is verified.
  const routesByClaims = proxy.type === "router";
  return [...jwtFilters(jwtRules, keySets, { routesByClaims }), ...httpRbacFilters(policies, target)];
}
