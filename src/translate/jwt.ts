// RequestAuthentication to the filter that verifies tokens: a token that is there must hold, none is let through to the policies.

import type { JwtRule } from "../api/istio/request-authentication.ts";
import { type KeySets, keyLocation } from "../model/request-authentication.ts";
import { RouteMatch } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import {
  JwtAuthentication,
  JwtProvider,
  JwtRequirement,
} from "../proto/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts";
import type { HttpFilter } from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { httpFilter } from "./http-filters.ts";
import { any } from "./wire.ts";

/** Verifies nothing, since nobody has its private half: what a rule gets whose keys are not there. Envoy takes no empty set. */
const NO_KEYS = JSON.stringify({
  keys: [
    {
      kty: "EC",
      crv: "P-256",
      x: "Wk1xd_B6la5qj2Evinwuj-Bdv5jTzKBT6D6QaWwcVX8",
      y: "4gnrkK4oOyQir9zWsKMHS5UiWw3PPpQqL4lilP86VP0",
      kid: "weft-no-key",
      alg: "ES256",
      use: "sig",
    },
  ],
});
/** Claims that are lists of words in one text, beside those that the rule names. */
const SPACE_DELIMITED = ["scope", "permission"];

export function jwtFilters(
  rules: readonly JwtRule[],
  keySets: KeySets,
  { routesByClaims }: { readonly routesByClaims: boolean },
): HttpFilter[] {
  if (rules.length === 0) return [];
  const config = JwtAuthentication.fromPartial({ bypassCorsPreflight: true });
  for (const [i, rule] of rules.entries()) {
    const made = provider(rule, keySets);
    made.clearRouteCache = routesByClaims;
    config.providers[providerName(i)] = made;
  }
  config.rules = [
    {
      match: RouteMatch.fromPartial({ pathSpecifier: { $case: "prefix", value: "/" } }),
      requirementType: { $case: "requires", value: requirement(rules) },
    },
  ];
  return [
    httpFilter(
      "envoy.filters.http.jwt_authn",
      any("envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication", JwtAuthentication, config),
    ),
  ];
}

function providerName(index: number): string {
  return `origins-${index}`;
}

function provider(rule: JwtRule, keySets: KeySets): JwtProvider {
  return JwtProvider.fromPartial({
    issuer: rule.issuer,
    audiences: [...(rule.audiences ?? [])],
    jwksSourceSpecifier: {
      $case: "localJwks",
      value: { specifier: { $case: "inlineString", value: keysOf(rule, keySets) } },
    },
    forward: rule.forwardOriginalToken ?? false,
    fromHeaders: (rule.fromHeaders ?? []).map(({ name, prefix }) => ({ name, valuePrefix: prefix ?? "" })),
    fromParams: [...(rule.fromParams ?? [])],
    fromCookies: [...(rule.fromCookies ?? [])],
    forwardPayloadHeader: rule.outputPayloadToHeader ?? "",
    claimToHeaders: (rule.outputClaimToHeaders ?? []).map(({ header, claim }) => ({
      headerName: header,
      claimName: claim,
    })),
    payloadInMetadata: "payload",
    normalizePayloadInMetadata: {
      spaceDelimitedClaims: [...new Set([...SPACE_DELIMITED, ...(rule.spaceDelimitedClaims ?? [])])],
    },
  });
}

function keysOf(rule: JwtRule, keySets: KeySets): string {
  const location = keyLocation(rule);
  if (location === undefined) return rule.jwks ?? NO_KEYS;
  const fetched = keySets.get(location);
  return fetched?.kind === "keys" ? fetched.jwks : NO_KEYS;
}

/** With several rules, one good token is enough; without any good one, no location of any rule may hold a bad one. */
function requirement(rules: readonly JwtRule[]): JwtRequirement {
  const [first] = rules;
  if (first !== undefined && rules.length === 1) return tolerant(first, 0);
  const each = rules.map((_rule, i) => named(i));
  const all = allOf(rules.map(tolerant));
  return anyOf([...each, all]);
}

function tolerant(rule: JwtRule, index: number): JwtRequirement {
  if (rule.presence === "REQUIRED") return named(index);
  return anyOf([named(index), JwtRequirement.fromPartial({ requiresType: { $case: "allowMissing", value: {} } })]);
}

function named(index: number): JwtRequirement {
  return JwtRequirement.fromPartial({ requiresType: { $case: "providerName", value: providerName(index) } });
}

function anyOf(requirements: JwtRequirement[]): JwtRequirement {
  return { requiresType: { $case: "requiresAny", value: { requirements } } };
}

function allOf(requirements: JwtRequirement[]): JwtRequirement {
  return { requiresType: { $case: "requiresAll", value: { requirements } } };
}
