// Role-based access: the policies decide, shadow policies only count.

import type { Counter, Scope } from "../../observe/metrics.ts";
import type { RbacRules, Subject } from "../compile/rbac.ts";
import type { Misses } from "../compile/rbac-explain.ts";
import type { RbacConfig } from "../compile/rbac-filter.ts";
import type { Exchange, Filter, Reply, Struct, Verdict } from "./filter.ts";

export interface RbacStats {
  readonly allowed: Counter;
  readonly denied: Counter;
  readonly shadowAllowed: Counter;
  readonly shadowDenied: Counter;
}

export function rbacStats(scope: Scope, config: RbacConfig): RbacStats {
  const own = dotted(config.statPrefix);
  const shadow = dotted(config.shadowStatPrefix);
  return {
    allowed: scope.counter(`rbac.${own}allowed`),
    denied: scope.counter(`rbac.${own}denied`),
    shadowAllowed: scope.counter(`rbac.${shadow}shadow_allowed`),
    shadowDenied: scope.counter(`rbac.${shadow}shadow_denied`),
  };
}

function dotted(prefix: string): string {
  return prefix === "" || prefix.endsWith(".") ? prefix : `${prefix}.`;
}

/** Undefined: allowed. Otherwise the name of the policy that denies, or `none` where no policy allows. */
export function deniedBy(rules: RbacRules, subject: Subject): string | undefined {
  return outcomeOf(rules, subject.narrowed(rules)(subject));
}

function outcomeOf(rules: RbacRules, matched: string | undefined): string | undefined {
  if (rules.action === "log") return undefined;
  if (rules.action === "deny") return matched;
  return matched === undefined ? "none" : undefined;
}

export function rbacFilter(name: string, own: RbacConfig, scope: Scope): Filter {
  return new RbacFilter(name, own, scope);
}

class RbacFilter implements Filter {
  readonly #name: string;
  readonly #own: RbacConfig;
  readonly #scope: Scope;
  readonly #stats: RbacStats;
  /** What was told last: nearly always what is to be told again. */
  #enforced: Told | undefined;
  #shadow: Told | undefined;

  constructor(name: string, own: RbacConfig, scope: Scope) {
    this.#name = name;
    this.#own = own;
    this.#scope = scope;
    this.#stats = rbacStats(scope, own);
  }

  onRequest(exchange: Exchange): Verdict {
    const override = exchange.override(this.#name);
    if (override?.kind === "disabled") return undefined;
    const config = override?.kind === "rbac" ? override : this.#own;
    if (config.shadow !== undefined) this.#watch(config, config.shadow, exchange);
    if (config.rules === undefined) return undefined;
    const matched = exchange.subject.narrowed(config.rules)(exchange.subject);
    const denied = outcomeOf(config.rules, matched);
    if (config.statsByPolicy)
      this.#countPolicy(config.statPrefix, matched, denied === undefined ? "allowed" : "denied");
    if (config.rules.action === "log") {
      exchange.setDynamicMetadata("envoy.common", { access_log_hint: matched !== undefined });
    }
    this.#enforced = tell(exchange, this.#enforced, { config, matched, denied, engine: "enforced" });
    if (denied === undefined) {
      this.#stats.allowed.value += 1;
      return undefined;
    }
    this.#stats.denied.value += 1;
    return this.#refuse(config, denied, exchange);
  }

  /** Refusals are counted by policy: the one that denies, or those of which none lets it in. */
  #refuse(config: RbacConfig, denied: string, exchange: Exchange): Reply {
    const found = denied === "none" ? config.explain?.(exchange.subject) : undefined;
    if (found === undefined && !config.statsByPolicy) this.#countPolicy(config.statPrefix, denied, "denied");
    for (const { policy } of found?.misses ?? []) this.#countPolicy(config.statPrefix, policy, "missed");
    const publicCause = policyCause(denied);
    const cause = found === undefined ? publicCause : `${publicCause}${missesText(found)}`;
    exchange.setDynamicMetadata("weft.dev", { cause });
    return { ...denial(denied), cause, publicCause };
  }

  onResponse(): void {
    // Nothing of a response is a matter of access.
  }

  /** Shadow rules only count, and say what they would have done. */
  #watch(config: RbacConfig, rules: RbacRules, exchange: Exchange): void {
    const matched = exchange.subject.narrowed(rules)(exchange.subject);
    const denied = outcomeOf(rules, matched);
    if (denied === undefined) this.#stats.shadowAllowed.value += 1;
    else this.#stats.shadowDenied.value += 1;
    if (config.statsByPolicy) {
      this.#countPolicy(config.shadowStatPrefix, matched, denied === undefined ? "shadow_allowed" : "shadow_denied");
    }
    this.#shadow = tell(exchange, this.#shadow, { config, matched, denied, engine: "shadow" });
  }

  #countPolicy(prefix: string, policy: string | undefined, what: string): void {
    if (policy !== undefined) this.#scope.counter(`rbac.${dotted(prefix)}policy.${policy}.${what}`).inc();
  }
}

interface Outcome {
  readonly config: RbacConfig;
  readonly engine: "enforced" | "shadow";
  readonly matched: string | undefined;
  readonly denied: string | undefined;
}

interface Told {
  readonly config: RbacConfig;
  readonly matched: string | undefined;
  readonly fields: Struct;
}

function tell(exchange: Exchange, last: Told | undefined, outcome: Outcome): Told {
  const { config, matched } = outcome;
  const told =
    last !== undefined && last.config === config && last.matched === matched
      ? last
      : { config, matched, fields: fieldsOf(outcome) };
  exchange.setDynamicMetadata(METADATA, told.fields);
  return told;
}

function fieldsOf({ config, engine, matched, denied }: Outcome): Struct {
  const prefix = `${engine === "enforced" ? config.statPrefix : config.shadowStatPrefix}${engine}`;
  return {
    [`${prefix}_engine_result`]: denied === undefined ? "allowed" : "denied",
    ...(matched === undefined ? {} : { [`${prefix}_effective_policy_id`]: matched }),
  };
}

const METADATA = "envoy.filters.http.rbac";

function denial(policy: string): Omit<Reply, "cause"> {
  const escaped = policy.replaceAll(/\s/g, "_");
  return {
    kind: "reply",
    status: 403,
    body: "RBAC: access denied",
    details: `rbac_access_denied_matched_policy[${escaped}]`,
    flag: "",
    headers: ["content-type", "text/plain"],
  };
}

function policyCause(policy: string): string {
  const name = nameOf(policy);
  if (name !== undefined) return `AuthorizationPolicy ${name}`;
  return policy === "none" ? "AuthorizationPolicy: no ALLOW policy matches" : `policy ${policy}`;
}

/** `ns[production]-policy[api]-rule[0]` in a person's words. */
function nameOf(policy: string): string | undefined {
  const match = /^ns\[(.*?)\]-policy\[(.*?)\]-rule\[(\d+)\]$/.exec(policy);
  return match === null ? undefined : `${match[1]}/${match[2]} spec.rules[${match[3]}]`;
}

/** Why nobody let it in: for whoever runs the mesh. */
function missesText({ misses, more }: Misses): string {
  const texts = misses.map(({ policy, field, was, wants }) => {
    const name = nameOf(policy) ?? policy;
    return field === "" ? `${name} matches ${wants}` : `${name} ${field} was ${was}, the rule wants ${wants}`;
  });
  if (more > 0) texts.push(`and ${more} more`);
  return texts.length === 0 ? "" : `: ${texts.join("; ")}`;
}
