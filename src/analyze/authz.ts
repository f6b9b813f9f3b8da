// What the policies of a workload say of one call, rule by rule: which one decides, and of each other the first field that fails.

import type { AuthorizationPolicy, AuthorizationRule } from "../api/istio/authorization-policy.ts";
import { isDryRun, providerOf } from "../model/authorization.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { type AuthzCall, attributeOf, type Clause, type ClauseScope } from "./authz-clause.ts";

export type RuleVerdict =
  | { readonly matches: true; readonly path: string }
  /** The first field that fails, of the alternative that got furthest. */
  | {
      readonly matches: false;
      readonly path: string;
      readonly field: string;
      readonly was: string;
      readonly wants: string;
    };

export interface PolicyVerdict {
  readonly resource: string;
  readonly action: "ALLOW" | "DENY" | "AUDIT" | "CUSTOM";
  readonly dryRun: boolean;
  readonly matches: boolean;
  /** Without rules it matches nothing. */
  readonly rules: readonly RuleVerdict[];
}

export interface AuthzDecision {
  /** `ask`: an external authorizer decides, if the rest would allow it. */
  readonly outcome: "allowed" | "denied" | "ask";
  /** A sentence that names what decided. */
  readonly reason: string;
  /** As they are asked: CUSTOM, DENY, ALLOW, and AUDIT, which decides nothing. */
  readonly policies: readonly PolicyVerdict[];
}

const ORDER = ["CUSTOM", "DENY", "ALLOW", "AUDIT"] as const;

export function decide(
  policies: readonly AuthorizationPolicy[],
  call: AuthzCall,
  mesh: ClauseScope["mesh"],
): AuthzDecision {
  const judged = ORDER.flatMap((action) =>
    policies
      .filter(({ spec }) => (spec?.action ?? "ALLOW") === action)
      .map((policy) => ({ policy, verdict: judge(policy, action, call, mesh) })),
  );
  const verdicts = judged.map(({ verdict }) => verdict);
  const inForce = judged.filter(({ verdict }) => !verdict.dryRun);
  const matching = (action: string) => inForce.find(({ verdict }) => verdict.action === action && verdict.matches);
  const custom = inForce.filter(({ verdict }) => verdict.action === "CUSTOM" && verdict.matches);
  const orphan = custom.find(({ policy }) => call.protocol === "tcp" || providerOf(policy, mesh) === undefined);
  const allows = inForce.filter(({ verdict }) => verdict.action === "ALLOW");
  const done = (outcome: AuthzDecision["outcome"], reason: string): AuthzDecision => ({
    outcome,
    reason,
    policies: verdicts,
  });
  const denying = orphan ?? matching("DENY");
  if (denying === orphan && orphan !== undefined) {
    return done("denied", `${orphan.verdict.resource} (CUSTOM) is about it, and its authorizer can't be asked`);
  }
  if (denying !== undefined) return done("denied", `${ruleText(denying.verdict)} (DENY) matches`);
  if (allows.length > 0 && matching("ALLOW") === undefined) {
    return done("denied", `no ALLOW policy matches: ${allows.map(({ verdict }) => missText(verdict)).join("; ")}`);
  }
  const [asking] = custom;
  if (asking !== undefined) {
    const name = asking.policy.spec?.provider?.name ?? "";
    return done("ask", `${ruleText(asking.verdict)} (CUSTOM) matches: the authorizer "${name}" decides`);
  }
  const allowing = matching("ALLOW");
  if (allowing !== undefined) return done("allowed", `${ruleText(allowing.verdict)} (ALLOW) matches`);
  return done("allowed", "no ALLOW policy selects the workload, and no DENY policy matches");
}

function judge(
  policy: AuthorizationPolicy,
  action: PolicyVerdict["action"],
  call: AuthzCall,
  mesh: ClauseScope["mesh"],
): PolicyVerdict {
  const scope = { mesh, namespace: policy.metadata.namespace ?? "default" };
  const rules = (policy.spec?.rules ?? []).map((rule, i) =>
    judgeRule(rule, { path: `spec.rules[${i}]`, action, call, scope }),
  );
  return {
    resource: formatRef(refOf(policy)),
    action,
    dryRun: isDryRun(policy),
    matches: rules.some(({ matches }) => matches),
    rules,
  };
}

interface RuleContext {
  readonly path: string;
  readonly action: PolicyVerdict["action"];
  readonly call: AuthzCall;
  readonly scope: ClauseScope;
}

function judgeRule(rule: AuthorizationRule, context: RuleContext): RuleVerdict {
  const conditions = (rule.when ?? []).flatMap(({ key, values, notValues }, i) => [
    ...clause(`when[${i}].values`, key, values, false),
    ...clause(`when[${i}].notValues`, key, notValues, true),
  ]);
  const froms = alternatives(rule.from, (from, i) => fieldsOf(from.source, `from[${i}].source`));
  const tos = alternatives(rule.to, (to, i) => fieldsOf(to.operation, `to[${i}].operation`));
  const failure =
    unseenOnTcp([...froms, ...tos, conditions].flat(), context) ??
    furthest(froms, context) ??
    furthest(tos, context) ??
    furthest([conditions], context);
  const { path } = context;
  return failure === undefined ? { matches: true, path } : { matches: false, path, ...failure };
}

/** A list of alternatives; nothing said is one that asks nothing. */
function alternatives<T>(list: readonly T[] | undefined, read: (item: T, i: number) => readonly Clause[]) {
  return list === undefined || list.length === 0 ? [[]] : list.map(read);
}

function fieldsOf(value: object | undefined, path: string): readonly Clause[] {
  return Object.entries(value ?? {}).flatMap(([field, list]: [string, readonly string[]]) => {
    const negated = /^not[A-Z]/.test(field);
    const key = negated ? `${field[3]?.toLowerCase()}${field.slice(4)}` : field;
    return clause(`${path}.${field}`, key, list, negated);
  });
}

function clause(
  field: string,
  key: string,
  values: readonly string[] | undefined,
  negated: boolean,
): readonly Clause[] {
  return values === undefined || values.length === 0 ? [] : [{ field, key, values, negated }];
}

type Failure = Pick<Extract<RuleVerdict, { matches: false }>, "field" | "was" | "wants">;

/** Undefined: one alternative holds. Otherwise the failure of the one of which most held before it. */
function furthest(all: readonly (readonly Clause[])[], context: RuleContext): Failure | undefined {
  let best: { readonly failure: Failure; readonly held: number } | undefined;
  for (const clauses of all) {
    const at = clauses.findIndex((each) => failureOf(each, context) !== undefined);
    const failing = clauses[at];
    const failure = failing === undefined ? undefined : failureOf(failing, context);
    if (failure === undefined) return undefined;
    if (best === undefined || at > best.held) best = { failure, held: at };
  }
  return best?.failure;
}

/** On TCP an attribute of HTTP in any alternative makes an ALLOW rule impossible. */
function unseenOnTcp(clauses: readonly Clause[], { action, call, scope }: RuleContext): Failure | undefined {
  const unseen =
    action === "ALLOW" ? clauses.find(({ key }) => attributeOf(key, call, scope) === undefined) : undefined;
  if (unseen === undefined) return undefined;
  const { field, values, negated } = unseen;
  return { field, was: "a TCP connection, which has none", wants: wantsText(values, negated) };
}

function failureOf({ field, key, values, negated }: Clause, { call, scope }: RuleContext): Failure | undefined {
  const attribute = attributeOf(key, call, scope);
  // A DENY looks at what is there.
  if (attribute === undefined) return undefined;
  const found = values.some((value) => attribute.holds(value));
  return found !== negated ? undefined : { field, was: attribute.was, wants: wantsText(values, negated) };
}

function wantsText(values: readonly string[], negated: boolean): string {
  return `${negated ? "none of " : ""}${values.join(", ")}`;
}

function ruleText({ resource, rules }: PolicyVerdict): string {
  return `${resource} ${rules.find(({ matches }) => matches)?.path ?? ""}`;
}

function missText({ resource, rules }: PolicyVerdict): string {
  const misses = rules.flatMap((rule) =>
    rule.matches ? [] : [`${rule.path}.${rule.field} was ${rule.was}, the rule wants ${rule.wants}`],
  );
  return misses.length === 0 ? `${resource} has no rules` : `${resource}: ${misses.join(", ")}`;
}
