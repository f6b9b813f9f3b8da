// String, header and path matches of a VirtualService to Envoy's.

import type { StringMatch } from "../api/istio/shapes.ts";
import type { HttpMatch } from "../api/istio/virtual-service.ts";
import {
  HeaderMatcher,
  QueryParameterMatcher,
  RouteMatch,
} from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { StringMatcher } from "../proto/gen/envoy/type/matcher/v3/string.ts";

/** Undefined where the match says nothing but "is there". */
export function stringMatcher(match: StringMatch): StringMatcher | undefined {
  if (match.exact !== undefined)
    return StringMatcher.fromPartial({ matchPattern: { $case: "exact", value: match.exact } });
  if (match.prefix !== undefined)
    return StringMatcher.fromPartial({ matchPattern: { $case: "prefix", value: match.prefix } });
  if (match.regex === undefined || match.regex === "*") return undefined;
  return StringMatcher.fromPartial({ matchPattern: { $case: "safeRegex", value: { regex: match.regex } } });
}

export function routeMatch(match: HttpMatch | undefined): RouteMatch {
  const out = RouteMatch.fromPartial({ pathSpecifier: { $case: "prefix", value: "/" } });
  if (match === undefined) return out;
  const { uri } = match;
  if (uri?.exact !== undefined) out.pathSpecifier = { $case: "path", value: uri.exact };
  else if (uri?.prefix !== undefined) out.pathSpecifier = { $case: "prefix", value: uri.prefix };
  else if (uri?.regex !== undefined) {
    out.pathSpecifier = { $case: "safeRegex", value: { regex: uri.regex, engineType: undefined } };
  }
  if (match.ignoreUriCase === true) out.caseSensitive = false;
  out.headers = headerMatchers(match);
  out.queryParameters = Object.entries(match.queryParams ?? {}).map(([name, value]) => queryMatcher(name, value));
  return out;
}

function headerMatchers(match: HttpMatch): HeaderMatcher[] {
  const matchers: HeaderMatcher[] = [];
  for (const name of Object.keys(match.headers ?? {}).sort()) {
    matchers.push(headerMatcher(name.toLowerCase(), match.headers?.[name] ?? {}));
  }
  for (const name of Object.keys(match.withoutHeaders ?? {}).sort()) {
    const value = match.withoutHeaders?.[name] ?? {};
    const matcher = headerMatcher(name.toLowerCase(), value);
    matcher.invertMatch = true;
    // A header that isn't there doesn't have the value either.
    matcher.treatMissingHeaderAsEmpty = stringMatcher(value) !== undefined;
    matchers.push(matcher);
  }
  const pseudo = [
    [":method", match.method],
    [":authority", match.authority],
    [":scheme", match.scheme],
  ] as const;
  for (const [name, value] of pseudo) if (value !== undefined) matchers.push(headerMatcher(name, value));
  return matchers;
}

function headerMatcher(name: string, match: StringMatch): HeaderMatcher {
  const value = stringMatcher(match);
  return HeaderMatcher.fromPartial({
    name,
    headerMatchSpecifier:
      value === undefined ? { $case: "presentMatch", value: true } : { $case: "stringMatch", value },
  });
}

function queryMatcher(name: string, match: StringMatch): QueryParameterMatcher {
  const value = stringMatcher(match);
  return QueryParameterMatcher.fromPartial({
    name,
    queryParameterMatchSpecifier:
      value === undefined ? { $case: "presentMatch", value: true } : { $case: "stringMatch", value },
  });
}
