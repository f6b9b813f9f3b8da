// A VirtualService under a Canary: which of its routes lead to both versions, and how they say a step. Only weights
// change, but for the steps by header and mirror, whose additions are taken away again.

import type { HttpRoute, VirtualService } from "../api/istio/virtual-service.ts";
import type { CanarySetting, CanaryStatus } from "../api/weft/canary.ts";
import { deepEqual } from "../base/equal.ts";

export interface Versions {
  readonly stable: string;
  readonly canary: string;
}

type Original = NonNullable<CanaryStatus["original"]>;
type Target = NonNullable<HttpRoute["route"]>[number];

/** Begins the names of routes that a step by header has added. */
const ADDED = "weft-canary-";

/** The routes that lead to both versions. */
export function managedRoutes(service: VirtualService, versions: Versions): readonly HttpRoute[] {
  return (service.spec.http ?? []).filter((route) => !isAdded(route) && pairOf(route, versions) !== undefined);
}

/** The host whose versions they are, as the VirtualService writes it. */
export function managedHost(service: VirtualService, versions: Versions): string | undefined {
  const [first] = managedRoutes(service, versions);
  return first === undefined ? undefined : pairOf(first, versions)?.stable.destination.host;
}

/** Of the first route with two subsets of one host: the one with more weight serves now. */
export function subsetsOf(service: VirtualService): Versions | undefined {
  for (const { route = [] } of service.spec.http ?? []) {
    const [first, second, ...more] = route.filter(({ destination }) => destination.subset !== undefined);
    if (first === undefined || second === undefined || more.length > 0) continue;
    if (first.destination.host !== second.destination.host) continue;
    const [stable, canary] = (second.weight ?? 0) > (first.weight ?? 0) ? [second, first] : [first, second];
    return { stable: stable.destination.subset ?? "", canary: canary.destination.subset ?? "" };
  }
  return undefined;
}

export function originalOf(service: VirtualService, versions: Versions): Original {
  return managedRoutes(service, versions).flatMap((route) => {
    const pair = pairOf(route, versions);
    if (pair === undefined) return [];
    const { stable, canary } = pair;
    return {
      route: routeKey(route),
      ...(stable.weight === undefined ? {} : { stable: stable.weight }),
      ...(canary.weight === undefined ? {} : { canary: canary.weight }),
    };
  });
}

export interface RouteContext extends Versions {
  readonly original: Original;
  /** One of the steps is a mirror; otherwise mirrors are the user's. */
  readonly mirrors: boolean;
}

export function says(service: VirtualService, setting: CanarySetting, context: RouteContext): boolean {
  if (setting.kind === "any") return true;
  return deepEqual(write(service, setting, context).spec.http ?? [], service.spec.http ?? []);
}

/** All else stays as the user has it. */
export function write(service: VirtualService, setting: CanarySetting, context: RouteContext): VirtualService {
  const { original, mirrors } = context;
  const http = (service.spec.http ?? [])
    .filter((route) => !isAdded(route))
    .flatMap((route, index) => {
      const pair = pairOf(route, context);
      if (pair === undefined) return [route];
      const own = withWeights(route, pair, weightsOf(route, pair, { setting, original }));
      const plain = mirrors ? unmirrored(own, pair) : own;
      const mirrored = setting.mirror === undefined ? plain : mirroring(own, pair, setting.mirror);
      const { headers } = setting;
      const added = headers === undefined ? [] : [byHeader(plain, pair, { headers, index })];
      return [...added, mirrored];
    });
  return { ...service, spec: { ...service.spec, http } };
}

interface Pair {
  readonly stable: Target;
  readonly canary: Target;
}

function pairOf(route: HttpRoute, { stable, canary }: Versions): Pair | undefined {
  const targets = route.route ?? [];
  for (const one of targets) {
    if (one.destination.subset !== stable) continue;
    const other = targets.find(
      ({ destination }) => destination.subset === canary && destination.host === one.destination.host,
    );
    if (other !== undefined) return { stable: one, canary: other };
  }
  return undefined;
}

type Weights = readonly [stable: number | undefined, canary: number | undefined];

/** What the two had together is what they share; the sum of a route's weights stays. */
function weightsOf(
  route: HttpRoute,
  { stable, canary }: Pair,
  { setting, original }: { readonly setting: CanarySetting; readonly original: Original },
): Weights {
  const known = original.find((each) => each.route === routeKey(route)) ?? original[0];
  if (setting.kind !== "step")
    return known === undefined ? [stable.weight, canary.weight] : [known.stable, known.canary];
  const whole = (stable.weight ?? 0) + (canary.weight ?? 0) || 100;
  const share = Math.round((whole * (setting.weight ?? 0)) / 100);
  return [whole - share, share];
}

function withWeights(route: HttpRoute, pair: Pair, [stable, canary]: Weights): HttpRoute {
  const targets = (route.route ?? []).map((target) => {
    if (target === pair.stable) return weighted(target, stable);
    return target === pair.canary ? weighted(target, canary) : target;
  });
  return { ...route, route: targets };
}

function weighted({ weight: _before, ...target }: Target, weight: number | undefined): Target {
  return weight === undefined ? target : { ...target, weight };
}

function mirroring(route: HttpRoute, { canary }: Pair, percent: number): HttpRoute {
  return { ...route, mirror: { ...canary.destination }, mirrorPercentage: { value: percent } };
}

/** Takes away only what leads to the canary: a mirror of the user's own stays. */
function unmirrored(route: HttpRoute, { canary }: Pair): HttpRoute {
  if (route.mirror === undefined || !deepEqual(route.mirror, canary.destination)) return route;
  const { mirror: _mirror, mirrorPercentage: _percentage, ...rest } = route;
  return rest;
}

/** In front of the route: the same requests, of those that carry the headers, for the canary. */
function byHeader(
  route: HttpRoute,
  { canary }: Pair,
  { headers, index }: { readonly headers: NonNullable<CanarySetting["headers"]>; readonly index: number },
): HttpRoute {
  const match = (route.match ?? [{}]).map((each) => ({ ...each, headers: { ...each.headers, ...headers } }));
  const { weight: _weight, ...target } = canary;
  return { ...route, name: `${ADDED}${index}`, match, route: [target] };
}

function isAdded({ name }: HttpRoute): boolean {
  return name?.startsWith(ADDED) === true;
}

/** Its name, else what it matches: stays the same while others come and go around it. */
function routeKey({ name, match }: HttpRoute): string {
  return name ?? JSON.stringify(match ?? []);
}
