// Which routes of a long list a path can reach at all, so that a request needn't ask each of them. Their order stays: the
// first that matches wins, as if every one had been asked.

import type { RouteMatch } from "../../proto/gen/envoy/config/route/v3/route_components.ts";

/** What a path has to be or to begin with; undefined: the route says nothing of the kind. */
export type PathKey = { readonly kind: "exact" | "prefix"; readonly text: string } | undefined;

export interface RouteIndex {
  /** Places of the routes that say nothing of the kind, ascending. */
  readonly always: readonly number[];
  readonly exact: ReadonlyMap<string, readonly number[]>;
  readonly prefix: ReadonlyMap<string, readonly number[]>;
  /** The lengths of the prefixes, ascending. */
  readonly lengths: readonly number[];
}

export function pathKey(match: RouteMatch | undefined, table: { readonly ignorePathParameters: boolean }): PathKey {
  const specifier = match?.pathSpecifier;
  if (specifier === undefined || match?.caseSensitive === false || table.ignorePathParameters) return undefined;
  if (specifier.$case === "path") return { kind: "exact", text: specifier.value };
  if (specifier.$case !== "prefix" && specifier.$case !== "pathSeparatedPrefix") return undefined;
  return specifier.value.length <= 1 ? undefined : { kind: "prefix", text: specifier.value };
}

/** Undefined where asking each is as cheap. */
export function indexRoutes(keys: readonly PathKey[]): RouteIndex | undefined {
  if (keys.length < INDEXED_ROUTES_MIN) return undefined;
  const always: number[] = [];
  const exact = new Map<string, number[]>();
  const prefix = new Map<string, number[]>();
  for (const [place, key] of keys.entries()) {
    if (key === undefined) {
      always.push(place);
      continue;
    }
    const places = key.kind === "exact" ? exact : prefix;
    const known = places.get(key.text);
    if (known === undefined) places.set(key.text, [place]);
    else known.push(place);
  }
  const lengths = [...new Set([...prefix.keys()].map((text) => text.length))].sort((a, b) => a - b);
  return { always, exact, prefix, lengths };
}

const INDEXED_ROUTES_MIN = 16;
const NONE: readonly number[] = [];

/** Places of the routes that name this path or a beginning of it, ascending. */
export function placesOf(index: RouteIndex, path: string): readonly number[] {
  let found = index.exact.get(path) ?? NONE;
  for (const length of index.lengths) {
    if (length > path.length) break;
    const more = index.prefix.get(path.slice(0, length));
    if (more !== undefined) found = found.length === 0 ? more : [...found, ...more].sort((a, b) => a - b);
  }
  return found;
}
