// AuthorizationPolicy: which requests a workload answers.

import { isIP } from "node:net";
import { type Static, Type } from "typebox";
import { ageColumn, pathColumn } from "../columns.ts";
import { errorIssue, type Issue, warningIssue } from "../issue.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { checkOneTarget, checkPort, quote } from "./rules.ts";
import { meshStatus, oneOf, strings, targetRef, workloadSelector } from "./shapes.ts";

const source = Type.Object({
  principals: Type.Optional(strings),
  notPrincipals: Type.Optional(strings),
  requestPrincipals: Type.Optional(strings),
  notRequestPrincipals: Type.Optional(strings),
  namespaces: Type.Optional(strings),
  notNamespaces: Type.Optional(strings),
  serviceAccounts: Type.Optional(strings),
  notServiceAccounts: Type.Optional(strings),
  ipBlocks: Type.Optional(strings),
  notIpBlocks: Type.Optional(strings),
  remoteIpBlocks: Type.Optional(strings),
  notRemoteIpBlocks: Type.Optional(strings),
  trustDomains: Type.Optional(strings),
  notTrustDomains: Type.Optional(strings),
});

const operation = Type.Object({
  hosts: Type.Optional(strings),
  notHosts: Type.Optional(strings),
  ports: Type.Optional(strings),
  notPorts: Type.Optional(strings),
  methods: Type.Optional(strings),
  notMethods: Type.Optional(strings),
  paths: Type.Optional(strings),
  notPaths: Type.Optional(strings),
});

const when = Type.Object({
  key: Type.String({ minLength: 1 }),
  values: Type.Optional(strings),
  notValues: Type.Optional(strings),
});

const rule = Type.Object({
  from: Type.Optional(Type.Array(Type.Object({ source: Type.Optional(source) }), { maxItems: 512 })),
  to: Type.Optional(Type.Array(Type.Object({ operation: Type.Optional(operation) }))),
  when: Type.Optional(Type.Array(when)),
});

const schema = Type.Object({
  spec: Type.Optional(
    Type.Object({
      selector: Type.Optional(workloadSelector),
      targetRef: Type.Optional(targetRef),
      targetRefs: Type.Optional(Type.Array(targetRef, { maxItems: 16 })),
      action: Type.Optional(oneOf(["ALLOW", "DENY", "AUDIT", "CUSTOM"])),
      provider: Type.Optional(Type.Object({ name: Type.Optional(Type.String()) })),
      rules: Type.Optional(Type.Array(rule, { maxItems: 512 })),
    }),
  ),
  status: Type.Optional(meshStatus),
});

export type AuthorizationPolicy = KubeObject & Static<typeof schema>;
export type AuthorizationRule = Static<typeof rule>;
type AuthorizationSource = Static<typeof source>;
type AuthorizationOperation = Static<typeof operation>;
export type AuthorizationCondition = Static<typeof when>;

export const authorizationPolicyIneffective: readonly Ineffective[] = [
  {
    field: "spec.targetRef",
    effect:
      "what it can name, Gateways of the Gateway API and waypoints, is not served, so the policy applies to no workload; a selector reaches gateways",
  },
  {
    field: "spec.targetRefs",
    effect:
      "what it can name, Gateways of the Gateway API and waypoints, is not served, so the policy applies to no workload; a selector reaches gateways",
  },
];

export const authorizationPolicyKind: Kind<AuthorizationPolicy> = {
  ...istioHead("security"),
  versions: ["v1", "v1beta1"],
  kind: "AuthorizationPolicy",
  plural: "authorizationpolicies",
  singular: "authorizationpolicy",
  shortNames: ["ap"],
  schema,
  columns: [pathColumn("Action", ".spec.action"), ageColumn],
  check: checkAuthorizationPolicy,
};

function checkAuthorizationPolicy(object: AuthorizationPolicy): readonly Issue[] {
  const spec = object.spec ?? {};
  const issues: Issue[] = [...warnIneffective(object, authorizationPolicyIneffective)];
  issues.push(...checkOneTarget(spec));
  issues.push(...checkAction(spec));
  (spec.rules ?? []).forEach((each, i) => {
    issues.push(...checkRule(each, `spec.rules[${i}]`));
  });
  return issues;
}

function checkAction(spec: NonNullable<AuthorizationPolicy["spec"]>): readonly Issue[] {
  const issues: Issue[] = [];
  if (spec.action === "CUSTOM") {
    if (spec.provider?.name === undefined || spec.provider.name === "") {
      issues.push(errorIssue("spec.provider.name", "is required when the action is CUSTOM", "required"));
    }
  } else if (spec.provider !== undefined) {
    issues.push(errorIssue("spec.provider", `must not be set when the action is ${spec.action ?? "ALLOW"}`));
  }
  if (spec.action === "DENY" && spec.rules === undefined) {
    issues.push(warningIssue("spec.rules", "a DENY policy without rules matches no request and denies nothing"));
  }
  return issues;
}

function checkRule(each: AuthorizationRule, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  if (each.from !== undefined && each.from.length === 0) issues.push(errorIssue(`${path}.from`, "must not be empty"));
  if (each.to !== undefined && each.to.length === 0) issues.push(errorIssue(`${path}.to`, "must not be empty"));
  (each.from ?? []).forEach((from, i) => {
    issues.push(...checkSource(from.source, `${path}.from[${i}].source`));
  });
  (each.to ?? []).forEach((to, i) => {
    issues.push(...checkOperation(to.operation, `${path}.to[${i}].operation`));
  });
  (each.when ?? []).forEach((condition, i) => {
    issues.push(...checkCondition(condition, `${path}.when[${i}]`));
  });
  return issues;
}

function checkSource(value: AuthorizationSource | undefined, path: string): readonly Issue[] {
  if (value === undefined || Object.keys(value).length === 0)
    return [errorIssue(path, "must not be empty", "required")];
  const issues: Issue[] = [...checkNoEmptyText(value, path)];
  if (
    (value.serviceAccounts !== undefined || value.notServiceAccounts !== undefined) &&
    [value.principals, value.notPrincipals, value.namespaces, value.notNamespaces].some((list) => list !== undefined)
  ) {
    issues.push(errorIssue(path, "Cannot set serviceAccounts with namespaces or principals"));
  }
  for (const field of ["ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks"] as const) {
    (value[field] ?? []).forEach((block, i) => {
      if (!isIpBlock(block)) {
        issues.push(errorIssue(`${path}.${field}[${i}]`, `${quote(block)} is not an IP address or CIDR range`));
      }
    });
  }
  return issues;
}

function checkOperation(value: AuthorizationOperation | undefined, path: string): readonly Issue[] {
  if (value === undefined || Object.keys(value).length === 0)
    return [errorIssue(path, "must not be empty", "required")];
  const issues: Issue[] = [...checkNoEmptyText(value, path)];
  for (const field of ["ports", "notPorts"] as const) {
    (value[field] ?? []).forEach((port, i) => {
      const at = `${path}.${field}[${i}]`;
      if (!/^\d+$/.test(port)) issues.push(errorIssue(at, `${quote(port)} is not a port number`));
      else issues.push(...checkPort(Number(port), at));
    });
  }
  for (const field of ["paths", "notPaths"] as const) {
    (value[field] ?? []).forEach((text, i) => {
      const at = `${path}.${field}[${i}]`;
      if (isPathTemplate(text)) issues.push(...checkPathTemplate(text, at));
    });
  }
  return issues;
}

/** True for `/a/{*}` and `/a/{**}`, which match by segments. */
export function isPathTemplate(path: string): boolean {
  return path.includes("{*}") || path.includes("{**}");
}

function checkPathTemplate(path: string, at: string): readonly Issue[] {
  if (!path.startsWith("/")) return [errorIssue(at, "a path template must begin with /")];
  const segments = path.slice(1).split("/");
  const odd = segments.find((segment) => /[{}*]/.test(segment) && segment !== "{*}" && segment !== "{**}");
  if (odd !== undefined) return [errorIssue(at, `${quote(odd)} must be a whole {*} or {**} or contain none of { } *`)];
  const deep = segments.indexOf("{**}");
  if (deep >= 0 && segments.slice(deep + 1).some((segment) => segment.startsWith("{"))) {
    return [errorIssue(at, "{**} must be the last operator of the template")];
  }
  return [];
}

function checkCondition(value: AuthorizationCondition, path: string): readonly Issue[] {
  const issues: Issue[] = [];
  if (value.values === undefined && value.notValues === undefined) {
    issues.push(errorIssue(path, "at least one of values, notValues must be set", "required"));
  }
  if (!isConditionKey(value.key)) issues.push(errorIssue(`${path}.key`, `unknown key ${quote(value.key)}`));
  if (["source.ip", "remote.ip", "destination.ip"].includes(value.key)) {
    issues.push(...checkBlocks(value.values, `${path}.values`), ...checkBlocks(value.notValues, `${path}.notValues`));
  }
  return issues;
}

function checkBlocks(blocks: readonly string[] | undefined, path: string): readonly Issue[] {
  return (blocks ?? []).flatMap((block, i) =>
    isIpBlock(block) ? [] : [errorIssue(`${path}[${i}]`, `${quote(block)} is not an IP address or CIDR range`)],
  );
}

const CONDITION_KEYS = new Set([
  "source.ip",
  "remote.ip",
  "source.namespace",
  "source.principal",
  "source.trustDomain",
  "source.serviceAccount",
  "request.auth.principal",
  "request.auth.audiences",
  "request.auth.presenter",
  "destination.ip",
  "destination.port",
  "connection.sni",
]);

function isConditionKey(key: string): boolean {
  return (
    CONDITION_KEYS.has(key) ||
    /^request\.headers\[[^\]]+\]$/.test(key) ||
    /^request\.auth\.claims(\[[^\]]+\])+$/.test(key) ||
    /^experimental\.envoy\.filters\..+\[[^\]]+\]$/.test(key)
  );
}

function checkNoEmptyText(value: object, path: string): readonly Issue[] {
  return Object.entries(value).flatMap(([field, list]) => {
    if (!Array.isArray(list)) return [];
    if (list.length === 0) return [errorIssue(`${path}.${field}`, "must not be an empty list")];
    return list.flatMap((text, i) => (text === "" ? [errorIssue(`${path}.${field}[${i}]`, "must not be empty")] : []));
  });
}

function isIpBlock(block: string): boolean {
  const [address = "", length, more] = block.split("/");
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  if (length === undefined) return true;
  return /^\d+$/.test(length) && Number(length) <= (family === 4 ? 32 : 128);
}
