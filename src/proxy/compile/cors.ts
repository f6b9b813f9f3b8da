// A route's policy for requests from other origins.

import type { CorsPolicy } from "../../proto/gen/envoy/extensions/filters/http/cors/v3/cors.ts";
import { type Field, fields } from "./field.ts";
import { compileString, type StringPredicate } from "./matcher.ts";
import { runtimeFraction } from "./value.ts";

export interface CorsConfig {
  readonly kind: "cors";
  readonly origins: readonly StringPredicate[];
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  readonly allowPrivateNetwork: boolean;
  readonly enabledShare: number;
  /** Of what is not enabled: origins are looked at and counted, no more. */
  readonly shadowShare: number;
  readonly forwardNotMatchingPreflights: boolean;
}

export function compileCors(cors: CorsPolicy, at: Field): CorsConfig {
  at.only(
    cors,
    fields(
      "allowOriginStringMatch allowMethods allowHeaders exposeHeaders maxAge allowCredentials filterEnabled shadowEnabled allowPrivateNetworkAccess forwardNotMatchingPreflights",
    ),
  );
  return {
    kind: "cors",
    origins: cors.allowOriginStringMatch.map((one, index) =>
      compileString(one, at.at("allowOriginStringMatch").at(index)),
    ),
    allowMethods: cors.allowMethods,
    allowHeaders: cors.allowHeaders,
    exposeHeaders: cors.exposeHeaders,
    maxAge: cors.maxAge,
    allowCredentials: cors.allowCredentials ?? false,
    allowPrivateNetwork: cors.allowPrivateNetworkAccess ?? false,
    shadowShare: runtimeFraction(cors.shadowEnabled, 0, at.at("shadowEnabled")),
    enabledShare: runtimeFraction(cors.filterEnabled, 1, at.at("filterEnabled")),
    forwardNotMatchingPreflights: cors.forwardNotMatchingPreflights ?? true,
  };
}

/** The filter without a route's policy lets everything pass. */
export const NO_CORS: CorsConfig = {
  kind: "cors",
  origins: [],
  allowMethods: "",
  allowHeaders: "",
  exposeHeaders: "",
  maxAge: "",
  allowCredentials: false,
  allowPrivateNetwork: false,
  shadowShare: 0,
  enabledShare: 0,
  forwardNotMatchingPreflights: true,
};
