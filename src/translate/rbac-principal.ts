// Who sends a request, as RBAC principals.

import { Principal } from "../proto/gen/envoy/config/rbac/v3/rbac.ts";
import type { StringMatcher } from "../proto/gen/envoy/type/matcher/v3/string.ts";
import type { ValueMatcher } from "../proto/gen/envoy/type/matcher/v3/value.ts";
import {
  cidrOf,
  claimForm,
  headerForm,
  metadataForm,
  quoteRegex,
  regexMatcher,
  stringForm,
  valueForm,
} from "./rbac-match.ts";
import type { RuleScope } from "./rbac-rule.ts";

type PrincipalId =
  | "principals"
  | "requestPrincipals"
  | "serviceAccounts"
  | "namespaces"
  | "trustDomains"
  | "remoteIpBlocks"
  | "ipBlocks"
  | "header"
  | "audiences"
  | "presenter"
  | "claims";

export interface PrincipalKey {
  readonly id: PrincipalId;
  /** The texts in brackets: a header's name, a claim's path. */
  readonly path?: readonly string[];
}

/** Condition keys that are about the sender. */
export const PRINCIPALS: ReadonlyMap<string, PrincipalId> = new Map<string, PrincipalId>([
  ["source.ip", "ipBlocks"],
  ["remote.ip", "remoteIpBlocks"],
  ["source.namespace", "namespaces"],
  ["source.principal", "principals"],
  ["source.trustDomain", "trustDomains"],
  ["source.serviceAccount", "serviceAccounts"],
  ["request.headers", "header"],
  ["request.auth.principal", "requestPrincipals"],
  ["request.auth.audiences", "audiences"],
  ["request.auth.presenter", "presenter"],
  ["request.auth.claims", "claims"],
]);

const ONLY_HTTP: ReadonlySet<PrincipalId> = new Set([
  "requestPrincipals",
  "header",
  "audiences",
  "presenter",
  "claims",
]);

const SPIFFE = "spiffe://";
const JWT_FILTER = "envoy.filters.http.jwt_authn";

/** Any of what is returned will do; undefined where the protocol doesn't have the attribute. */
export function principalsFor(key: PrincipalKey, value: string, scope: RuleScope): readonly Principal[] | undefined {
  if (scope.protocol === "tcp" && ONLY_HTTP.has(key.id)) return undefined;
  if (key.id === "principals") {
    return trustDomainForms(value, scope).map((form) => authenticated(stringForm(form, SPIFFE)));
  }
  return [principalFor(key.id, key.path ?? [], value, scope.namespace)];
}

function principalFor(
  id: Exclude<PrincipalId, "principals">,
  path: readonly string[],
  value: string,
  namespace: string,
): Principal {
  switch (id) {
    case "namespaces":
      return authenticated(regexMatcher(`.*/ns/${quoteRegex(value).replaceAll("\\*", ".*")}/.*`));
    case "serviceAccounts":
      return authenticated(regexMatcher(serviceAccountRegex(value, namespace)));
    case "trustDomains":
      return authenticated(regexMatcher(`${SPIFFE}${quoteRegex(value).replaceAll("\\*", "[^/]*")}/.*`));
    case "ipBlocks":
      return Principal.fromPartial({ identifier: { $case: "directRemoteIp", value: cidrOf(value) } });
    case "remoteIpBlocks":
      return Principal.fromPartial({ identifier: { $case: "remoteIp", value: cidrOf(value) } });
    case "header":
      return Principal.fromPartial({ identifier: { $case: "header", value: headerForm(path[0] ?? "", value) } });
    case "requestPrincipals":
      return requestPrincipal(value);
    case "audiences":
      return claim(["payload", "aud"], claimForm(stringForm(value)));
    case "presenter":
      return claim(["payload", "azp"], valueForm(stringForm(value)));
    case "claims":
      return claim(["payload", ...path], claimForm(stringForm(value)));
  }
}

function authenticated(principalName: StringMatcher): Principal {
  return Principal.fromPartial({ identifier: { $case: "authenticated", value: { principalName } } });
}

/** A principal of the mesh's own trust domain is meant under each of its names. */
function trustDomainForms(value: string, { mesh }: RuleScope): readonly string[] {
  const slash = value.indexOf("/ns/");
  if (slash < 0) return [value];
  const domain = value.slice(0, slash);
  const own = [mesh.trustDomain, ...mesh.trustDomainAliases];
  if (!own.includes(domain) && domain !== "cluster.local") return [value];
  return [...new Set(own)].map((each) => `${each}${value.slice(slash)}`);
}

function serviceAccountRegex(value: string, policyNamespace: string): string {
  const slash = value.indexOf("/");
  const namespace = slash < 0 ? policyNamespace : value.slice(0, slash);
  const account = slash < 0 ? value : value.slice(slash + 1);
  return `.*/ns/${quoteRegex(namespace)}/sa/${quoteRegex(account)}`;
}

/** `issuer/subject`, each of which may be left open by a `*` at its end of the text. */
function requestPrincipal(value: string): Principal {
  const slash = value.lastIndexOf("/");
  const both = (issuer: StringMatcher, subject: StringMatcher): Principal =>
    Principal.fromPartial({
      identifier: {
        $case: "andIds",
        value: { ids: [jwt(["payload", "iss"], issuer), jwt(["payload", "sub"], subject)] },
      },
    });
  if (value === "*") return both(regexMatcher(".+"), regexMatcher(".+"));
  if (slash < 0) {
    if (value.startsWith("*")) return both(regexMatcher(".+"), stringForm(value));
    if (value.endsWith("*")) return both(stringForm(value), regexMatcher(".+"));
    return both(stringForm(value), exactly(""));
  }
  const issuer = value.slice(0, slash);
  const subject = value.slice(slash + 1);
  return both(stringForm(issuer), stringForm(subject));
}

function exactly(value: string): StringMatcher {
  return { matchPattern: { $case: "exact", value }, ignoreCase: false };
}

function jwt(path: readonly string[], matcher: StringMatcher): Principal {
  return Principal.fromPartial({
    identifier: { $case: "metadata", value: metadataForm(JWT_FILTER, path, valueForm(matcher)) },
  });
}

function claim(path: readonly string[], form: ValueMatcher): Principal {
  return Principal.fromPartial({ identifier: { $case: "metadata", value: metadataForm(JWT_FILTER, path, form) } });
}
