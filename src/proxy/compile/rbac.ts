// RBAC rules to one function: which policy matched, if any. The same engine serves the HTTP and the network filter.

import { assertNever } from "../../base/assert.ts";
import {
  MetadataSource,
  type Permission,
  type Policy,
  type Principal,
  type RBAC,
  RBAC_Action,
  type SourcedMetadata,
} from "../../proto/gen/envoy/config/rbac/v3/rbac.ts";
import { INDEXED_POLICIES_MIN, MATCHER_DEPTH_MAX } from "../limits.ts";
import { type Field, fields } from "./field.ts";
import { uriTemplate } from "./match.ts";
import { compileHeader, compileMetadata, compileString, type HeaderSource } from "./matcher.ts";
import { PolicyLookup } from "./rbac-lookup.ts";
import { ipRange } from "./value.ts";

/** What rules look at. A connection without HTTP has no headers: header and path rules don't match it. */
export interface Subject {
  readonly headers: HeaderSource | undefined;
  readonly path: string;
  /** URI SANs, or DNS SANs, or the subject: what Envoy takes as the authenticated name. Empty without a verified peer certificate. */
  readonly principals: readonly string[];
  readonly authenticated: boolean;
  readonly directRemoteIp: string;
  /** After x-forwarded-for, where that is trusted. */
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly serverName: string;
  /** What filters before this one have written. */
  metadata(namespace: string): unknown;
  /** The rules' policies that may match anything of this subject's connection. */
  narrowed(rules: RbacRules): PolicyMatch;
  /** What the route's configuration says of itself. */
  routeMetadata(namespace: string): unknown;
}

export type Rule = (subject: Subject) => boolean;

/** The name of the first policy that matches. */
export type PolicyMatch = (subject: Subject) => string | undefined;

export interface RbacRules {
  readonly action: "allow" | "deny" | "log";
  readonly match: PolicyMatch;
  /**
   * For all requests of the connection that `subject` came over: policies whose principals are decided by the connection
   * alone are decided here, so that a request meets only those that may still match it.
   */
  narrow(subject: Subject): PolicyMatch;
}

export function compileRules(rbac: RBAC, at: Field): RbacRules {
  at.only(rbac, fields("action policies"));
  // Envoy keeps policies ordered by name.
  const ordered = Object.entries(rbac.policies).sort(([a], [b]) => (a < b ? -1 : 1));
  const policies = ordered.map(([name, policy]) => compilePolicy(name, policy, at.at(`policies[${name}]`)));
  const action = rbac.action === RBAC_Action.ALLOW ? "allow" : rbac.action === RBAC_Action.DENY ? "deny" : "log";
  if (policies.length < INDEXED_POLICIES_MIN) {
    return { action, match: firstOf(policies), narrow: (subject) => firstOf(narrowed(policies, subject)) };
  }
  const index = new PolicyLookup(ordered.map(([, policy]) => policy));
  const first =
    (holds: (order: number, subject: Subject) => boolean): PolicyMatch =>
    (subject) =>
      policies[index.first(subject, holds)]?.name;
  const whole = first((order, subject) => {
    const policy = policies[order];
    return policy?.permission(subject) === true && policy.principal(subject);
  });
  return { action, match: whole, narrow: () => first(remembering(policies)) };
}

/** For one connection: what its principals come to is found out when it is first asked. */
function remembering(policies: readonly CompiledPolicy[]): (order: number, subject: Subject) => boolean {
  const known: (boolean | undefined)[] = [];
  return (order, subject) => {
    const policy = policies[order];
    if (policy === undefined) return false;
    if (!policy.principalIsFixed) return policy.permission(subject) && policy.principal(subject);
    const holds = known[order] ?? policy.principal(subject);
    known[order] = holds;
    return holds && policy.permission(subject);
  };
}

interface CompiledPolicy {
  readonly name: string;
  readonly permission: Rule;
  readonly principal: Rule;
  /** What the principals say is the same for every request of a connection. */
  readonly principalIsFixed: boolean;
}

function compilePolicy(name: string, policy: Policy, at: Field): CompiledPolicy {
  at.only(policy, fields("permissions principals"));
  return {
    name,
    permission: anyOf(policy.permissions.map((one, index) => permission(one, at.at("permissions").at(index), 0))),
    principal: anyOf(policy.principals.map((one, index) => principal(one, at.at("principals").at(index), 0))),
    principalIsFixed: policy.principals.every(isFixed),
  };
}

function firstOf(policies: readonly CompiledPolicy[]): PolicyMatch {
  return (subject) => {
    for (const policy of policies) if (policy.permission(subject) && policy.principal(subject)) return policy.name;
    return undefined;
  };
}

function narrowed(policies: readonly CompiledPolicy[], subject: Subject): readonly CompiledPolicy[] {
  return policies.flatMap((policy) => {
    if (!policy.principalIsFixed) return [policy];
    return policy.principal(subject) ? [{ ...policy, principal: ALWAYS }] : [];
  });
}

/** Whether the connection alone decides: its certificate and its peer's address, but nothing that a request carries. */
function isFixed({ identifier }: Principal): boolean {
  switch (identifier?.$case) {
    case "andIds":
    case "orIds":
      return identifier.value.ids.every(isFixed);
    case "notId":
      return isFixed(identifier.value);
    case "any":
    case "authenticated":
    case "sourceIp":
    case "directRemoteIp":
    case "filterState":
      return true;
    default:
      return false;
  }
}

const NEVER: Rule = () => false;
const ALWAYS: Rule = () => true;

function anyOf(rules: readonly Rule[]): Rule {
  const [only] = rules;
  if (rules.length === 1 && only !== undefined) return only;
  return (subject) => {
    for (const rule of rules) if (rule(subject)) return true;
    return false;
  };
}

function allOf(rules: readonly Rule[]): Rule {
  const [only] = rules;
  if (rules.length === 1 && only !== undefined) return only;
  return (subject) => {
    for (const rule of rules) if (!rule(subject)) return false;
    return true;
  };
}

export function permission(one: Permission, at: Field, depth: number): Rule {
  const { rule } = one;
  if (rule === undefined || depth > MATCHER_DEPTH_MAX) {
    at.refuse(rule === undefined ? "a permission has no rule" : "rules are nested too deeply");
    return NEVER;
  }
  switch (rule.$case) {
    case "andRules":
      return allOf(rule.value.rules.map((each, index) => permission(each, at.at("andRules").at(index), depth + 1)));
    case "orRules":
      return anyOf(rule.value.rules.map((each, index) => permission(each, at.at("orRules").at(index), depth + 1)));
    case "notRule": {
      const inner = permission(rule.value, at.at("notRule"), depth + 1);
      return (subject) => !inner(subject);
    }
    case "any":
      return () => rule.value;
    case "header":
      return headerRule(rule.value, at);
    case "urlPath":
      return pathRule(rule.value, at);
    case "destinationIp": {
      const range = ipRange(rule.value, at.at("destinationIp"));
      return (subject) => range.contains(subject.destinationIp);
    }
    case "destinationPort":
      return (subject) => subject.destinationPort === rule.value;
    case "destinationPortRange":
      return (subject) => subject.destinationPort >= rule.value.start && subject.destinationPort < rule.value.end;
    case "metadata":
      return metadataRule(rule.value, at);
    case "requestedServerName": {
      const matches = compileString(rule.value, at.at("requestedServerName"));
      return (subject) => matches(subject.serverName);
    }
    case "sourcedMetadata":
      return sourcedRule(rule.value, at.at("sourcedMetadata"));
    case "uriTemplate":
      return templateRule(rule.value, at.at("uriTemplate"));
    case "matcher":
      at.at("matcher").refuse("extension matchers are not built in");
      return NEVER;
    default:
      return assertNever(rule);
  }
}

export function principal(one: Principal, at: Field, depth: number): Rule {
  const { identifier } = one;
  if (identifier === undefined || depth > MATCHER_DEPTH_MAX) {
    at.refuse(identifier === undefined ? "a principal has no identifier" : "identifiers are nested too deeply");
    return NEVER;
  }
  switch (identifier.$case) {
    case "andIds":
      return allOf(identifier.value.ids.map((each, index) => principal(each, at.at("andIds").at(index), depth + 1)));
    case "orIds":
      return anyOf(identifier.value.ids.map((each, index) => principal(each, at.at("orIds").at(index), depth + 1)));
    case "notId": {
      const inner = principal(identifier.value, at.at("notId"), depth + 1);
      return (subject) => !inner(subject);
    }
    case "any":
      return () => identifier.value;
    case "authenticated": {
      const name = identifier.value.principalName;
      if (name === undefined) return (subject) => subject.authenticated;
      const matches = compileString(name, at.at("authenticated").at("principalName"));
      return (subject) => subject.principals.some(matches);
    }
    case "sourceIp":
    case "directRemoteIp": {
      const range = ipRange(identifier.value, at.at(identifier.$case));
      return (subject) => range.contains(subject.directRemoteIp);
    }
    case "remoteIp": {
      const range = ipRange(identifier.value, at.at("remoteIp"));
      return (subject) => range.contains(subject.remoteIp);
    }
    case "header":
      return headerRule(identifier.value, at);
    case "urlPath":
      return pathRule(identifier.value, at);
    case "metadata":
      return metadataRule(identifier.value, at);
    case "sourcedMetadata":
      return sourcedRule(identifier.value, at.at("sourcedMetadata"));
    case "custom":
      at.at("custom").refuse("extension principals are not built in");
      return NEVER;
    case "filterState":
      return filterStateRule(identifier.value, at.at("filterState"));
    default:
      return assertNever(identifier);
  }
}

type PermissionValue<Case extends string> = Extract<NonNullable<Permission["rule"]>, { $case: Case }>["value"];
type PrincipalValue<Case extends string> = Extract<NonNullable<Principal["identifier"]>, { $case: Case }>["value"];

function headerRule(value: PermissionValue<"header">, at: Field): Rule {
  const matches = compileHeader(value, at.at("header"));
  return (subject) => subject.headers !== undefined && matches(subject.headers);
}

function pathRule(value: PermissionValue<"urlPath">, at: Field): Rule {
  const matches = compileString(value.rule?.value, at.at("urlPath").at("path"));
  return (subject) => subject.headers !== undefined && matches(subject.path);
}

function templateRule(value: PermissionValue<"uriTemplate">, at: Field): Rule {
  const template = uriTemplate(value, at);
  return template === undefined ? NEVER : (subject) => subject.headers !== undefined && template.matches(subject.path);
}

function metadataRule(value: PermissionValue<"metadata">, at: Field): Rule {
  const wanted = compileMetadata(value, at.at("metadata"));
  return (subject) => wanted.matches(subject.metadata(wanted.namespace));
}

function sourcedRule(value: SourcedMetadata, at: Field): Rule {
  if (value.metadataMatcher === undefined) {
    at.at("metadataMatcher").refuse("a metadata matcher is missing");
    return NEVER;
  }
  const wanted = compileMetadata(value.metadataMatcher, at.at("metadataMatcher"));
  return value.metadataSource === MetadataSource.ROUTE
    ? (subject) => wanted.matches(subject.routeMetadata(wanted.namespace))
    : (subject) => wanted.matches(subject.metadata(wanted.namespace));
}

/** Istio names the peer by filter state `io.istio.peer_principal`; the peer's certificate is what it is taken from. */
function filterStateRule(value: PrincipalValue<"filterState">, at: Field): Rule {
  if (value.key !== "io.istio.peer_principal") {
    at.at("key").refuse(`filter state ${value.key} is not known here`);
    return NEVER;
  }
  const matches = compileString(value.matcher?.value, at.at("stringMatch"));
  return (subject) => subject.principals.some(matches);
}
