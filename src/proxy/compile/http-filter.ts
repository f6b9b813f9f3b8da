// HTTP filters by type URL: each to its own configuration, in the order of the list. An unknown one is refused.

import { FilterConfig } from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import { Cors, CorsPolicy } from "../../proto/gen/envoy/extensions/filters/http/cors/v3/cors.ts";
import { HTTPFault } from "../../proto/gen/envoy/extensions/filters/http/fault/v3/fault.ts";
import { RBAC, RBACPerRoute } from "../../proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { Router } from "../../proto/gen/envoy/extensions/filters/http/router/v3/router.ts";
import { Config as SetFilterState } from "../../proto/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.ts";
import type { HttpFilter } from "../../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import type { Any } from "../../proto/gen/google/protobuf/any.ts";
import { type Field, fields } from "./field.ts";
import { compileHeaders, compileString, type HeaderPredicate, type StringPredicate } from "./matcher.ts";
import { compileRules, type RbacRules } from "./rbac.ts";
import { durationMs, fraction, runtimeFraction } from "./value.ts";

export interface RbacConfig {
  readonly kind: "rbac";
  /** Undefined: everything passes. */
  readonly rules: RbacRules | undefined;
  readonly shadow: RbacRules | undefined;
  readonly statPrefix: string;
  readonly shadowStatPrefix: string;
}

export interface FaultConfig {
  readonly kind: "fault";
  readonly delayMs: number;
  readonly delayShare: number;
  /** Delay and abort come from the request's x-envoy-fault-… headers. */
  readonly delayByHeader: boolean;
  readonly abortStatus: number;
  readonly abortShare: number;
  readonly abortByHeader: boolean;
  readonly headers: readonly HeaderPredicate[];
  readonly upstreamCluster: string;
  readonly activeMax: number;
}

export interface CorsConfig {
  readonly kind: "cors";
  readonly origins: readonly StringPredicate[];
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  readonly enabledShare: number;
  readonly forwardNotMatchingPreflights: boolean;
}

export interface FilterStateConfig {
  readonly kind: "set_filter_state";
  /** What the upstream connection offers by ALPN. */
  readonly applicationProtocols: readonly string[] | undefined;
}

export interface RouterConfig {
  readonly kind: "router";
  readonly suppressEnvoyHeaders: boolean;
}

export type FilterOverride = RbacConfig | FaultConfig | CorsConfig | { readonly kind: "disabled" };
export type FilterConfigs = RbacConfig | FaultConfig | CorsConfig | FilterStateConfig | RouterConfig;

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
      return { kind: "router", suppressEnvoyHeaders: router.suppressEnvoyHeaders };
    }
    case `${HTTP}rbac.v3.RBAC`:
      return compileRbac(RBAC.decode(any.value), at);
    case `${HTTP}fault.v3.HTTPFault`:
      return compileFault(HTTPFault.decode(any.value), at);
    case `${HTTP}cors.v3.Cors`:
      at.only(Cors.decode(any.value), fields(""));
      return NO_CORS;
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

function compileRbac(rbac: RBAC, at: Field): RbacConfig {
  at.only(rbac, fields("rules shadowRules rulesStatPrefix shadowRulesStatPrefix trackPerRuleStats"));
  return {
    kind: "rbac",
    rules: rbac.rules === undefined ? undefined : compileRules(rbac.rules, at.at("rules")),
    shadow: rbac.shadowRules === undefined ? undefined : compileRules(rbac.shadowRules, at.at("shadowRules")),
    statPrefix: rbac.rulesStatPrefix,
    shadowStatPrefix: rbac.shadowRulesStatPrefix,
  };
}

function compileFault(fault: HTTPFault, at: Field): FaultConfig {
  at.only(fault, fields("delay abort upstreamCluster headers maxActiveFaults disableDownstreamClusterStats"));
  const delay = fault.delay?.faultDelaySecifier;
  const abort = fault.abort?.errorType;
  if (abort?.$case === "grpcStatus") at.at("abort").at("grpcStatus").refuse("gRPC is not served yet");
  return {
    kind: "fault",
    delayMs: delay?.$case === "fixedDelay" ? (durationMs(delay.value) ?? 0) : 0,
    delayShare: fault.delay === undefined ? 0 : fraction(fault.delay.percentage),
    delayByHeader: delay?.$case === "headerDelay",
    abortStatus: abort?.$case === "httpStatus" ? abort.value : 0,
    abortShare: fault.abort === undefined ? 0 : fraction(fault.abort.percentage),
    abortByHeader: abort?.$case === "headerAbort",
    headers: compileHeaders(fault.headers, at.at("headers")),
    upstreamCluster: fault.upstreamCluster,
    activeMax: fault.maxActiveFaults ?? Number.POSITIVE_INFINITY,
  };
}

function compileCors(cors: CorsPolicy, at: Field): CorsConfig {
  at.only(
    cors,
    fields(
      "allowOriginStringMatch allowMethods allowHeaders exposeHeaders maxAge allowCredentials filterEnabled forwardNotMatchingPreflights",
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
    enabledShare: runtimeFraction(cors.filterEnabled, 1),
    forwardNotMatchingPreflights: cors.forwardNotMatchingPreflights ?? true,
  };
}

/** The filter without a route's policy lets everything pass. */
const NO_CORS: CorsConfig = {
  kind: "cors",
  origins: [],
  allowMethods: "",
  allowHeaders: "",
  exposeHeaders: "",
  maxAge: "",
  allowCredentials: false,
  enabledShare: 0,
  forwardNotMatchingPreflights: true,
};

function compileFilterState(config: SetFilterState, at: Field): FilterStateConfig {
  let applicationProtocols: readonly string[] | undefined;
  for (const [index, value] of config.onRequestHeaders.entries()) {
    const field = at.at("onRequestHeaders").at(index);
    if (value.key?.value !== "envoy.network.application_protocols") {
      field.at("objectKey").refuse("only envoy.network.application_protocols can be set");
      continue;
    }
    const format = value.value?.value.format;
    if (format?.$case !== "textFormat" && format?.$case !== "textFormatSource") {
      field.at("formatString").refuse("a text format is needed");
      continue;
    }
    const text = format.$case === "textFormat" ? format.value : inlineOf(format.value.specifier);
    if (text.includes("%")) field.at("formatString").refuse("the list of protocols must be fixed");
    applicationProtocols = text.split(",").map((one) => one.trim());
  }
  return { kind: "set_filter_state", applicationProtocols };
}

function inlineOf(specifier: { $case: string; value: unknown } | undefined): string {
  return specifier?.$case === "inlineString" && typeof specifier.value === "string" ? specifier.value : "";
}
