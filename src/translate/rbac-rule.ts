// One rule of an AuthorizationPolicy to one RBAC policy: who (principals) may do what (permissions).

import type { AuthorizationCondition, AuthorizationRule } from "../api/istio/authorization-policy.ts";
import type { MeshConfig } from "../model/mesh-config.ts";
import { Permission, Policy, Principal, RBAC_Action } from "../proto/gen/envoy/config/rbac/v3/rbac.ts";
import { anyPermission, PERMISSIONS, type PermissionKey } from "./rbac-permission.ts";
import { anyPrincipal, PRINCIPALS, type PrincipalKey } from "./rbac-principal.ts";

export interface RuleScope {
  readonly protocol: "http" | "tcp";
  readonly mesh: MeshConfig;
  readonly action: RBAC_Action;
  /** Of the policy: a service account without a namespace is meant there. */
  readonly namespace: string;
  /** The workload port that is served where the connection's own destination is another one (explicit mode). */
  readonly servedPort: number | undefined;
}

/** What one attribute must, and must not be. */
interface Clause<K> {
  readonly key: K;
  readonly values: readonly string[];
  readonly notValues: readonly string[];
}

const ANY_PERMISSION = Permission.fromPartial({ rule: { $case: "any", value: true } });
const ANY_PRINCIPAL = Principal.fromPartial({ identifier: { $case: "any", value: true } });

/** Undefined when nothing of the rule can hold on this protocol, so that it must not take part. */
export function policyOfRule(rule: AuthorizationRule | undefined, scope: RuleScope): Policy | undefined {
  if (rule === undefined) {
    return Policy.fromPartial({
      permissions: [{ rule: { $case: "notRule", value: ANY_PERMISSION } }],
      principals: [{ identifier: { $case: "notId", value: ANY_PRINCIPAL } }],
    });
  }
  const conditions = (rule.when ?? []).map(split);
  const permissionBase = conditions.flatMap(({ permission }) => permission ?? []);
  const principalBase = conditions.flatMap(({ principal }) => principal ?? []);
  const operations =
    rule.to === undefined || rule.to.length === 0 ? [[]] : rule.to.map((to) => operationClauses(to.operation ?? {}));
  const sources =
    rule.from === undefined || rule.from.length === 0
      ? [[]]
      : rule.from.map((from) => sourceClauses(from.source ?? {}));
  const permissions = operations.map((clauses) => allPermissions([...clauses, ...permissionBase], scope));
  const principals = sources.map((clauses) => allPrincipals([...clauses, ...principalBase], scope));
  // One alternative that can't be looked at takes the rule away, so that an ALLOW rather lets in less.
  if (permissions.includes(undefined) || principals.includes(undefined)) return undefined;
  return Policy.fromPartial({
    permissions: permissions.filter((each) => each !== undefined),
    principals: principals.filter((each) => each !== undefined),
  });
}

function operationClauses(
  operation: NonNullable<NonNullable<AuthorizationRule["to"]>[number]["operation"]>,
): readonly Clause<PermissionKey>[] {
  return [
    clause({ id: "hosts" as const }, operation.hosts, operation.notHosts),
    clause({ id: "methods" as const }, operation.methods, operation.notMethods),
    clause({ id: "paths" as const }, operation.paths, operation.notPaths),
    clause({ id: "ports" as const }, operation.ports, operation.notPorts),
  ].flat();
}

function sourceClauses(
  source: NonNullable<NonNullable<AuthorizationRule["from"]>[number]["source"]>,
): readonly Clause<PrincipalKey>[] {
  return [
    clause({ id: "principals" as const }, source.principals, source.notPrincipals),
    clause({ id: "requestPrincipals" as const }, source.requestPrincipals, source.notRequestPrincipals),
    clause({ id: "serviceAccounts" as const }, source.serviceAccounts, source.notServiceAccounts),
    clause({ id: "namespaces" as const }, source.namespaces, source.notNamespaces),
    clause({ id: "trustDomains" as const }, source.trustDomains, source.notTrustDomains),
    clause({ id: "remoteIpBlocks" as const }, source.remoteIpBlocks, source.notRemoteIpBlocks),
    clause({ id: "ipBlocks" as const }, source.ipBlocks, source.notIpBlocks),
  ].flat();
}

function clause<K>(
  key: K,
  values: readonly string[] | undefined,
  notValues: readonly string[] | undefined,
): readonly Clause<K>[] {
  if ((values ?? []).length === 0 && (notValues ?? []).length === 0) return [];
  return [{ key, values: values ?? [], notValues: notValues ?? [] }];
}

interface SplitCondition {
  readonly permission?: readonly Clause<PermissionKey>[];
  readonly principal?: readonly Clause<PrincipalKey>[];
}

/** A condition's key tells on which side it is checked; text in brackets goes with it. */
function split({ key, values, notValues }: AuthorizationCondition): SplitCondition {
  const bracketed = [...key.matchAll(/\[([^\]]*)\]/g)].map((match) => match[1] ?? "");
  const name = key.replace(/\[.*$/, "");
  if (name.startsWith("experimental.envoy.filters.")) {
    const filter = name.slice("experimental.".length);
    return { permission: clause<PermissionKey>({ id: "metadata", filter, path: bracketed }, values, notValues) };
  }
  const permission = PERMISSIONS.get(name);
  if (permission !== undefined) return { permission: clause<PermissionKey>({ id: permission }, values, notValues) };
  const principal = PRINCIPALS.get(name);
  if (principal === undefined) return {};
  return { principal: clause<PrincipalKey>({ id: principal, path: bracketed }, values, notValues) };
}

/** Undefined when an attribute that only HTTP has makes an ALLOW impossible on TCP; a DENY then looks at the rest. */
function allPermissions(clauses: readonly Clause<PermissionKey>[], scope: RuleScope): Permission | undefined {
  const rules: Permission[] = [];
  for (const { key, values, notValues } of clauses) {
    const yes = values.length === 0 ? [] : [anyPermission(key, values, scope)];
    const no = notValues.length === 0 ? [] : [anyPermission(key, notValues, scope)];
    if ([...yes, ...no].includes(undefined) && scope.action === RBAC_Action.ALLOW) return undefined;
    for (const each of yes) if (each !== undefined) rules.push(each);
    for (const each of no)
      if (each !== undefined) rules.push(Permission.fromPartial({ rule: { $case: "notRule", value: each } }));
  }
  const all = rules.length === 0 ? [ANY_PERMISSION] : rules;
  return Permission.fromPartial({ rule: { $case: "andRules", value: { rules: all } } });
}

function allPrincipals(clauses: readonly Clause<PrincipalKey>[], scope: RuleScope): Principal | undefined {
  const ids: Principal[] = [];
  for (const { key, values, notValues } of clauses) {
    const yes = values.length === 0 ? [] : [anyPrincipal(key, values, scope)];
    const no = notValues.length === 0 ? [] : [anyPrincipal(key, notValues, scope)];
    if ([...yes, ...no].includes(undefined) && scope.action === RBAC_Action.ALLOW) return undefined;
    for (const each of yes) if (each !== undefined) ids.push(each);
    for (const each of no)
      if (each !== undefined) ids.push(Principal.fromPartial({ identifier: { $case: "notId", value: each } }));
  }
  const all = ids.length === 0 ? [ANY_PRINCIPAL] : ids;
  return Principal.fromPartial({ identifier: { $case: "andIds", value: { ids: all } } });
}
