// What a request does, as RBAC permissions.

import { Permission } from "../proto/gen/envoy/config/rbac/v3/rbac.ts";
import {
  cidrOf,
  headerForm,
  hostForm,
  listForm,
  metadataForm,
  regexMatcher,
  stringForm,
  templateForm,
  templateRegex,
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

/** Undefined where the protocol doesn't have the attribute. */
export function permissionFor(key: PermissionKey, value: string, scope: RuleScope): Permission | undefined {
  const rule = ruleFor(key, value, scope);
  return rule === undefined ? undefined : Permission.fromPartial({ rule });
}

function ruleFor(key: PermissionKey, value: string, scope: RuleScope): NonNullable<Permission["rule"]> | undefined {
  const http = scope.protocol === "http";
  switch (key.id) {
    case "hosts":
      return http ? { $case: "header", value: hostForm(value) } : undefined;
    case "methods":
      return http ? { $case: "header", value: headerForm(":method", value) } : undefined;
    case "paths":
      return http ? pathRule(value, scope) : undefined;
    case "ports":
      return portRule(Number(value), scope);
    case "destinationIp":
      return { $case: "destinationIp", value: cidrOf(value) };
    case "serverName":
      return { $case: "requestedServerName", value: stringForm(value) };
    case "metadata": {
      const inner = /^\[(.*)\]$/.exec(value)?.[1];
      const matcher = inner === undefined ? valueForm(stringForm(value)) : listForm(stringForm(inner));
      return { $case: "metadata", value: metadataForm(key.filter, key.path, matcher) };
    }
  }
}

function portRule(port: number, { servedPort }: RuleScope): NonNullable<Permission["rule"]> {
  if (servedPort === undefined) return { $case: "destinationPort", value: port };
  const anything = { $case: "any", value: true } as const;
  return port === servedPort ? anything : { $case: "notRule", value: Permission.fromPartial({ rule: anything }) };
}

function pathRule(value: string, { templates }: RuleScope): NonNullable<Permission["rule"]> {
  const template = templateForm(value);
  if (template !== undefined && templates === "regex") {
    return { $case: "urlPath", value: { rule: { $case: "path", value: regexMatcher(templateRegex(value)) } } };
  }
  if (template !== undefined) return { $case: "uriTemplate", value: { name: "uri-template", typedConfig: template } };
  return { $case: "urlPath", value: { rule: { $case: "path", value: stringForm(value) } } };
}
