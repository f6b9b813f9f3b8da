// Who is let in by HTTP: tokens are verified first, since policies ask for their claims.

import type { HttpFilter } from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { jwtFilters } from "./jwt.ts";
import { httpRbacFilters, type RbacTarget } from "./rbac.ts";
import type { Workload } from "./workload.ts";

export function accessFilters({ jwtRules, keySets, policies }: Workload, target: RbacTarget): HttpFilter[] {
  return [...jwtFilters(jwtRules, keySets), ...httpRbacFilters(policies, target)];
}
