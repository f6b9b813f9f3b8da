// What a route is chosen by: path, headers, query, chance and TLS, each a function of the request.

import type { TypedExtensionConfig } from "../../proto/gen/envoy/config/core/v3/extension.ts";
import type { RouteMatch } from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import { UriTemplateMatchConfig } from "../../proto/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts";
import type { RequestHead } from "../codec/head.ts";
import { type Field, fields } from "./field.ts";
import {
  compileHeaders,
  compileMetadata,
  compileQuery,
  compileRegex,
  fullMatch,
  type QueryPredicate,
} from "./matcher.ts";
import { compileTemplate, type PathTemplate } from "./template.ts";
import { runtimeFraction } from "./value.ts";

/** What a route is chosen by. */
export interface RouteInput {
  readonly head: RequestHead;
  /** The path without its query. Empty for CONNECT. */
  readonly path: string;
  readonly query: string | undefined;
  /** Uniform in [0, 1), one for the request. */
  readonly random: number;
  /** The client showed a certificate, and it was checked. */
  readonly presented: boolean;
  readonly validated: boolean;
  /** What filters have noted of the request so far. */
  readonly notes: { dynamicMetadata(namespace: string): unknown };
}

export type RoutePredicate = (input: RouteInput) => boolean;

const MATCH = fields(
  "pathSpecifier caseSensitive runtimeFraction headers queryParameters grpc tlsContext dynamicMetadata",
);
const URI_TEMPLATE = "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";

export function compileMatch(
  match: RouteMatch | undefined,
  table: { readonly ignorePathParameters: boolean },
  at: Field,
): readonly RoutePredicate[] {
  if (match === undefined) {
    at.refuse("a route needs a match");
    return [];
  }
  at.only(match, MATCH);
  const predicates: RoutePredicate[] = [];
  const path = compilePath(match, at);
  if (path !== undefined) predicates.push(table.ignorePathParameters ? withoutParameters(path) : path);
  for (const matches of compileHeaders(match.headers, at.at("headers"))) {
    predicates.push((input) => matches(input.head));
  }
  const queries = match.queryParameters.map((one, index) => compileQuery(one, at.at("queryParameters").at(index)));
  if (queries.length > 0) predicates.push(queryPredicate(queries));
  if (match.grpc !== undefined) {
    predicates.push((input) => /^application\/grpc($|\+)/.test(input.head.get("content-type") ?? ""));
  }
  if (match.tlsContext !== undefined) {
    const { presented, validated } = match.tlsContext;
    if (presented !== undefined) predicates.push((input) => input.presented === presented);
    if (validated !== undefined) predicates.push((input) => input.validated === validated);
  }
  for (const [index, one] of match.dynamicMetadata.entries()) {
    const wanted = compileMetadata(one, at.at("dynamicMetadata").at(index));
    predicates.push((input) => wanted.matches(input.notes.dynamicMetadata(wanted.namespace)));
  }
  if (match.runtimeFraction !== undefined) {
    const share = runtimeFraction(match.runtimeFraction, 1, at.at("runtimeFraction"));
    predicates.push((input) => input.random < share);
  }
  return predicates;
}

/** `/a;v=1/b` is matched as `/a`, as Envoy cuts it at the first parameter. */
function withoutParameters(path: RoutePredicate): RoutePredicate {
  return (input) => {
    const semicolon = input.path.indexOf(";");
    return path(semicolon === -1 ? input : { ...input, path: input.path.slice(0, semicolon) });
  };
}

/** Envoy's reading of a query: split at & and the first =, nothing decoded, the first of a name counts. */
function queryPredicate(queries: readonly QueryPredicate[]): RoutePredicate {
  return (input) => {
    const parameters = new Map<string, string>();
    for (const part of (input.query ?? "").split("&")) {
      const equals = part.indexOf("=");
      const name = equals === -1 ? part : part.slice(0, equals);
      if (!parameters.has(name)) parameters.set(name, equals === -1 ? "" : part.slice(equals + 1));
    }
    return queries.every((matches) => matches(parameters));
  };
}

/** Every match of a path leaves CONNECT out, which has none. */
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
      if (wanted === "" || wanted === "/") return (input) => input.path !== "";
      return (input) => fold(input.path).startsWith(wanted);
    }
    case "path": {
      const wanted = fold(specifier.value);
      return (input) => fold(input.path) === wanted;
    }
    case "pathSeparatedPrefix": {
      const wanted = fold(specifier.value);
      if (!wanted.startsWith("/") || wanted.endsWith("/") || /[?#]/.test(wanted))
        at.at("pathSeparatedPrefix").refuse("begins with / and doesn't end in one, and has no ? or #");
      return (input) => {
        const path = fold(input.path);
        return path.startsWith(wanted) && (path.length === wanted.length || path.charCodeAt(wanted.length) === 47);
      };
    }
    case "safeRegex": {
      const matches = fullMatch(compileRegex(specifier.value, at.at("safeRegex")));
      return (input) => input.path !== "" && matches(input.path);
    }
    case "connectMatcher":
      return (input) => input.head.method === "CONNECT";
    case "pathMatchPolicy": {
      const template = templateOf(match, at);
      return template === undefined ? undefined : (input) => template.matches(input.path);
    }
  }
}

/** The template of a path_match_policy; undefined (and refused) where it is another policy. */
export function templateOf(match: RouteMatch | undefined, at: Field): PathTemplate | undefined {
  const specifier = match?.pathSpecifier;
  return specifier?.$case === "pathMatchPolicy" ? uriTemplate(specifier.value, at.at("pathMatchPolicy")) : undefined;
}

/** Of an extension that matches paths; undefined (and refused) where it is another one. */
export function uriTemplate({ name, typedConfig }: TypedExtensionConfig, at: Field): PathTemplate | undefined {
  if (typedConfig?.typeUrl !== URI_TEMPLATE) {
    at.refuse(`path match policy ${typedConfig?.typeUrl ?? name} is not built in`);
    return undefined;
  }
  const template = compileTemplate(UriTemplateMatchConfig.decode(typedConfig.value).pathTemplate);
  if (template.ok) return template.value;
  at.at("typedConfig").as(URI_TEMPLATE).at("pathTemplate").refuse(template.error);
  return undefined;
}
