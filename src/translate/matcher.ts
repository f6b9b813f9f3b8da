// String, header and path matches of a VirtualService to Envoy's.

import { claimPath } from "../api/istio/claims.ts";
import type { StringMatch } from "../api/istio/shapes.ts";
import type { HttpMatch } from "../api/istio/virtual-service.ts";
import {
  HeaderMatcher,
  QueryParameterMatcher,
  RouteMatch,
} from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { MetadataMatcher } from "../proto/gen/envoy/type/matcher/v3/metadata.ts";
import { StringMatcher } from "../proto/gen/envoy/type/matcher/v3/string.ts";
import { ValueMatcher } from "../proto/gen/envoy/type/matcher/v3/value.ts";

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
  out.dynamicMetadata = claimMatchers(match);
  out.queryParameters = Object.entries(match.queryParams ?? {}).map(([name, value]) => queryMatcher(name, value));
  return out;
}

const JWT_FILTER = "envoy.filters.http.jwt_authn";

/** Claims of a token that the proxy has verified, which VirtualServices write like headers. */
function claimMatchers(match: HttpMatch): MetadataMatcher[] {
  const of = (headers: HttpMatch["headers"], invert: boolean): MetadataMatcher[] =>
    Object.keys(headers ?? {})
      .sort()
      .flatMap((name) => {
        const path = claimPath(name);
        return path === undefined ? [] : [claimMatcher(path, headers?.[name] ?? {}, invert)];
      });
  return [...of(match.headers, false), ...of(match.withoutHeaders, true)];
}

/** A claim is a text or a list with it; without a value it only has to be there. */
function claimMatcher(path: readonly string[], match: StringMatch, invert: boolean): MetadataMatcher {
  const text = ValueMatcher.fromPartial({
    matchPattern: {
      $case: "stringMatch",
      value: stringMatcher(match) ?? { matchPattern: { $case: "safeRegex", value: { regex: ".+" } } },
    },
  });
  const list = ValueMatcher.fromPartial({
    matchPattern: { $case: "listMatch", value: { matchPattern: { $case: "oneOf", value: text } } },
  });
  return MetadataMatcher.fromPartial({
    filter: JWT_FILTER,
    path: ["payload", ...path].map((key) => ({ segment: { $case: "key" as const, value: key } })),
    value: { matchPattern: { $case: "orMatch", value: { valueMatchers: [text, list] } } },
    invert,
  });
}

function headerMatchers(match: HttpMatch): HeaderMatcher[] {
  const matchers: HeaderMatcher[] = [];
  for (const name of headerNames(match.headers)) {
    matchers.push(headerMatcher(name.toLowerCase(), match.headers?.[name] ?? {}));
  }
  for (const name of headerNames(match.withoutHeaders)) {
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

function headerNames(headers: HttpMatch["headers"]): readonly string[] {
  return Object.keys(headers ?? {})
    .filter((name) => claimPath(name) === undefined)
    .sort();
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
