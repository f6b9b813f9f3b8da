// What access rules come to for one connection: each set of rules is narrowed when it is first met there.

import type { PolicyMatch, RbacRules, Subject } from "../compile/rbac.ts";
import { NARROWED_RULES_MAX } from "../limits.ts";

export class NarrowedRules {
  #last: RbacRules | undefined;
  #lastMatch: PolicyMatch | undefined;
  #others: Map<RbacRules, PolicyMatch> | undefined;

  get(rules: RbacRules, subject: Subject): PolicyMatch {
    if (rules === this.#last && this.#lastMatch !== undefined) return this.#lastMatch;
    const match = this.#find(rules, subject);
    this.#last = rules;
    this.#lastMatch = match;
    return match;
  }

  #find(rules: RbacRules, subject: Subject): PolicyMatch {
    this.#others ??= new Map();
    const known = this.#others.get(rules);
    if (known !== undefined) return known;
    if (this.#others.size >= NARROWED_RULES_MAX) this.#others.clear();
    const match = rules.narrow(subject);
    this.#others.set(rules, match);
    return match;
  }
}
