// Tokens that are asked for where nobody verifies one: routes by claims, and rules of AuthorizationPolicies.

import type { AuthorizationPolicy, AuthorizationRule } from "../api/istio/authorization-policy.ts";
import { isClaim } from "../api/istio/claims.ts";
import type { VirtualService } from "../api/istio/virtual-service.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { gatewayName, MESH_GATEWAY } from "../model/hosts.ts";
import { jwtRulesOf } from "../model/request-authentication.ts";
import { type Finding, finding } from "./finding.ts";
import { selectedWorkloads, type Workload, type World } from "./world.ts";

export function analyzeTokens(world: World): readonly Finding[] {
  const { virtualServices, authorizationPolicies } = world.snapshot.resources;
  return [
    ...[...virtualServices.values()].flatMap((each) => routesByClaims(each, world)),
    ...[...authorizationPolicies.values()].flatMap((each) => rulesAboutTokens(each, world)),
  ];
}

function verifiesTokens(world: World, workload: Workload): boolean {
  const { authentication, mesh } = world.snapshot;
  return jwtRulesOf(authentication, workload, mesh).length > 0;
}

function routesByClaims(service: VirtualService, world: World): readonly Finding[] {
  const claims = claimsOf(service);
  const [first] = claims;
  if (first === undefined) return [];
  const namespace = service.metadata.namespace ?? "default";
  const bound = (service.spec.gateways ?? []).filter((name) => name !== MESH_GATEWAY);
  return bound.flatMap((text) => {
    const name = gatewayName(text, namespace);
    const gateway = world.snapshot.gateways.all.find(
      ({ resource }) => `${resource.namespace}/${resource.name}` === name,
    );
    const serving = world.workloads.filter(
      ({ labels }) => gateway !== undefined && matchesLabels(gateway.selector, labels),
    );
    const open = serving.find((workload) => !verifiesTokens(world, workload));
    if (open === undefined) return [];
    return [
      finding(
        "IST0149",
        { resource: refOf(service), path: first.path },
        `The virtual service uses the JWT claim based routing (key: ${first.key}) but found no request authentication for the gateway (${name}) pod (${formatRef(open.resource)}). The request authentication must first be applied for the gateway pods to validate the JWT token and make the claims available for routing.`,
        `Write a RequestAuthentication in ${open.namespace} that selects the gateway's pods.`,
      ),
    ];
  });
}

interface UsedClaim {
  readonly key: string;
  readonly path: string;
}

function claimsOf({ spec }: VirtualService): readonly UsedClaim[] {
  return (spec.http ?? []).flatMap(({ match }, i) =>
    (match ?? []).flatMap((each, j) =>
      (["headers", "withoutHeaders"] as const).flatMap((field) =>
        Object.keys(each[field] ?? {})
          .filter(isClaim)
          .map((key) => ({ key, path: `spec.http[${i}].match[${j}].${field}` })),
      ),
    ),
  );
}

function rulesAboutTokens(policy: AuthorizationPolicy, world: World): readonly Finding[] {
  const resource = refOf(policy);
  const workloads = selectedWorkloads(world, resource.namespace, policy.spec?.selector?.matchLabels);
  const open = workloads.find((workload) => workload.hasSidecar !== false && !verifiesTokens(world, workload));
  if (open === undefined) return [];
  const action = policy.spec?.action ?? "ALLOW";
  return (policy.spec?.rules ?? []).flatMap((rule, i) => {
    const asked = tokenField(rule);
    if (asked === undefined) return [];
    return [
      finding(
        "WEFT0207",
        { resource, path: `spec.rules[${i}].${asked.field}` },
        `it asks for a token, and no RequestAuthentication verifies one at ${formatRef(open.resource)}: ${effectOf(action, asked.negated)}`,
        `Write a RequestAuthentication for it, with the issuer and the keys of its tokens.`,
      ),
    ];
  });
}

function effectOf(action: string, negated: boolean): string {
  if (negated) return `the ${action} rule holds for every request there, whoever sends it`;
  return action === "ALLOW" ? "nobody is let in by the rule there" : `the ${action} rule matches nothing there`;
}

interface TokenField {
  readonly field: string;
  readonly negated: boolean;
}

function tokenField({ from, when }: AuthorizationRule): TokenField | undefined {
  for (const [i, { source }] of (from ?? []).entries()) {
    if (source?.requestPrincipals !== undefined)
      return { field: `from[${i}].source.requestPrincipals`, negated: false };
    if (source?.notRequestPrincipals !== undefined)
      return { field: `from[${i}].source.notRequestPrincipals`, negated: true };
  }
  for (const [i, { key, values }] of (when ?? []).entries()) {
    if (key.startsWith("request.auth.")) return { field: `when[${i}]`, negated: values === undefined };
  }
  return undefined;
}
