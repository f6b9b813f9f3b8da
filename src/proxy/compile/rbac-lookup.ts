// Which of many policies a request can match at all, by its path or by a header: the others are not looked at.

import type { Permission, Policy, Principal } from "../../proto/gen/envoy/config/rbac/v3/rbac.ts";
import { UriTemplateMatchConfig } from "../../proto/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts";
import type { HeaderSource } from "./matcher.ts";

/** One of these must be so. */
type PathKey = { readonly kind: "exact" | "prefix"; readonly text: string };

interface HeaderKey {
  readonly name: string;
  readonly value: string;
}

interface Looked {
  readonly headers: HeaderSource | undefined;
  readonly path: string;
}

/** Policies by their place in the order of their names. */
export class PolicyLookup {
  readonly #exact = new Map<string, number[]>();
  /** By length, so that one look at each finds those that a path begins with. */
  readonly #prefixes = new Map<number, Map<string, number[]>>();
  readonly #headers = new Map<string, Map<string, number[]>>();
  readonly #rest: number[] = [];

  constructor(policies: readonly Policy[]) {
    for (const [order, policy] of policies.entries()) this.#add(policy, order);
  }

  /** The first that holds; -1: none. */
  first<T extends Looked>(subject: T, holds: (order: number, subject: T) => boolean): number {
    const { headers } = subject;
    let best = firstIn(this.#rest, Number.POSITIVE_INFINITY, subject, holds);
    if (headers !== undefined) {
      if (this.#exact.size > 0 || this.#prefixes.size > 0) best = this.#byPath(subject, best, holds);
      for (const [name, byValue] of this.#headers) {
        for (const line of linesOf(headers, name)) best = firstIn(byValue.get(line), best, subject, holds);
      }
    }
    return best === Number.POSITIVE_INFINITY ? -1 : best;
  }

  #byPath<T extends Looked>(subject: T, from: number, holds: (order: number, subject: T) => boolean): number {
    const { path } = subject;
    let best = firstIn(this.#exact.get(path), from, subject, holds);
    for (const [length, byText] of this.#prefixes) {
      if (length <= path.length) best = firstIn(byText.get(path.slice(0, length)), best, subject, holds);
    }
    return best;
  }

  #add(policy: Policy, order: number): void {
    const paths = every(policy.permissions, pathKeys);
    if (paths !== undefined) {
      for (const { kind, text } of paths) {
        if (kind === "exact") put(this.#exact, text, order);
        else put(inner(this.#prefixes, text.length), text, order);
      }
      return;
    }
    const headers = every(policy.principals, principalHeader) ?? every(policy.permissions, permissionHeader);
    if (headers === undefined) this.#rest.push(order);
    else for (const { name, value } of headers) put(inner(this.#headers, name), value, order);
  }
}

/** Lists are in order: the first that holds is the best of its list. */
function firstIn<T>(
  orders: readonly number[] | undefined,
  best: number,
  subject: T,
  holds: (order: number, subject: T) => boolean,
): number {
  if (orders === undefined) return best;
  for (const order of orders) {
    if (order >= best) return best;
    if (holds(order, subject)) return order;
  }
  return best;
}

function linesOf(headers: HeaderSource, name: string): readonly string[] {
  const lines: string[] = [];
  if (headers.some === undefined) {
    const only = headers.get(name);
    return only === undefined ? lines : [only];
  }
  headers.some(name, (line) => {
    lines.push(line);
    return false;
  });
  return lines;
}

function inner<K>(map: Map<K, Map<string, number[]>>, key: K): Map<string, number[]> {
  const known = map.get(key) ?? new Map<string, number[]>();
  map.set(key, known);
  return known;
}

function put(map: Map<string, number[]>, key: string, order: number): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [order]);
  else if (known.at(-1) !== order) known.push(order);
}

/** Of alternatives each must have keys. */
function every<T, K>(all: readonly T[], keysOf: (one: T) => readonly K[] | undefined): readonly K[] | undefined {
  const keys: K[] = [];
  for (const one of all) {
    const own = keysOf(one);
    if (own === undefined) return undefined;
    keys.push(...own);
  }
  return all.length === 0 ? undefined : keys;
}

/** Of parts that all must hold, one that has keys is enough. */
function some<T, K>(all: readonly T[], keysOf: (one: T) => readonly K[] | undefined): readonly K[] | undefined {
  for (const one of all) {
    const keys = keysOf(one);
    if (keys !== undefined) return keys;
  }
  return undefined;
}

function pathKeys({ rule }: Permission): readonly PathKey[] | undefined {
  switch (rule?.$case) {
    case "andRules":
      return some(rule.value.rules, pathKeys);
    case "orRules":
      return every(rule.value.rules, pathKeys);
    case "urlPath": {
      const matcher = rule.value.rule?.value;
      const pattern = matcher?.matchPattern;
      if (matcher?.ignoreCase === true || (pattern?.$case !== "exact" && pattern?.$case !== "prefix")) return undefined;
      return [{ kind: pattern.$case, text: pattern.value }];
    }
    case "uriTemplate": {
      const config = rule.value.typedConfig;
      const template = config === undefined ? "" : UriTemplateMatchConfig.decode(config.value).pathTemplate;
      return [{ kind: "prefix", text: template.replace(/[*{].*$/, "") }];
    }
    default:
      return undefined;
  }
}

function permissionHeader({ rule }: Permission): readonly HeaderKey[] | undefined {
  switch (rule?.$case) {
    case "andRules":
      return some(rule.value.rules, permissionHeader);
    case "orRules":
      return every(rule.value.rules, permissionHeader);
    case "header":
      return headerKey(rule.value);
    default:
      return undefined;
  }
}

function principalHeader({ identifier }: Principal): readonly HeaderKey[] | undefined {
  switch (identifier?.$case) {
    case "andIds":
      return some(identifier.value.ids, principalHeader);
    case "orIds":
      return every(identifier.value.ids, principalHeader);
    case "header":
      return headerKey(identifier.value);
    default:
      return undefined;
  }
}

/** Methods are too few to tell policies apart. */
function headerKey(
  matcher: Extract<NonNullable<Permission["rule"]>, { $case: "header" }>["value"],
): readonly HeaderKey[] | undefined {
  const specifier = matcher.headerMatchSpecifier;
  const name = matcher.name.toLowerCase();
  if (specifier?.$case !== "stringMatch" || matcher.invertMatch || matcher.treatMissingHeaderAsEmpty) return undefined;
  const { matchPattern, ignoreCase } = specifier.value;
  if (matchPattern?.$case !== "exact" || ignoreCase || name === ":method") return undefined;
  return [{ name, value: matchPattern.value }];
}
