// Which virtual host and which route a request belongs to.

import type { RequestHead } from "../codec/head.ts";
import type { ClusterTarget, WeightedTarget } from "../compile/action.ts";
import type { RouteInput } from "../compile/match.ts";
import { placesOf, type RouteIndex } from "../compile/path-table.ts";
import type { RouteEntry, RouteTable, VirtualHostEntry } from "../compile/route.ts";

/** Envoy's precedence: exact, longest suffix, longest prefix, any. */
export function findHost(table: RouteTable, authority: string): VirtualHostEntry | undefined {
  if (table.onlyAny) return table.any;
  let host = authority.toLowerCase();
  if (table.ignorePort) host = withoutPort(host);
  const exact = table.exact.get(host);
  if (exact !== undefined) return exact;
  for (const one of table.suffixes) if (host.length > one.text.length && host.endsWith(one.text)) return one.host;
  for (const one of table.prefixes) if (host.length > one.text.length && host.startsWith(one.text)) return one.host;
  return table.any;
}

export function findRoute(host: VirtualHostEntry, input: RouteInput): RouteEntry | undefined {
  if (host.index !== undefined) return findIndexed(host, host.index, input);
  for (const route of host.routes) if (matches(route, input)) return route;
  return undefined;
}

/** Goes through two ascending lists of places as through one. */
function findIndexed({ routes }: VirtualHostEntry, index: RouteIndex, input: RouteInput): RouteEntry | undefined {
  const { always } = index;
  const named = placesOf(index, input.path);
  let [a, n] = [0, 0];
  while (a < always.length || n < named.length) {
    const anyway = always[a] ?? Infinity;
    const byName = named[n] ?? Infinity;
    if (anyway < byName) a += 1;
    else n += 1;
    const route = routes[Math.min(anyway, byName)];
    if (route !== undefined && matches(route, input)) return route;
  }
  return undefined;
}

/** By weight: of a header's number where the route names one and the request has it, else of chance (uniform in [0, 1)). */
export function chooseWeighted(
  target: Extract<ClusterTarget, { kind: "weighted" }>,
  head: RequestHead,
  random: number,
): WeightedTarget | undefined {
  const told = target.randomHeader === "" ? undefined : head.get(target.randomHeader);
  let point =
    told !== undefined && /^\d{1,19}$/.test(told) ? Number(BigInt(told) % BigInt(target.total)) : random * target.total;
  for (const one of target.clusters) {
    point -= one.weight;
    if (point < 0) return one;
  }
  return target.clusters.at(-1);
}

function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(":");
  if (colon === -1 || authority.endsWith("]")) return authority;
  return authority.slice(0, colon);
}

function matches(route: RouteEntry, input: RouteInput): boolean {
  for (const predicate of route.predicates) if (!predicate(input)) return false;
  return true;
}
