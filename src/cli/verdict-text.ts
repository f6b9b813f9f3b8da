// Why a rule of an AuthorizationPolicy does not match, in one line.

import type { RuleVerdict } from "../analyze/authz.ts";

export function verdictText(rule: RuleVerdict): string {
  if (rule.matches) return `${rule.path}  matches`;
  return `${rule.path}.${rule.field}  was ${rule.was}, the rule wants ${rule.wants}`;
}
