// What a request is about, from its method and URL.

import type { Kind } from "../api/kind.ts";
import type { Registry } from "../api/registry.ts";

export interface ResourceRoute {
  readonly kind: Kind;
  readonly version: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

export interface PathParts {
  readonly group: string;
  readonly version: string;
  readonly namespace: string | undefined;
  readonly plural: string;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** `/api/v1/namespaces/shop/pods/a/log` and `/apis/apps/v1/...`; undefined for paths of another form. */
export function parsePath(pathname: string): PathParts | undefined {
  const segments = decodedSegments(pathname);
  if (segments === undefined) return undefined;
  const isCore = segments[0] === "api";
  if (!isCore && segments[0] !== "apis") return undefined;
  const group = isCore ? "" : (segments[1] ?? "");
  const [version, ...rest] = segments.slice(isCore ? 1 : 2);
  if (version === undefined || rest.length === 0) return undefined;
  // `namespaces/x/pods` is inside a namespace; `namespaces/x` and `namespaces/x/status` are the namespace itself.
  const [first, second, third] = rest;
  const isInside = first === "namespaces" && third !== undefined && third !== "status" && third !== "finalize";
  const [plural, name, subresource, ...more] = isInside ? rest.slice(2) : rest;
  if (plural === undefined || more.length > 0) return undefined;
  return { group, version, namespace: isInside ? second : undefined, plural, name, subresource };
}

export function findRoute(registry: Registry, parts: PathParts): ResourceRoute | undefined {
  const kind = registry.byPlural(parts.group, parts.version, parts.plural);
  if (kind === undefined) return undefined;
  const isNamespaceKind = kind.kind === "Namespace" && kind.group === "";
  if (parts.namespace !== undefined && !kind.namespaced && !isNamespaceKind) return undefined;
  if (parts.name !== undefined && kind.namespaced && parts.namespace === undefined) return undefined;
  const { version, namespace, name, subresource } = parts;
  return { kind, version, namespace, name, subresource };
}

function decodedSegments(pathname: string): string[] | undefined {
  try {
    return pathname
      .split("/")
      .filter((segment) => segment !== "")
      .map(decodeURIComponent);
  } catch {
    return undefined;
  }
}
