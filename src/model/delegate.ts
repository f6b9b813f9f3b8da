// Delegation: a rule of a VirtualService that hands its requests on to the rules of another, which has no hosts.

import type { StringMatch } from "../api/istio/shapes.ts";
import type { HttpMatch, HttpRoute, VirtualService } from "../api/istio/virtual-service.ts";
import { keyOf } from "../ingest/resources.ts";
import { type ResourceRef, refOf } from "./finding.ts";
import { isExportedTo } from "./hosts.ts";

/** A rule with where it was written: what a cause names, and whose namespace its short names belong to. */
export interface PlacedRule<T> {
  readonly route: T;
  readonly resource: ResourceRef;
  readonly namespace: string;
  /** `spec.http[0]`. */
  readonly rule: string;
}

export interface Delegation {
  readonly rules: readonly PlacedRule<HttpRoute>[];
  readonly problems: readonly { readonly path: string; readonly message: string }[];
}

/** The rules of a VirtualService with each delegate's in its place; a delegate can't delegate further. */
export function withDelegates(root: VirtualService, all: ReadonlyMap<string, VirtualService>): Delegation {
  const problems: { path: string; message: string }[] = [];
  const rules = (root.spec.http ?? []).flatMap((route, i): readonly PlacedRule<HttpRoute>[] => {
    const place = placeOf(root, i);
    if (route.delegate === undefined) return [{ route, ...place }];
    const found = findDelegate(root, route, all);
    if ("message" in found) {
      problems.push({ path: `spec.http[${i}].delegate`, message: found.message });
      const body = { string: `VirtualService ${keyOf(root)} ${place.rule} delegates, but ${found.message}\n` };
      const { match, name } = route;
      const refused: HttpRoute = { directResponse: { status: 503, body } };
      if (match !== undefined) refused.match = match;
      if (name !== undefined) refused.name = name;
      return [{ route: refused, ...place }];
    }
    return (found.http ?? []).flatMap((inner, j) => {
      if (inner.delegate !== undefined) {
        problems.push({
          path: `spec.http[${i}].delegate`,
          message: `spec.http[${j}] of the delegate delegates again, which only a VirtualService with hosts can; it is left out`,
        });
        return [];
      }
      const merged = mergeRoute(route, inner);
      return merged === undefined ? [] : [{ route: merged, ...placeOf(found.resource, j) }];
    });
  });
  return { rules, problems };
}

function placeOf(resource: VirtualService, index: number) {
  return {
    resource: refOf(resource),
    namespace: resource.metadata.namespace ?? "default",
    rule: `spec.http[${index}]`,
  };
}

type Found =
  | { readonly resource: VirtualService; readonly http: readonly HttpRoute[] | undefined }
  | { readonly message: string };

function findDelegate(root: VirtualService, route: HttpRoute, all: ReadonlyMap<string, VirtualService>): Found {
  const own = root.metadata.namespace ?? "default";
  const namespace = route.delegate?.namespace ?? "";
  const key = `${namespace === "" ? own : namespace}/${route.delegate?.name ?? ""}`;
  const resource = all.get(key);
  if (resource === undefined) return { message: `VirtualService ${key} does not exist` };
  if ((resource.spec.hosts ?? []).length > 0)
    return { message: `VirtualService ${key} has hosts of its own, so it is no delegate` };
  if (!isExportedTo(resource.spec.exportTo, resource.metadata.namespace ?? "default", own))
    return { message: `VirtualService ${key} is not exported to namespace ${own}` };
  return { resource, http: resource.spec.http };
}

/** What the delegate leaves unset is the root's. Undefined where the two can never match the same request. */
function mergeRoute(root: HttpRoute, inner: HttpRoute): HttpRoute | undefined {
  const { delegate: _delegate, match: rootMatch, name: rootName, ...inherited } = root;
  const { match: innerMatch, name: innerName, ...own } = inner;
  const match = mergeMatches(rootMatch ?? [], innerMatch ?? []);
  if (match === undefined) return undefined;
  const names = [rootName, innerName].filter((name) => name !== undefined && name !== "");
  const merged: HttpRoute = { ...inherited, ...own };
  if (match.length > 0) merged.match = [...match];
  if (names.length > 0) merged.name = names.join("-");
  return merged;
}

function mergeMatches(root: readonly HttpMatch[], inner: readonly HttpMatch[]): readonly HttpMatch[] | undefined {
  if (root.length === 0) return inner;
  if (inner.length === 0) return root;
  const merged = inner.flatMap((each) => root.flatMap((outer) => mergeMatch(outer, each) ?? []));
  return merged.length === 0 ? undefined : merged;
}

function mergeMatch(root: HttpMatch, inner: HttpMatch): HttpMatch | undefined {
  for (const field of ["uri", "scheme", "method", "authority"] as const) {
    if (!isWithin(inner[field], root[field])) return undefined;
  }
  for (const field of ["port", "sourceNamespace"] as const) {
    if (root[field] !== undefined && inner[field] !== undefined && root[field] !== inner[field]) return undefined;
  }
  const merged: HttpMatch = { ...root, ...inner };
  for (const field of ["headers", "withoutHeaders", "queryParams"] as const) {
    const outer = root[field];
    if (outer === undefined) continue;
    const own = inner[field] ?? {};
    if (Object.entries(outer).some(([name, match]) => !isWithin(own[name], match))) return undefined;
    merged[field] = { ...outer, ...own };
  }
  const labels = { ...root.sourceLabels, ...inner.sourceLabels };
  if (Object.entries(root.sourceLabels ?? {}).some(([name, value]) => labels[name] !== value)) return undefined;
  if (Object.keys(labels).length > 0) merged.sourceLabels = labels;
  return merged;
}

/** Whether all that the inner match takes is taken by the outer one too, as far as the texts tell. */
function isWithin(inner: StringMatch | undefined, outer: StringMatch | undefined): boolean {
  if (inner === undefined || outer === undefined) return true;
  if (outer.prefix !== undefined) return (inner.exact ?? inner.prefix)?.startsWith(outer.prefix) === true;
  if (outer.exact !== undefined) return inner.exact === outer.exact;
  return outer.regex !== undefined && inner.regex === outer.regex;
}
