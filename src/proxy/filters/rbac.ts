// Role-based access: the policies decide, shadow policies only count.

import type { Counter, Scope } from "../../observe/metrics.ts";
import type { RbacRules, Subject } from "../compile/rbac.ts";
import type { RbacConfig } from "../compile/rbac-filter.ts";
import type { Exchange, Filter, Reply } from "./filter.ts";

export interface RbacStats {
  readonly allowed: Counter;
  readonly denied: Counter;
  readonly shadowAllowed: Counter;
  readonly shadowDenied: Counter;
}

export function rbacStats(scope: Scope, config: RbacConfig): RbacStats {
  return {
    allowed: scope.counter(`rbac.${config.statPrefix}allowed`),
    denied: scope.counter(`rbac.${config.statPrefix}denied`),
    shadowAllowed: scope.counter(`rbac.${config.shadowStatPrefix}shadow_allowed`),
    shadowDenied: scope.counter(`rbac.${config.shadowStatPrefix}shadow_denied`),
  };
}

/** Undefined: allowed. Otherwise the name of the policy that denies, or `none` where no policy allows. */
export function deniedBy(rules: RbacRules, subject: Subject): string | undefined {
  const matched = rules.match(subject);
  if (rules.action === "log") return undefined;
  if (rules.action === "deny") return matched;
  return matched === undefined ? "none" : undefined;
}

export function rbacFilter(name: string, own: RbacConfig, scope: Scope): Filter {
  const stats = rbacStats(scope, own);
  return {
    onRequest(exchange: Exchange) {
      const override = exchange.override(name);
      if (override?.kind === "disabled") return undefined;
      const config = override?.kind === "rbac" ? override : own;
      if (config.shadow !== undefined) {
        if (deniedBy(config.shadow, exchange.subject) === undefined) stats.shadowAllowed.value += 1;
        else stats.shadowDenied.value += 1;
      }
      if (config.rules === undefined) return undefined;
      const policy = deniedBy(config.rules, exchange.subject);
      if (policy === undefined) {
        stats.allowed.value += 1;
        return undefined;
      }
      stats.denied.value += 1;
      return denial(policy);
    },
    onResponse() {
      // Nothing of a response is a matter of access.
    },
  };
}

function denial(policy: string): Reply {
  const escaped = policy.replaceAll(/\s/g, "_");
  return {
    kind: "reply",
    status: 403,
    body: "RBAC: access denied",
    details: `rbac_access_denied_matched_policy[${escaped}]`,
    flag: "",
    headers: ["content-type", "text/plain"],
    cause: policyCause(policy),
  };
}

/** `ns[production]-policy[api]-rule[0]` in a person's words. */
function policyCause(policy: string): string {
  const match = /^ns\[(.*?)\]-policy\[(.*?)\]-rule\[(\d+)\]$/.exec(policy);
  if (match === null) return policy === "none" ? "AuthorizationPolicy: no ALLOW policy matches" : `policy ${policy}`;
  return `AuthorizationPolicy ${match[1]}/${match[2]} spec.rules[${match[3]}]`;
}
