// HTTP filters by type URL: each to its own configuration, in the order of the list. An unknown one is refused.

import { FilterConfig } from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import { Cors, CorsPolicy } from "../../proto/gen/envoy/extensions/filters/http/cors/v3/cors.ts";
import { ExtAuthz, ExtAuthzPerRoute } from "../../proto/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts";
import { HTTPFault } from "../../proto/gen/envoy/extensions/filters/http/fault/v3/fault.ts";
import {
  HeaderMutation,
  HeaderMutationPerRoute,
} from "../../proto/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation.ts";
import {
  JwtAuthentication,
  PerRouteConfig,
} from "../../proto/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts";
import { LocalRateLimit } from "../../proto/gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts";
import { RBAC, RBACPerRoute } from "../../proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { Router } from "../../proto/gen/envoy/extensions/filters/http/router/v3/router.ts";
import { Config as SetFilterState } from "../../proto/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.ts";
import type { HttpFilter } from "../../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import type { Any } from "../../proto/gen/google/protobuf/any.ts";
import { type CorsConfig, compileCors, NO_CORS } from "./cors.ts";
import { checkDynamicNamesFilter } from "./dynamic-names.ts";
import { compileExtAuthz, compileExtAuthzOverride, type ExtAuthzConfig, type ExtAuthzOverride } from "./ext-authz.ts";
import { compileFault, type FaultConfig } from "./fault.ts";
import { type Field, fields } from "./field.ts";
import { compileFilterState, type FilterStateConfig } from "./filter-state.ts";
import {
  compileHeaderMutation,
  compileHeaderMutationOverride,
  type HeaderMutationConfig,
  type HeaderMutationOverride,
} from "./header-mutation.ts";
import { compileJwt, compileJwtOverride, type JwtConfig, type JwtOverride } from "./jwt.ts";
import { compileLocalRateLimit, type LocalRateLimitConfig } from "./local-ratelimit.ts";
import { compileRbac, type RbacConfig } from "./rbac-filter.ts";

export interface RouterConfig {
  readonly kind: "router";
  readonly suppressEnvoyHeaders: boolean;
  readonly startsChildSpan: boolean;
}

export type FilterOverride =
  | RbacConfig
  | FaultConfig
  | CorsConfig
  | HeaderMutationOverride
  | LocalRateLimitConfig
  | JwtOverride
  | ExtAuthzOverride
  | { readonly kind: "disabled" };

export type FilterConfigs =
  | { readonly kind: "dynamic_forward_proxy" }
  | RbacConfig
  | FaultConfig
  | CorsConfig
  | FilterStateConfig
  | HeaderMutationConfig
  | LocalRateLimitConfig
  | JwtConfig
  | ExtAuthzConfig
  | RouterConfig;

export interface NamedFilter {
  readonly name: string;
  readonly disabled: boolean;
  readonly config: FilterConfigs;
}

const PREFIX = "type.googleapis.com/";
const HTTP = `${PREFIX}envoy.extensions.filters.http.`;

export function compileFilters(filters: readonly HttpFilter[], at: Field): readonly NamedFilter[] {
  const compiled: NamedFilter[] = [];
  for (const [index, filter] of filters.entries()) {
    const field = at.at(index);
    if (filter.configType?.$case !== "typedConfig") {
      field.refuse("a filter needs a typed_config");
      continue;
    }
    const any = filter.configType.value;
    const config = compileFilter(any, field.at("typedConfig").as(any.typeUrl));
    if (config !== undefined) compiled.push({ name: filter.name, disabled: filter.disabled, config });
    else if (!filter.isOptional) field.refuse(`HTTP filter ${filter.name} (${any.typeUrl}) is not built in`);
  }
  const last = compiled.at(-1);
  if (last?.config.kind !== "router") at.refuse("the last HTTP filter must be envoy.filters.http.router");
  return compiled;
}

function compileFilter(any: Any, at: Field): FilterConfigs | undefined {
  switch (any.typeUrl) {
    case `${HTTP}router.v3.Router`: {
      const router = Router.decode(any.value);
      at.only(router, fields("dynamicStats startChildSpan suppressEnvoyHeaders"));
      return {
        kind: "router",
        suppressEnvoyHeaders: router.suppressEnvoyHeaders,
        startsChildSpan: router.startChildSpan,
      };
    }
    case `${HTTP}rbac.v3.RBAC`:
      return compileRbac(RBAC.decode(any.value), at);
    case `${HTTP}fault.v3.HTTPFault`:
      return compileFault(HTTPFault.decode(any.value), at);
    case `${HTTP}cors.v3.Cors`:
      at.only(Cors.decode(any.value), fields(""));
      return NO_CORS;
    case `${HTTP}header_mutation.v3.HeaderMutation`:
      return compileHeaderMutation(HeaderMutation.decode(any.value), at);
    case `${HTTP}ext_authz.v3.ExtAuthz`:
      return compileExtAuthz(ExtAuthz.decode(any.value), at);
    case `${HTTP}jwt_authn.v3.JwtAuthentication`:
      return compileJwt(JwtAuthentication.decode(any.value), at);
    case `${HTTP}local_ratelimit.v3.LocalRateLimit`:
      return compileLocalRateLimit(LocalRateLimit.decode(any.value), at);
    case `${HTTP}dynamic_forward_proxy.v3.FilterConfig`:
      checkDynamicNamesFilter(any, at);
      return { kind: "dynamic_forward_proxy" };
    case `${HTTP}set_filter_state.v3.Config`:
      return compileFilterState(SetFilterState.decode(any.value), at);
    default:
      return undefined;
  }
}

export function compileFilterOverride(any: Any, at: Field): FilterOverride | undefined {
  const field = at.as(any.typeUrl);
  switch (any.typeUrl) {
    case `${HTTP}rbac.v3.RBACPerRoute`: {
      const { rbac } = RBACPerRoute.decode(any.value);
      return rbac === undefined ? { kind: "disabled" } : compileRbac(rbac, field.at("rbac"));
    }
    case `${HTTP}fault.v3.HTTPFault`:
      return compileFault(HTTPFault.decode(any.value), field);
    case `${HTTP}cors.v3.CorsPolicy`:
      return compileCors(CorsPolicy.decode(any.value), field);
    case `${HTTP}header_mutation.v3.HeaderMutationPerRoute`:
      return compileHeaderMutationOverride(HeaderMutationPerRoute.decode(any.value), field);
    case `${HTTP}ext_authz.v3.ExtAuthzPerRoute`:
      return compileExtAuthzOverride(ExtAuthzPerRoute.decode(any.value), field);
    case `${HTTP}jwt_authn.v3.PerRouteConfig`:
      return compileJwtOverride(PerRouteConfig.decode(any.value));
    case `${HTTP}local_ratelimit.v3.LocalRateLimit`:
      return compileLocalRateLimit(LocalRateLimit.decode(any.value), field);
    case `${PREFIX}envoy.config.route.v3.FilterConfig`: {
      const wrapped = FilterConfig.decode(any.value);
      if (wrapped.disabled) return { kind: "disabled" };
      return wrapped.config === undefined ? undefined : compileFilterOverride(wrapped.config, field.at("config"));
    }
    default:
      field.refuse(`per-route configuration of type ${any.typeUrl} is not built in`);
      return undefined;
  }
}

/** What holds of a filter where an outer level configures it and an inner one does too. */
export function joinOverrides(outer: FilterOverride | undefined, inner: FilterOverride): FilterOverride {
  if (outer?.kind !== "header_mutation" || inner.kind !== "header_mutation") return inner;
  return { kind: "header_mutation", levels: [...inner.levels, ...outer.levels] };
}
