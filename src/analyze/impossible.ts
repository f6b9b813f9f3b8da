// Rules of AuthorizationPolicies that contradict themselves, or ask for an identity that no connection there has.

import type { AuthorizationPolicy, AuthorizationRule } from "../api/istio/authorization-policy.ts";
import { formatRef, refOf } from "../model/finding.ts";
import { type Finding, finding } from "./finding.ts";
import { modeOf } from "./peer.ts";
import { selectedWorkloads, type World } from "./world.ts";

export function impossibleRules(policy: AuthorizationPolicy, world: World): readonly Finding[] {
  return (policy.spec?.rules ?? []).flatMap((rule, i) => [
    ...contradictions(policy, rule, `spec.rules[${i}]`),
    ...withoutIdentities(policy, rule, { path: `spec.rules[${i}]`, world }),
  ]);
}

/** Every value is among those that must not be. */
function contradictions(policy: AuthorizationPolicy, rule: AuthorizationRule, path: string): readonly Finding[] {
  const parts: readonly (readonly [string, object | undefined])[] = [
    ...(rule.from ?? []).map(({ source }, i) => [`${path}.from[${i}].source`, source] as const),
    ...(rule.to ?? []).map(({ operation }, i) => [`${path}.to[${i}].operation`, operation] as const),
    ...(rule.when ?? []).map((when, i) => [`${path}.when[${i}]`, when] as const),
  ];
  return parts.flatMap(([at, fields]) => {
    const lists = new Map<string, readonly string[]>(
      Object.entries(fields ?? {}).filter(([, list]) => Array.isArray(list)),
    );
    return [...lists].flatMap(([field, values]) => {
      const denied = lists.get(`not${field[0]?.toUpperCase()}${field.slice(1)}`) ?? [];
      if (values.length === 0 || !values.every((value) => denied.some((pattern) => covers(pattern, value)))) return [];
      const message = `no request can match: each of ${values.join(", ")} is among what must not be (${denied.join(", ")})`;
      const next = "Take the values out of one of the two lists.";
      return [finding("WEFT0202", { resource: refOf(policy), path: `${at}.${field}` }, message, next)];
    });
  });
}

/** Whether whatever the value matches the pattern does too. */
function covers(pattern: string, value: string): boolean {
  if (pattern === "*" || pattern === value) return true;
  if (pattern.endsWith("*")) return value.startsWith(pattern.slice(0, -1)) && !value.startsWith("*");
  return pattern.startsWith("*") && value.endsWith(pattern.slice(1)) && !value.endsWith("*");
}

const IDENTITIES = ["principals", "namespaces", "serviceAccounts", "trustDomains"] as const;

/** Under DISABLE nobody shows a certificate. */
function withoutIdentities(
  policy: AuthorizationPolicy,
  rule: AuthorizationRule,
  { path, world }: { readonly path: string; readonly world: World },
): readonly Finding[] {
  const resource = refOf(policy);
  if ((policy.spec?.action ?? "ALLOW") !== "ALLOW" || rule.from === undefined) return [];
  const asked = rule.from.map(({ source }) => IDENTITIES.find((field) => source?.[field] !== undefined));
  const [first] = asked;
  if (first === undefined || asked.includes(undefined)) return [];
  const ports = [...new Set((rule.to ?? []).flatMap(({ operation }) => operation?.ports ?? []))].map(Number);
  const plain = selectedWorkloads(world, resource.namespace, policy.spec?.selector?.matchLabels).flatMap((workload) => {
    const modes = (ports.length === 0 ? [0] : ports).map((port) => modeOf(world, workload, port));
    return workload.hasSidecar !== false && modes.every(({ mode }) => mode === "DISABLE")
      ? { workload, mode: modes[0] }
      : [];
  });
  const [found] = plain;
  if (found?.mode?.resource === undefined) return [];
  return [
    finding(
      "WEFT0202",
      { resource, path: `${path}.from[0].source.${first}` },
      `nobody is let in: it asks for the caller's mesh certificate, and ${formatRef(found.mode.resource)} (DISABLE) takes none at ${formatRef(found.workload.resource)}`,
      "Set the mode to PERMISSIVE or STRICT, or write a rule by ipBlocks.",
    ),
  ];
}
