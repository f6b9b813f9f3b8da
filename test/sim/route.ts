// Envoy's choice of a virtual host and of a route.

import { RE2JS } from "re2js";
import { isRecord } from "../../src/base/json.ts";
import type { RouteConfiguration } from "../../src/proto/gen/envoy/config/route/v3/route.ts";
import type {
  HeaderMatcher,
  QueryParameterMatcher,
  Route,
  RouteMatch,
  VirtualHost,
} from "../../src/proto/gen/envoy/config/route/v3/route_components.ts";
import type { MetadataMatcher } from "../../src/proto/gen/envoy/type/matcher/v3/metadata.ts";
import type { StringMatcher } from "../../src/proto/gen/envoy/type/matcher/v3/string.ts";
import type { ValueMatcher } from "../../src/proto/gen/envoy/type/matcher/v3/value.ts";
import type { HttpCall } from "./call.ts";

/** The exact domain, the longest `*.suffix`, the longest `prefix.*`, then `*`. */
export function findVirtualHost(config: RouteConfiguration, authority: string): VirtualHost | undefined {
  const host = authority.toLowerCase();
  let best: VirtualHost | undefined;
  let highest = 0;
  for (const each of config.virtualHosts) {
    const score = Math.max(0, ...each.domains.map((domain) => domainScore(domain.toLowerCase(), host)));
    if (score > highest) best = each;
    highest = Math.max(highest, score);
  }
  return best;
}

function domainScore(domain: string, host: string): number {
  if (domain === host) return 3e6;
  if (domain === "*") return 1;
  if (domain.startsWith("*"))
    return host.endsWith(domain.slice(1)) && host.length >= domain.length ? 2e6 + domain.length : 0;
  if (domain.endsWith("*"))
    return host.startsWith(domain.slice(0, -1)) && host.length >= domain.length ? 1e6 + domain.length : 0;
  return 0;
}

export function findRoute(host: VirtualHost, call: HttpCall): Route | undefined {
  return host.routes.find(({ match }) => match !== undefined && routeMatches(match, call));
}

function routeMatches(match: RouteMatch, call: HttpCall): boolean {
  return (
    pathMatches(match, pathOf(call)) &&
    match.headers.every((each) => headerMatches(each, call)) &&
    match.queryParameters.every((each) => queryMatches(each, call)) &&
    match.dynamicMetadata.every((each) => claimMatches(each, call))
  );
}

/** The claims of the request's token, which is taken to be a good one. */
function claimMatches({ path, value, invert }: MetadataMatcher, call: HttpCall): boolean {
  const payload = headerOf(call, "authorization")?.split(".")[1];
  const token: unknown = payload === undefined ? undefined : JSON.parse(String(Buffer.from(payload, "base64url")));
  const keys = path.map(({ segment }) => (segment?.$case === "key" ? segment.value : "")).slice(1);
  const claim = keys.reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), token);
  return valueMatches(value, claim) !== invert;
}

function valueMatches(matcher: ValueMatcher | undefined, value: unknown): boolean {
  const wanted = matcher?.matchPattern;
  switch (wanted?.$case) {
    case "stringMatch":
      return typeof value === "string" && stringMatches(wanted.value, value);
    case "orMatch":
      return wanted.value.valueMatchers.some((each) => valueMatches(each, value));
    case "listMatch": {
      const each = wanted.value.matchPattern;
      return each?.$case === "oneOf" && Array.isArray(value) && value.some((one) => valueMatches(each.value, one));
    }
    default:
      throw new Error(`no value matcher that is simulated: ${wanted?.$case}`);
  }
}

export function pathOf({ path = "/" }: HttpCall): string {
  return path.split(/[?#]/)[0] ?? "/";
}

function pathMatches({ pathSpecifier: wanted, caseSensitive }: RouteMatch, path: string): boolean {
  const fold = (text: string): string => (caseSensitive === false ? text.toLowerCase() : text);
  switch (wanted?.$case) {
    case "prefix":
      return fold(path).startsWith(fold(wanted.value));
    case "path":
      return fold(path) === fold(wanted.value);
    case "safeRegex":
      return wholly(wanted.value.regex, path);
    case "pathSeparatedPrefix":
      return fold(path) === fold(wanted.value) || fold(path).startsWith(`${fold(wanted.value)}/`);
    default:
      throw new Error(`no path specifier that is simulated: ${wanted?.$case}`);
  }
}

function wholly(regex: string, text: string): boolean {
  return RE2JS.compile(regex).matcher(text).matches();
}

function headerMatches(matcher: HeaderMatcher, call: HttpCall): boolean {
  const found = headerOf(call, matcher.name);
  const wanted = matcher.headerMatchSpecifier;
  if (wanted?.$case === "presentMatch") return ((found !== undefined) === wanted.value) !== matcher.invertMatch;
  const value = found ?? (matcher.treatMissingHeaderAsEmpty ? "" : undefined);
  // Without the header there is nothing that fits, and nothing to invert.
  if (value === undefined) return false;
  if (wanted?.$case !== "stringMatch") throw new Error(`no header match that is simulated: ${wanted?.$case}`);
  return stringMatches(wanted.value, value) !== matcher.invertMatch;
}

function headerOf(call: HttpCall, name: string): string | undefined {
  if (name === ":method") return call.method ?? "GET";
  if (name === ":authority") return call.host;
  if (name === ":path") return call.path ?? "/";
  if (name === ":scheme") return "http";
  const wanted = name.toLowerCase();
  return Object.entries(call.headers ?? {}).find(([each]) => each.toLowerCase() === wanted)?.[1];
}

function queryMatches(matcher: QueryParameterMatcher, call: HttpCall): boolean {
  const value = new URLSearchParams((call.path ?? "").split("#")[0]?.split("?")[1] ?? "").get(matcher.name);
  if (value === null) return false;
  const wanted = matcher.queryParameterMatchSpecifier;
  if (wanted?.$case === "stringMatch") return stringMatches(wanted.value, value);
  return true;
}

function stringMatches({ matchPattern: wanted, ignoreCase }: StringMatcher, value: string): boolean {
  const fold = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  switch (wanted?.$case) {
    case "exact":
      return fold(value) === fold(wanted.value);
    case "prefix":
      return fold(value).startsWith(fold(wanted.value));
    case "suffix":
      return fold(value).endsWith(fold(wanted.value));
    case "contains":
      return fold(value).includes(fold(wanted.value));
    case "safeRegex":
      return wholly(wanted.value.regex, value);
    default:
      throw new Error(`no string match that is simulated: ${wanted?.$case}`);
  }
}

export interface Rewritten {
  readonly path: string;
  readonly authority: string;
}

/** What the server is asked for once the route has rewritten it. */
export function rewrite(route: Route, call: HttpCall): Rewritten {
  const whole = call.path ?? "/";
  if (route.action?.$case !== "route") return { path: whole, authority: call.host };
  const { prefixRewrite, regexRewrite, hostRewriteSpecifier } = route.action.value;
  const authority = hostRewriteSpecifier?.$case === "hostRewriteLiteral" ? hostRewriteSpecifier.value : call.host;
  const path = pathOf(call);
  const rest = whole.slice(path.length);
  if (prefixRewrite !== "") return { path: replacePrefix(route, path, prefixRewrite) + rest, authority };
  if (regexRewrite?.pattern !== undefined) {
    const substitution = regexRewrite.substitution.replaceAll(/\\(\d)/g, "$$$1");
    const rewritten = RE2JS.compile(regexRewrite.pattern.regex).matcher(path).replaceAll(substitution);
    return { path: rewritten + rest, authority };
  }
  return { path: whole, authority };
}

function replacePrefix(route: Route, path: string, by: string): string {
  const matched = route.match?.pathSpecifier;
  const length =
    matched?.$case === "prefix" || matched?.$case === "pathSeparatedPrefix" ? matched.value.length : path.length;
  return by + path.slice(length);
}

/** The `location` of a redirect. */
export function locationOf(route: Route, call: HttpCall): string {
  if (route.action?.$case !== "redirect") return "";
  const { hostRedirect, portRedirect, pathRewriteSpecifier, schemeRewriteSpecifier, stripQuery } = route.action.value;
  const [host = "", port] = call.host.split(":");
  const scheme = schemeRewriteSpecifier?.$case === "schemeRedirect" ? schemeRewriteSpecifier.value : "http";
  const path = pathOf(call);
  const query = stripQuery ? "" : (call.path ?? "/").slice(path.length);
  // A host of the redirect's own takes the port of the call with it no more.
  const shownPort =
    portRedirect !== 0 ? `:${portRedirect}` : hostRedirect === "" && port !== undefined ? `:${port}` : "";
  const to = pathRewriteSpecifier;
  let newPath = path + query;
  if (to?.$case === "pathRedirect") newPath = to.value.includes("?") ? to.value : to.value + query;
  else if (to?.$case === "prefixRewrite") newPath = replacePrefix(route, path, to.value) + query;
  return `${scheme}://${hostRedirect === "" ? host : hostRedirect}${shownPort}${newPath}`;
}
