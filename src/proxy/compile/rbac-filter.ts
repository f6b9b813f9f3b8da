// The RBAC filter's configuration: rules that decide and rules that only count.

import type { RBAC as Rules } from "../../proto/gen/envoy/config/rbac/v3/rbac.ts";
import type { RBAC } from "../../proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { type Field, fields } from "./field.ts";
import { compileRules, type RbacRules } from "./rbac.ts";
import { type Explain, explainer } from "./rbac-explain.ts";

export interface RbacConfig {
  readonly kind: "rbac";
  /** Undefined: everything passes. */
  readonly rules: RbacRules | undefined;
  readonly shadow: RbacRules | undefined;
  /** Why the rules did not match. */
  readonly explain: Explain | undefined;
  readonly statPrefix: string;
  readonly shadowStatPrefix: string;
  readonly statsByPolicy: boolean;
}

export function compileRbac(rbac: RBAC, at: Field): RbacConfig {
  at.only(rbac, fields("rules shadowRules rulesStatPrefix shadowRulesStatPrefix trackPerRuleStats"));
  return {
    kind: "rbac",
    ...compileRuleSets(rbac, at),
    statPrefix: rbac.rulesStatPrefix,
    shadowStatPrefix: rbac.shadowRulesStatPrefix,
    statsByPolicy: rbac.trackPerRuleStats,
  };
}

/** What the HTTP filter's and the network filter's messages have in common. */
export function compileRuleSets(
  rbac: { readonly rules: Rules | undefined; readonly shadowRules: Rules | undefined },
  at: Field,
): Pick<RbacConfig, "rules" | "shadow" | "explain"> {
  return {
    rules: rbac.rules === undefined ? undefined : compileRules(rbac.rules, at.at("rules")),
    explain: rbac.rules === undefined ? undefined : explainer(rbac.rules),
    shadow: rbac.shadowRules === undefined ? undefined : compileRules(rbac.shadowRules, at.at("shadowRules")),
  };
}
