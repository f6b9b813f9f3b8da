// A RouteConfiguration to an immutable table: virtual hosts by domain, routes in order, each with its matchers and its action.

import type { Metadata } from "../../proto/gen/envoy/config/core/v3/base.ts";
import type { RouteConfiguration } from "../../proto/gen/envoy/config/route/v3/route.ts";
import {
  type Route,
  type RouteMatch,
  type VirtualHost,
  VirtualHost_TlsRequirementType,
} from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import type { Any } from "../../proto/gen/google/protobuf/any.ts";
import type { RequestHead } from "../codec/head.ts";
import { type Action, compileAction } from "./action.ts";
import { type Field, fields } from "./field.ts";
import { compileFilterOverride, type FilterOverride, joinOverrides } from "./http-filter.ts";
import { compileHeaders, compileQuery, compileRegex, fullMatch, type QueryPredicate } from "./matcher.ts";
import { compileMutations, type HeaderMutation } from "./mutation.ts";
import { type Cause, causeOf, runtimeFraction } from "./value.ts";

/** What a route is chosen by. */
export interface RouteInput {
  readonly head: RequestHead;
  /** The path without its query. */
  readonly path: string;
  readonly query: string | undefined;
  /** Uniform in [0, 1), one for the request. */
  readonly random: number;
  readonly tls: boolean;
}

export type RoutePredicate = (input: RouteInput) => boolean;

export interface RouteEntry {
  readonly name: string;
  readonly cause: Cause | undefined;
  readonly virtualHost: VirtualHostEntry;
  readonly predicates: readonly RoutePredicate[];
  readonly action: Action;
  readonly requestMutations: readonly HeaderMutation[];
  readonly responseMutations: readonly HeaderMutation[];
  readonly overrides: ReadonlyMap<string, FilterOverride>;
  readonly metadata: Metadata | undefined;
}

export interface VirtualHostEntry {
  readonly name: string;
  readonly cause: Cause | undefined;
  readonly routes: readonly RouteEntry[];
  readonly includeRequestAttemptCount: boolean;
  readonly includeAttemptCountInResponse: boolean;
  readonly requireTls: boolean;
}

export interface RouteTable {
  readonly name: string;
  readonly ignorePort: boolean;
  readonly exact: ReadonlyMap<string, VirtualHostEntry>;
  /** `*.example.com`, longest first, without the star. */
  readonly suffixes: readonly { readonly text: string; readonly host: VirtualHostEntry }[];
  readonly prefixes: readonly { readonly text: string; readonly host: VirtualHostEntry }[];
  readonly any: VirtualHostEntry | undefined;
  /** Every cluster that a route can lead to. */
  readonly clusters: ReadonlySet<string>;
}

const TABLE =
  fields(`name virtualHosts responseHeadersToAdd responseHeadersToRemove requestHeadersToAdd requestHeadersToRemove
  mostSpecificHeaderMutationsWins validateClusters maxDirectResponseBodySizeBytes ignorePortInHostMatching typedPerFilterConfig metadata
  requestMirrorPolicies`);
const HOST =
  fields(`name domains routes requireTls requestHeadersToAdd requestHeadersToRemove responseHeadersToAdd responseHeadersToRemove
  typedPerFilterConfig includeRequestAttemptCount includeAttemptCountInResponse retryPolicy perRequestBufferLimitBytes metadata
  requestMirrorPolicies`);
const ROUTE =
  fields(`name match action metadata decorator typedPerFilterConfig requestHeadersToAdd requestHeadersToRemove
  responseHeadersToAdd responseHeadersToRemove perRequestBufferLimitBytes tracing statPrefix`);
const MATCH = fields("pathSpecifier caseSensitive runtimeFraction headers queryParameters tlsContext");
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
  return { name: config.name, ignorePort: config.ignorePortInHostMatching, exact, suffixes, prefixes, any, clusters };
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
  return names;
}

function compileHost(host: VirtualHost, config: RouteConfiguration, at: Field): VirtualHostEntry {
  at.only(host, HOST);
  if (host.domains.length === 0) at.at("domains").refuse("a virtual host needs a domain");
  const routes: RouteEntry[] = [];
  const entry: VirtualHostEntry = {
    name: host.name,
    cause: causeOf(host.metadata) ?? causeOf(config.metadata),
    routes,
    includeRequestAttemptCount: host.includeRequestAttemptCount,
    includeAttemptCountInResponse: host.includeAttemptCountInResponse,
    requireTls: host.requireTls !== VirtualHost_TlsRequirementType.NONE,
  };
  const outer = levelsOf(host, config, at);
  for (const [index, route] of host.routes.entries()) {
    const field = at.at("routes").at(index).as(ROUTE_TYPE);
    routes.push(compileRoute(route, { entry, host, config, outer }, field));
  }
  return entry;
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
    predicates: compileMatch(route.match, at.at("match")),
    action: compileAction(route, around.host, at),
    requestMutations: levels.flatMap((level) => level.request),
    responseMutations: levels.flatMap((level) => level.response),
    overrides: compileOverrides([around.config, around.host, route], at),
    metadata: route.metadata,
  };
}

/** The most specific configuration of each filter wins, but where the filter knows how to have several. */
function compileOverrides(
  holders: readonly { readonly typedPerFilterConfig: { readonly [name: string]: Any } }[],
  at: Field,
): ReadonlyMap<string, FilterOverride> {
  const overrides = new Map<string, FilterOverride>();
  for (const holder of holders) {
    for (const [name, any] of Object.entries(holder.typedPerFilterConfig)) {
      const override = compileFilterOverride(any, at.at(`typedPerFilterConfig[${name}]`));
      if (override !== undefined) overrides.set(name, joinOverrides(overrides.get(name), override));
    }
  }
  return overrides;
}

function compileMatch(match: RouteMatch | undefined, at: Field): readonly RoutePredicate[] {
  if (match === undefined) {
    at.refuse("a route needs a match");
    return [];
  }
  at.only(match, MATCH);
  const predicates: RoutePredicate[] = [];
  const path = compilePath(match, at);
  if (path !== undefined) predicates.push(path);
  for (const matches of compileHeaders(match.headers, at.at("headers"))) {
    predicates.push((input) => matches(input.head));
  }
  const queries = match.queryParameters.map((one, index) => compileQuery(one, at.at("queryParameters").at(index)));
  if (queries.length > 0) predicates.push(queryPredicate(queries));
  if (match.tlsContext !== undefined) {
    const { presented } = match.tlsContext;
    if (presented !== undefined) predicates.push((input) => input.tls === presented);
  }
  if (match.runtimeFraction !== undefined) {
    const share = runtimeFraction(match.runtimeFraction, 1);
    predicates.push((input) => input.random < share);
  }
  return predicates;
}

function queryPredicate(queries: readonly QueryPredicate[]): RoutePredicate {
  return (input) => {
    const parameters = new Map<string, string>();
    for (const [name, value] of new URLSearchParams(input.query ?? "")) {
      if (!parameters.has(name)) parameters.set(name, value);
    }
    return queries.every((matches) => matches(parameters));
  };
}

function compilePath(match: RouteMatch, at: Field): RoutePredicate | undefined {
  const specifier = match.pathSpecifier;
  const folded = match.caseSensitive === false;
  const fold = (text: string) => (folded ? text.toLowerCase() : text);
  if (specifier === undefined) {
    at.refuse("a route match needs a path specifier");
    return undefined;
  }
  switch (specifier.$case) {
    case "prefix": {
      const wanted = fold(specifier.value);
      if (wanted === "" || wanted === "/")
        return wanted === "" ? undefined : (input) => input.path.charCodeAt(0) === 47;
      return (input) => fold(input.path).startsWith(wanted);
    }
    case "path": {
      const wanted = fold(specifier.value);
      return (input) => fold(input.path) === wanted;
    }
    case "pathSeparatedPrefix": {
      const wanted = fold(specifier.value);
      return (input) => {
        const path = fold(input.path);
        return path.startsWith(wanted) && (path.length === wanted.length || path.charCodeAt(wanted.length) === 47);
      };
    }
    case "safeRegex": {
      const matches = fullMatch(compileRegex(specifier.value, at.at("safeRegex")));
      return (input) => matches(input.path);
    }
    default:
      at.at(specifier.$case).refuse("this kind of path match is not built in");
      return undefined;
  }
}
