// Who sends a request, as RBAC principals.

import { principalForms, trustDomainsOf } from "../model/trust-domain.ts";
import { Principal } from "../proto/gen/envoy/config/rbac/v3/rbac.ts";
import type { StringMatcher } from "../proto/gen/envoy/type/matcher/v3/string.ts";
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

/** Who has any of the values; undefined where the protocol doesn't have the attribute. */
export function anyPrincipal(key: PrincipalKey, values: readonly string[], scope: RuleScope): Principal | undefined {
  if (scope.protocol === "tcp" && ONLY_HTTP.has(key.id)) return undefined;
  const { id, path = [] } = key;
  switch (id) {
    case "principals":
      return orIds(
        values
          .flatMap((value) => principalForms(value, scope.mesh))
          .map((form) => authenticated(stringForm(form, SPIFFE))),
      );
    case "trustDomains":
      return orIds(trustDomainsOf(values, scope.mesh).map((value) => authenticated(trustDomainForm(value))));
    case "requestPrincipals": {
      const [first, ...rest] = values.map(requestPrincipal);
      return first !== undefined && rest.length === 0 ? first : orIds(values.map(requestPrincipal));
    }
    case "audiences":
      return claim(["aud"], values);
    case "presenter":
      return claim(["azp"], values);
    case "claims":
      return claim(path, values);
    default:
      return orIds(values.map((value) => principalFor(id, path, value, scope.namespace)));
  }
}

function orIds(ids: readonly Principal[]): Principal {
  return Principal.fromPartial({ identifier: { $case: "orIds", value: { ids: [...ids] } } });
}

function principalFor(
  id: "namespaces" | "serviceAccounts" | "ipBlocks" | "remoteIpBlocks" | "header",
  path: readonly string[],
  value: string,
  namespace: string,
): Principal {
  switch (id) {
    case "namespaces":
      return authenticated(regexMatcher(`.*/ns/${quoteRegex(value).replaceAll("\\*", ".*")}/.*`));
    case "serviceAccounts":
      return authenticated(regexMatcher(serviceAccountRegex(value, namespace)));
    case "ipBlocks":
      return Principal.fromPartial({ identifier: { $case: "directRemoteIp", value: cidrOf(value) } });
    case "remoteIpBlocks":
      return Principal.fromPartial({ identifier: { $case: "remoteIp", value: cidrOf(value) } });
    case "header":
      return Principal.fromPartial({ identifier: { $case: "header", value: headerForm(path[0] ?? "", value) } });
  }
}

function authenticated(principalName: StringMatcher): Principal {
  return Principal.fromPartial({ identifier: { $case: "authenticated", value: { principalName } } });
}

function trustDomainForm(value: string): StringMatcher {
  if (!value.includes("*"))
    return { matchPattern: { $case: "prefix", value: `${SPIFFE}${value}/` }, ignoreCase: false };
  return regexMatcher(`${SPIFFE}${quoteRegex(value).replaceAll("\\*", "[^/]*")}/.*`);
}

/** An identity may have parts beside the namespace and the account; the account's name is a whole part. */
function serviceAccountRegex(value: string, policyNamespace: string): string {
  const slash = value.indexOf("/");
  const namespace = slash < 0 ? policyNamespace : value.slice(0, slash);
  const account = slash < 0 ? value : value.slice(slash + 1);
  return `${SPIFFE}.+/ns/${quoteRegex(namespace)}/(.+/|)sa/${quoteRegex(account)}(/.+)?`;
}

/** `issuer/subject`: a `*` at the text's beginning leaves the issuer's open, one at its end the subject's. */
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
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? "" : value.slice(slash + 1);
  if (value.startsWith("*")) {
    return slash < 0 ? both(regexMatcher(".+"), stringForm(value)) : both(stringForm(issuer), exactly(subject));
  }
  if (value.endsWith("*")) {
    return slash < 0 ? both(stringForm(value), regexMatcher(".+")) : both(exactly(issuer), stringForm(subject));
  }
  return both(exactly(issuer), exactly(subject));
}

function exactly(value: string): StringMatcher {
  return { matchPattern: { $case: "exact", value }, ignoreCase: false };
}

function jwt(path: readonly string[], matcher: StringMatcher): Principal {
  return Principal.fromPartial({
    identifier: { $case: "metadata", value: metadataForm(JWT_FILTER, path, valueForm(matcher)) },
  });
}

function claim(path: readonly string[], values: readonly string[]): Principal {
  const value = metadataForm(JWT_FILTER, ["payload", ...path], claimForm(values.map((each) => stringForm(each))));
  return Principal.fromPartial({ identifier: { $case: "metadata", value } });
}
