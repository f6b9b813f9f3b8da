// What a request does, as RBAC permissions.

import { Permission } from "../proto/gen/envoy/config/rbac/v3/rbac.ts";
import type { ValueMatcher } from "../proto/gen/envoy/type/matcher/v3/value.ts";
import {
  cidrOf,
  headerForm,
  hostForm,
  listForm,
  metadataForm,
  orForm,
  stringForm,
  templateForm,
  valueForm,
} from "./rbac-match.ts";
import type { RuleScope } from "./rbac-rule.ts";

export type PermissionKey =
  | { readonly id: "hosts" | "methods" | "paths" | "ports" | "destinationIp" | "serverName" }
  | { readonly id: "metadata"; readonly filter: string; readonly path: readonly string[] };

/** Condition keys that are about the request. */
export const PERMISSIONS: ReadonlyMap<string, "ports" | "destinationIp" | "serverName"> = new Map([
  ["destination.ip", "destinationIp"],
  ["destination.port", "ports"],
  ["connection.sni", "serverName"],
] as const);

/** What has any of the values; undefined where the protocol doesn't have the attribute. */
export function anyPermission(key: PermissionKey, values: readonly string[], scope: RuleScope): Permission | undefined {
  if (key.id === "metadata") {
    const value = metadataForm(key.filter, key.path, orForm(values.map(metadataValue)));
    return Permission.fromPartial({ rule: { $case: "metadata", value } });
  }
  if (scope.protocol === "tcp" && ONLY_HTTP.has(key.id)) return undefined;
  const { id } = key;
  const rules = values.map((value) => Permission.fromPartial({ rule: ruleFor(id, value, scope) }));
  return Permission.fromPartial({ rule: { $case: "orRules", value: { rules } } });
}

const ONLY_HTTP: ReadonlySet<PermissionKey["id"]> = new Set(["hosts", "methods", "paths"]);

/** `[a]` asks for a list that holds it. */
function metadataValue(value: string): ValueMatcher {
  const inner = /^\[(.*)\]$/.exec(value)?.[1];
  return inner === undefined ? valueForm(stringForm(value)) : listForm(valueForm(stringForm(inner)));
}

type RuleOf = NonNullable<Permission["rule"]>;

function ruleFor(id: Exclude<PermissionKey["id"], "metadata">, value: string, scope: RuleScope): RuleOf {
  switch (id) {
    case "hosts":
      return { $case: "header", value: hostForm(value) };
    case "methods":
      return { $case: "header", value: headerForm(":method", value) };
    case "paths":
      return pathRule(value);
    case "ports":
      return portRule(Number(value), scope);
    case "destinationIp":
      return { $case: "destinationIp", value: cidrOf(value) };
    case "serverName":
      return { $case: "requestedServerName", value: stringForm(value) };
  }
}

function portRule(port: number, { servedPort }: RuleScope): RuleOf {
  if (servedPort === undefined) return { $case: "destinationPort", value: port };
  const anything = { $case: "any", value: true } as const;
  return port === servedPort ? anything : { $case: "notRule", value: Permission.fromPartial({ rule: anything }) };
}

function pathRule(value: string): RuleOf {
  const typedConfig = templateForm(value);
  if (typedConfig !== undefined) return { $case: "uriTemplate", value: { name: "uri-template", typedConfig } };
  return { $case: "urlPath", value: { rule: { $case: "path", value: stringForm(value) } } };
}
