// The token rules of a workload, and the key sets that their rules verify with.

import type { JwtRule, RequestAuthentication } from "../api/istio/request-authentication.ts";
import { type ByNamespace, type Subject, selecting } from "./by-namespace.ts";
import { type Finding, refOf } from "./finding.ts";
import type { MeshConfig } from "./mesh-config.ts";

/** A key set that was fetched, or why it could not be. A set that was had once stays in force when it can't be fetched anew. */
export type FetchedKeys =
  | { readonly kind: "keys"; readonly jwks: string }
  | { readonly kind: "failed"; readonly reason: string };

/** By `keyLocation` of the rule. */
export type KeySets = ReadonlyMap<string, FetchedKeys>;

export type AuthenticationIndex = ByNamespace<RequestAuthentication>;

/** The rules of all that select the workload, in its namespace and the root's: a token that any of them verifies will do. */
export function jwtRulesOf(index: AuthenticationIndex, workload: Subject, mesh: MeshConfig): readonly JwtRule[] {
  return selecting(index, workload, mesh).flatMap(({ spec }) => spec?.jwtRules ?? []);
}

/** Where a rule's keys are fetched from; undefined when it has them itself. The issuer's own discovery document where nothing is said. */
export function keyLocation(rule: JwtRule): string | undefined {
  if (rule.jwks !== undefined && rule.jwks !== "") return undefined;
  return rule.jwksUri ?? `${rule.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
}

/** Of what was fetched, what these rules need. */
export function keySetsOf(rules: readonly JwtRule[], keySets: KeySets): KeySets {
  const locations = new Set(rules.map(keyLocation));
  return new Map([...keySets].filter(([location]) => locations.has(location)));
}

/** Rules whose keys can't be had refuse every token: each says so. */
export function keyFindings(index: AuthenticationIndex, keySets: KeySets): readonly Finding[] {
  return [...index.values()].flat().flatMap((resource) =>
    (resource.spec?.jwtRules ?? []).flatMap((rule, i): readonly Finding[] => {
      const location = keyLocation(rule);
      const fetched = location === undefined ? undefined : keySets.get(location);
      if (fetched?.kind !== "failed") return [];
      const path = `spec.jwtRules[${i}].${rule.jwksUri === undefined ? "issuer" : "jwksUri"}`;
      const message = `no keys from ${location}: ${fetched.reason}; every token of this issuer is refused until they are there`;
      return [{ resource: refOf(resource), type: "reference", path, message }];
    }),
  );
}
