// AuthorizationPolicies with action CUSTOM: shadow rules tell which requests are meant, for those the authorizer is asked.

import type { AuthorizationPolicy } from "../api/istio/authorization-policy.ts";
import type { ExtensionProvider } from "../api/istio/mesh-config.ts";
import { providerOf } from "../model/authorization.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { ApiVersion } from "../proto/gen/envoy/config/core/v3/config_source.ts";
import { RBAC_Action, type RBAC as Rules } from "../proto/gen/envoy/config/rbac/v3/rbac.ts";
import {
  BufferSettings,
  ExtAuthz,
  HttpService,
} from "../proto/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts";
import { RBAC as HttpRbac } from "../proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import type { HttpFilter } from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { ListStringMatcher } from "../proto/gen/envoy/type/matcher/v3/string.ts";
import { HttpStatus } from "../proto/gen/envoy/type/v3/http_status.ts";
import { httpFilter } from "./http-filters.ts";
import { outboundName } from "./names.ts";
import { any, durationFromText, durationOf } from "./wire.ts";

const POLICY_PREFIX = "istio-ext-authz-";
const TIMEOUT_MS = 600_000;
const RBAC_METADATA = "envoy.filters.http.rbac";

type HttpProvider = NonNullable<ExtensionProvider["envoyExtAuthzHttp"]>;
type GrpcProvider = NonNullable<ExtensionProvider["envoyExtAuthzGrpc"]>;
type RulesOf = (policies: readonly AuthorizationPolicy[], action: RBAC_Action) => Rules;

/** Those whose provider nobody defined: nobody can be asked, so what they are about is refused. */
export function withoutProvider(
  policies: readonly AuthorizationPolicy[],
  mesh: MeshConfig,
): readonly AuthorizationPolicy[] {
  return policies.filter((policy) => policy.spec?.action === "CUSTOM" && providerOf(policy, mesh) === undefined);
}

export function extAuthzFilters(
  policies: readonly AuthorizationPolicy[],
  mesh: MeshConfig,
  rulesOf: RulesOf,
): HttpFilter[] {
  const byProvider = new Map<ExtensionProvider, AuthorizationPolicy[]>();
  for (const policy of policies.filter(({ spec }) => spec?.action === "CUSTOM")) {
    const provider = providerOf(policy, mesh);
    if (provider === undefined) continue;
    byProvider.set(provider, [...(byProvider.get(provider) ?? []), policy]);
  }
  return [...byProvider].flatMap(([provider, own]) => {
    const config = providerFilter(provider, mesh);
    return config === undefined ? [] : [shadow(own, statPrefix(provider), rulesOf), ask(config, provider)];
  });
}

/** One for each provider, so that two don't take each other's requests for their own. */
function statPrefix({ name }: ExtensionProvider): string {
  return `istio_ext_authz_${name}_`;
}

function shadow(policies: readonly AuthorizationPolicy[], prefix: string, rulesOf: RulesOf): HttpFilter {
  const rules = rulesOf(policies, RBAC_Action.DENY);
  const named = Object.entries(rules.policies).map(([name, policy]) => [`${POLICY_PREFIX}${name}`, policy] as const);
  const config = HttpRbac.fromPartial({ shadowRulesStatPrefix: prefix });
  config.shadowRules = { ...rules, policies: Object.fromEntries(named) };
  return httpFilter(RBAC_METADATA, any("envoy.extensions.filters.http.rbac.v3.RBAC", HttpRbac, config));
}

function ask(config: ExtAuthz, provider: ExtensionProvider): HttpFilter {
  config.transportApiVersion = ApiVersion.V3;
  config.filterEnabledMetadata = {
    filter: RBAC_METADATA,
    path: [{ segment: { $case: "key", value: `${statPrefix(provider)}shadow_effective_policy_id` } }],
    value: {
      matchPattern: {
        $case: "stringMatch",
        value: { matchPattern: { $case: "prefix", value: POLICY_PREFIX }, ignoreCase: false },
      },
    },
    invert: false,
  };
  return httpFilter(
    "envoy.filters.http.ext_authz",
    any("envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", ExtAuthz, config),
  );
}

function providerFilter(provider: ExtensionProvider, mesh: MeshConfig): ExtAuthz | undefined {
  const { envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = provider;
  const common = http ?? grpc;
  if (common === undefined) return undefined;
  const config = ExtAuthz.fromPartial({
    failureModeAllow: common.failOpen ?? false,
    clearRouteCache: common.clearRouteCache ?? false,
  });
  const status = Number(common.statusOnError ?? "");
  if (status > 0) config.statusOnError = HttpStatus.fromJSON({ code: status });
  const body = common.includeRequestBodyInCheck;
  if (body !== undefined) {
    config.withRequestBody = BufferSettings.fromPartial({
      maxRequestBytes: body.maxRequestBytes ?? 0,
      allowPartialMessage: body.allowPartialMessage ?? false,
      packAsBytes: body.packAsBytes ?? false,
    });
  }
  if (http !== undefined) setHttp(config, http, mesh);
  else if (grpc !== undefined) setGrpc(config, grpc, mesh);
  return config;
}

function setHttp(config: ExtAuthz, http: HttpProvider, mesh: MeshConfig): void {
  const { host, cluster } = upstreamOf(http, mesh);
  config.allowedHeaders = listOf(http.includeRequestHeadersInCheck ?? http.includeHeadersInCheck);
  const service = HttpService.fromPartial({
    pathPrefix: http.pathPrefix ?? "",
    serverUri: {
      uri: `http://${host}`,
      httpUpstreamType: { $case: "cluster", value: cluster },
      timeout: http.timeout === undefined ? durationOf(TIMEOUT_MS) : durationFromText(http.timeout),
    },
    authorizationRequest: {
      headersToAdd: Object.entries(http.includeAdditionalHeadersInCheck ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => ({ key, value })),
    },
  });
  service.authorizationResponse = {
    allowedUpstreamHeaders: listOf(http.headersToUpstreamOnAllow),
    allowedUpstreamHeadersToAppend: undefined,
    allowedClientHeaders: listOf(http.headersToDownstreamOnDeny),
    allowedClientHeadersOnSuccess: listOf(http.headersToDownstreamOnAllow),
    dynamicMetadataFromHeaders: undefined,
  };
  config.services = { $case: "httpService", value: service };
}

function setGrpc(config: ExtAuthz, grpc: GrpcProvider, mesh: MeshConfig): void {
  const { host, cluster } = upstreamOf(grpc, mesh);
  const from = ExtAuthz.fromPartial({
    services: {
      $case: "grpcService",
      value: {
        targetSpecifier: { $case: "envoyGrpc", value: { clusterName: cluster, authority: host } },
        timeout: grpc.timeout === undefined ? durationOf(TIMEOUT_MS) : durationFromText(grpc.timeout),
      },
    },
  });
  config.services = from.services;
}

/** `service` is `[NAMESPACE/]HOST`. */
function upstreamOf(
  { service = "", port = 0 }: HttpProvider | GrpcProvider,
  mesh: MeshConfig,
): { readonly host: string; readonly cluster: string } {
  const name = service.slice(service.lastIndexOf("/") + 1);
  const host = name.includes(".") ? name : `${name}.${mesh.rootNamespace}.svc.${mesh.clusterDomain}`;
  return { host, cluster: outboundName(port, undefined, host) };
}

/** An entry that ends or begins with `*` stands for what begins or ends with the rest. */
function listOf(names: readonly string[] | undefined): ListStringMatcher | undefined {
  if (names === undefined || names.length === 0) return undefined;
  return ListStringMatcher.fromPartial({
    patterns: names.map((name) => ({
      matchPattern: name.endsWith("*")
        ? { $case: "prefix" as const, value: name.slice(0, -1) }
        : name.startsWith("*")
          ? { $case: "suffix" as const, value: name.slice(1) }
          : { $case: "exact" as const, value: name },
      ignoreCase: true,
    })),
  });
}
