// A RouteConfiguration to an immutable table: virtual hosts by domain, routes in order, each with its matchers and its action.

import type { Metadata } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { RouteConfiguration } from "../../proto/gen/envoy/config/route/v3/route.ts";
import {
  type Route,
  type VirtualHost,
  VirtualHost_TlsRequirementType,
} from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import { DIRECT_RESPONSE_BYTES_MAX } from "../limits.ts";
import { type Action, compileAction } from "./action.ts";
import { type Field, fields } from "./field.ts";
import type { FilterOverride } from "./http-filter.ts";
import { compileMatch, type RoutePredicate } from "./match.ts";
import { compileMutations, type HeaderMutation } from "./mutation.ts";
import { compileOverrides } from "./overrides.ts";
import { indexRoutes, pathKey, type RouteIndex } from "./path-table.ts";
import { compileRateLimits, type RouteRateLimits } from "./rate-limit.ts";
import { compileRouteTracing, type RouteTracing } from "./tracing.ts";
import { type Cause, causeOf } from "./value.ts";

export interface RouteEntry {
  readonly name: string;
  readonly cause: Cause | undefined;
  readonly virtualHost: VirtualHostEntry;
  readonly predicates: readonly RoutePredicate[];
  readonly action: Action;
  readonly requestMutations: readonly HeaderMutation[];
  readonly responseMutations: readonly HeaderMutation[];
  readonly overrides: ReadonlyMap<string, FilterOverride>;
  readonly rateLimits: RouteRateLimits | undefined;
  readonly metadata: Metadata | undefined;
  readonly tracing: RouteTracing | undefined;
  /** Under which it counts; empty: it doesn't. */
  readonly statPrefix: string;
}

export interface VirtualHostEntry {
  readonly name: string;
  readonly cause: Cause | undefined;
  readonly routes: readonly RouteEntry[];
  /** Where there are many. */
  readonly index: RouteIndex | undefined;
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  /** Whom it sends to https: `external` leaves out callers that are internal. */
  readonly requireTls: "none" | "external" | "all";
}

export interface RouteTable {
  readonly name: string;
  readonly ignorePort: boolean;
  /** Headers that only an internal caller may send. */
  readonly internalOnlyHeaders: readonly string[];
  readonly exact: ReadonlyMap<string, VirtualHostEntry>;
  /** `*.example.com`, longest first, without the star. */
  readonly suffixes: readonly { readonly text: string; readonly host: VirtualHostEntry }[];
  readonly prefixes: readonly { readonly text: string; readonly host: VirtualHostEntry }[];
  readonly any: VirtualHostEntry | undefined;
  /** No other domain than `*`: a host need not be looked at. */
  readonly onlyAny: boolean;
  /** Every cluster that a route can lead to. */
  readonly clusters: ReadonlySet<string>;
}

const TABLE =
  fields(`name virtualHosts responseHeadersToAdd responseHeadersToRemove requestHeadersToAdd requestHeadersToRemove
  mostSpecificHeaderMutationsWins validateClusters maxDirectResponseBodySizeBytes ignorePortInHostMatching typedPerFilterConfig metadata
  requestMirrorPolicies internalOnlyHeaders ignorePathParametersInPathMatching`);
const HOST =
  fields(`name domains routes requireTls requestHeadersToAdd requestHeadersToRemove responseHeadersToAdd responseHeadersToRemove
  typedPerFilterConfig includeRequestAttemptCount includeAttemptCountInResponse retryPolicy perRequestBufferLimitBytes metadata
  requestMirrorPolicies rateLimits`);
const ROUTE =
  fields(`name match action metadata decorator typedPerFilterConfig requestHeadersToAdd requestHeadersToRemove
  responseHeadersToAdd responseHeadersToRemove perRequestBufferLimitBytes tracing statPrefix`);
const HOST_TYPE = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
const ROUTE_TYPE = "type.googleapis.com/envoy.config.route.v3.Route";

export function compileRoutes(config: RouteConfiguration, at: Field): RouteTable {
  at.only(config, TABLE);
  const exact = new Map<string, VirtualHostEntry>();
  const suffixes: { text: string; host: VirtualHostEntry }[] = [];
  const prefixes: { text: string; host: VirtualHostEntry }[] = [];
  let any: VirtualHostEntry | undefined;
  const clusters = new Set<string>();
  const seen = new Set<string>();
  for (const [index, host] of config.virtualHosts.entries()) {
    const field = at.at("virtualHosts").at(index);
    const entry = compileHost(host, config, field.as(HOST_TYPE));
    for (const route of entry.routes) for (const name of clustersOf(route.action)) clusters.add(name);
    refuseLargeBodies(entry, config, field);
    for (const domain of domainsOf(host, seen, field.at("domains"))) {
      if (domain === "*") any = entry;
      else if (domain.startsWith("*")) suffixes.push({ text: domain.slice(1), host: entry });
      else if (domain.endsWith("*")) prefixes.push({ text: domain.slice(0, -1), host: entry });
      else exact.set(domain, entry);
    }
  }
  const longestFirst = (a: { text: string }, b: { text: string }) => b.text.length - a.text.length;
  suffixes.sort(longestFirst);
  prefixes.sort(longestFirst);
  return {
    name: config.name,
    ignorePort: config.ignorePortInHostMatching,
    internalOnlyHeaders: config.internalOnlyHeaders.map((name) => name.toLowerCase()),
    exact,
    suffixes,
    prefixes,
    any,
    onlyAny: exact.size === 0 && suffixes.length === 0 && prefixes.length === 0,
    clusters,
  };
}

/** Envoy refuses a direct response beyond the limit rather than cut it. */
function refuseLargeBodies(host: VirtualHostEntry, config: RouteConfiguration, at: Field): void {
  const bytesMax = config.maxDirectResponseBodySizeBytes ?? DIRECT_RESPONSE_BYTES_MAX;
  for (const [index, { action }] of host.routes.entries()) {
    if (action.kind !== "direct" || Buffer.byteLength(action.body) <= bytesMax) continue;
    const field = at.at("routes").at(index).at("directResponse").at("body");
    field.refuse(`the body is larger than ${bytesMax} bytes, the configuration's max_direct_response_body_size_bytes`);
  }
}

/** In lower case; each belongs to one virtual host only. */
function domainsOf(host: VirtualHost, seen: Set<string>, at: Field): readonly string[] {
  return host.domains.map((written, index) => {
    const domain = written.toLowerCase();
    if (seen.has(domain)) at.at(index).refuse(`${written} is a domain of another virtual host`);
    seen.add(domain);
    return domain;
  });
}

function clustersOf(action: Action): readonly string[] {
  if (action.kind !== "forward") return [];
  const names = action.mirrors.map((mirror) => mirror.cluster);
  if (action.target.kind === "cluster") names.push(action.target.name);
  if (action.target.kind === "weighted") for (const one of action.target.clusters) names.push(one.name);
  return names.filter((name) => name !== "");
}

function compileHost(host: VirtualHost, config: RouteConfiguration, at: Field): VirtualHostEntry {
  at.only(host, HOST);
  if (host.domains.length === 0) at.at("domains").refuse("a virtual host needs a domain");
  const routes: RouteEntry[] = [];
  const entry: VirtualHostEntry = {
    name: host.name,
    cause: causeOf(host.metadata) ?? causeOf(config.metadata),
    routes,
    index: indexRoutes(host.routes.map((route) => pathKey(route.match, matchOptions(config)))),
    includeRequestAttemptCount: host.includeRequestAttemptCount,
    includeAttemptCountInResponse: host.includeAttemptCountInResponse,
    requireTls: requireTls(host),
  };
  const outer = levelsOf(host, config, at);
  for (const [index, route] of host.routes.entries()) {
    const field = at.at("routes").at(index).as(ROUTE_TYPE);
    routes.push(compileRoute(route, { entry, host, config, outer }, field));
  }
  return entry;
}

function matchOptions(config: RouteConfiguration): { readonly ignorePathParameters: boolean } {
  return { ignorePathParameters: config.ignorePathParametersInPathMatching };
}

function requireTls(host: VirtualHost): VirtualHostEntry["requireTls"] {
  if (host.requireTls === VirtualHost_TlsRequirementType.ALL) return "all";
  return host.requireTls === VirtualHost_TlsRequirementType.EXTERNAL_ONLY ? "external" : "none";
}

interface Level {
  readonly request: readonly HeaderMutation[];
  readonly response: readonly HeaderMutation[];
}

interface Around {
  readonly entry: VirtualHostEntry;
  readonly host: VirtualHost;
  readonly config: RouteConfiguration;
  /** Virtual host, then configuration. */
  readonly outer: readonly Level[];
}

function levelsOf(host: VirtualHost, config: RouteConfiguration, at: Field): readonly Level[] {
  return [levelOf(host, at), levelOf(config, at)];
}

type Mutating = Pick<
  Route,
  "requestHeadersToAdd" | "requestHeadersToRemove" | "responseHeadersToAdd" | "responseHeadersToRemove"
>;

function levelOf(message: Mutating, at: Field): Level {
  return {
    request: compileMutations(
      { add: message.requestHeadersToAdd, remove: message.requestHeadersToRemove },
      at,
      "requestHeadersToAdd",
    ),
    response: compileMutations(
      { add: message.responseHeadersToAdd, remove: message.responseHeadersToRemove },
      at,
      "responseHeadersToAdd",
    ),
  };
}

function compileRoute(route: Route, around: Around, at: Field): RouteEntry {
  at.only(route, ROUTE);
  const levels = [levelOf(route, at), ...around.outer];
  if (around.config.mostSpecificHeaderMutationsWins) levels.reverse();
  return {
    name: route.name,
    cause: causeOf(route.metadata) ?? around.entry.cause,
    virtualHost: around.entry,
    predicates: compileMatch(route.match, matchOptions(around.config), at.at("match")),
    action: compileAction(route, around, at),
    requestMutations: levels.flatMap((level) => level.request),
    responseMutations: levels.flatMap((level) => level.response),
    overrides: compileOverrides([around.config, around.host, route], at),
    rateLimits: compileRouteLimits(route, around.host, at),
    metadata: route.metadata,
    tracing: compileRouteTracing(route, at),
    statPrefix: route.statPrefix,
  };
}

function compileRouteLimits(route: Route, host: VirtualHost, at: Field): RouteRateLimits | undefined {
  if (route.action?.$case !== "route") return undefined;
  const { rateLimits, includeVhRateLimits } = route.action.value;
  if (rateLimits.length === 0 && host.rateLimits.length === 0) return undefined;
  return {
    route: compileRateLimits(rateLimits, at.at("route").at("rateLimits")),
    host: compileRateLimits(host.rateLimits, at.at("rateLimits")),
    includeHost: includeVhRateLimits ?? false,
  };
}
