// AuthorizationPolicies to RBAC filters: what an authorizer decides, then audit, deny and allow, each with Istio's policy names.

import type { AuthorizationPolicy } from "../api/istio/authorization-policy.ts";
import { isDryRun } from "../model/authorization.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { Filter } from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { RBAC_Action, RBAC as Rules } from "../proto/gen/envoy/config/rbac/v3/rbac.ts";
import { RBAC as HttpRbac } from "../proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import type { HttpFilter } from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { RBAC as TcpRbac } from "../proto/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts";
import { extAuthzFilters, withoutProvider } from "./ext-authz.ts";
import { httpFilter } from "./http-filters.ts";
import { policyOfRule, type RuleScope } from "./rbac-rule.ts";
import { any } from "./wire.ts";

const SHADOW_PREFIX = { allow: "istio_dry_run_allow_", deny: "istio_dry_run_deny_" } as const;

export interface RbacTarget {
  readonly mesh: MeshConfig;
  readonly servedPort: number | undefined;
}

export function httpRbacFilters(policies: readonly AuthorizationPolicy[], target: RbacTarget): HttpFilter[] {
  const { mesh, servedPort } = target;
  const scope = { protocol: "http", mesh, servedPort } as const;
  const asking = extAuthzFilters(policies, mesh, (own, action) => rulesOf(own, action, scope));
  const deciding = build(policies, withoutProvider(policies, mesh), scope).map(
    ({ rules, shadowRules, shadowPrefix }) => {
      const config = HttpRbac.fromPartial({ shadowRulesStatPrefix: shadowPrefix });
      config.rules = rules;
      config.shadowRules = shadowRules;
      return httpFilter("envoy.filters.http.rbac", any("envoy.extensions.filters.http.rbac.v3.RBAC", HttpRbac, config));
    },
  );
  return [...asking, ...deciding];
}

export function tcpRbacFilters(policies: readonly AuthorizationPolicy[], { mesh, servedPort }: RbacTarget): Filter[] {
  const scope = { protocol: "tcp", mesh, servedPort } as const;
  // An authorizer is asked about requests: a connection can't be shown to it.
  const custom = policies.filter(({ spec }) => spec?.action === "CUSTOM");
  return build(policies, custom, scope).map(({ rules, shadowRules, shadowPrefix }) => {
    const config = TcpRbac.fromPartial({ statPrefix: "tcp.", shadowRulesStatPrefix: shadowPrefix });
    config.rules = rules;
    config.shadowRules = shadowRules;
    const typedConfig = any("envoy.extensions.filters.network.rbac.v3.RBAC", TcpRbac, config);
    return Filter.fromPartial({
      name: "envoy.filters.network.rbac",
      configType: { $case: "typedConfig", value: typedConfig },
    });
  });
}

interface BuiltRules {
  readonly rules: Rules | undefined;
  readonly shadowRules: Rules | undefined;
  readonly shadowPrefix: string;
}

/** `unasked`: CUSTOM policies whose authorizer can't be asked. */
function build(
  policies: readonly AuthorizationPolicy[],
  unasked: readonly AuthorizationPolicy[],
  scope: Omit<RuleScope, "action" | "namespace">,
): readonly BuiltRules[] {
  const of = (...actions: readonly string[]) =>
    policies.filter(({ spec }) => actions.includes(spec?.action ?? "ALLOW"));
  return [
    // What an authorizer would decide that can't be asked is refused.
    section(unasked, RBAC_Action.DENY, scope),
    section(of("AUDIT"), RBAC_Action.LOG, scope),
    section(of("DENY"), RBAC_Action.DENY, scope),
    section(of("ALLOW"), RBAC_Action.ALLOW, scope),
  ].filter((each) => each !== undefined);
}

function section(
  policies: readonly AuthorizationPolicy[],
  action: RBAC_Action,
  scope: Omit<RuleScope, "action" | "namespace">,
): BuiltRules | undefined {
  if (policies.length === 0) return undefined;
  const dry = policies.filter(isDryRun);
  const enforced = policies.filter((each) => !isDryRun(each));
  return {
    rules: enforced.length === 0 ? undefined : rulesOf(enforced, action, scope),
    shadowRules: dry.length === 0 ? undefined : rulesOf(dry, action, scope),
    shadowPrefix: dry.length === 0 ? SHADOW_PREFIX.allow : shadowPrefix(action),
  };
}

function shadowPrefix(action: RBAC_Action): string {
  if (action === RBAC_Action.LOG) return "";
  return action === RBAC_Action.DENY ? SHADOW_PREFIX.deny : SHADOW_PREFIX.allow;
}

function rulesOf(
  policies: readonly AuthorizationPolicy[],
  action: RBAC_Action,
  scope: Omit<RuleScope, "action" | "namespace">,
): Rules {
  const out = Rules.fromPartial({ action });
  for (const { metadata, spec } of policies) {
    const namespace = metadata.namespace ?? "default";
    // A policy without rules matches nothing: ALLOW then refuses everything, DENY nothing.
    const given = spec?.rules ?? [];
    for (const [i, rule] of (given.length === 0 ? [undefined] : given).entries()) {
      const built = policyOfRule(rule, { ...scope, action, namespace });
      if (built !== undefined) out.policies[`ns[${namespace}]-policy[${metadata.name}]-rule[${i}]`] = built;
    }
  }
  return out;
}
