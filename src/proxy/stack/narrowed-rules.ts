// What access rules come to for one connection: each set of rules is narrowed when it is first met there.

import type { PolicyMatch, RbacRules, Subject } from "../compile/rbac.ts";
import { NARROWED_RULES_MAX } from "../limits.ts";

export class NarrowedRules {
  /** Made with the first rules: most connections have none. */
  #known: Map<RbacRules, PolicyMatch> | undefined;

  get(rules: RbacRules, subject: Subject): PolicyMatch {
    this.#known ??= new Map();
    const known = this.#known.get(rules);
    if (known !== undefined) return known;
    if (this.#known.size >= NARROWED_RULES_MAX) this.#known.clear();
    const match = rules.narrow(subject);
    this.#known.set(rules, match);
    return match;
  }
}
