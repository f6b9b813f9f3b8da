// A route's CORS policy, for the CORS filter.

import type { CorsSettings } from "../api/istio/virtual-service.ts";
import { CorsPolicy } from "../proto/gen/envoy/extensions/filters/http/cors/v3/cors.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { stringMatcher } from "./matcher.ts";
import { any, durationFromText, percentOf } from "./wire.ts";

export function corsConfig(cors: CorsSettings): Any {
  const origins = [...(cors.allowOrigins ?? []), ...(cors.allowOrigin ?? []).map(fromOldOrigin)];
  const policy = CorsPolicy.fromPartial({
    allowOriginStringMatch: origins.flatMap((origin) => stringMatcher(origin) ?? []),
    allowMethods: (cors.allowMethods ?? []).join(","),
    allowHeaders: (cors.allowHeaders ?? []).join(","),
    exposeHeaders: (cors.exposeHeaders ?? []).join(","),
    maxAge: cors.maxAge === undefined ? "" : String(durationFromText(cors.maxAge).seconds),
    filterEnabled: { defaultValue: percentOf(100) },
  });
  if (cors.allowCredentials !== undefined) policy.allowCredentials = cors.allowCredentials;
  if (cors.unmatchedPreflights === "FORWARD") policy.forwardNotMatchingPreflights = true;
  if (cors.unmatchedPreflights === "IGNORE") policy.forwardNotMatchingPreflights = false;
  return any("envoy.extensions.filters.http.cors.v3.CorsPolicy", CorsPolicy, policy);
}

/** The deprecated list knows only exact origins and `*`. */
function fromOldOrigin(origin: string): { readonly exact?: string; readonly regex?: string } {
  return origin === "*" ? { regex: ".*" } : { exact: origin };
}
