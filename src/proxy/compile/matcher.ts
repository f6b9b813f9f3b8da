// String, header and metadata matchers to functions; regular expressions are RE2's, compiled once.

import { RE2JS } from "re2js";
import { assertNever } from "../../base/assert.ts";
import { isRecord } from "../../base/json.ts";
import type { HeaderMatcher, QueryParameterMatcher } from "../../proto/gen/envoy/config/route/v3/route_components.ts";
import type { MetadataMatcher } from "../../proto/gen/envoy/type/matcher/v3/metadata.ts";
import type { RegexMatchAndSubstitute, RegexMatcher } from "../../proto/gen/envoy/type/matcher/v3/regex.ts";
import type { StringMatcher } from "../../proto/gen/envoy/type/matcher/v3/string.ts";
import type { ValueMatcher } from "../../proto/gen/envoy/type/matcher/v3/value.ts";
import type { Field } from "./field.ts";

export type StringPredicate = (value: string) => boolean;

/** Anything with headers by lower-case name, Envoy's pseudo headers among them. */
export interface HeaderSource {
  get(name: string): string | undefined;
  /** Whether one of a header's lines passes; undefined: there is none. Without it, `get` has the only one. */
  some?(name: string, passes: StringPredicate): boolean | undefined;
}

export type HeaderPredicate = (headers: HeaderSource) => boolean;

const NEVER: StringPredicate = () => false;

export function compileRegex(regex: RegexMatcher | undefined, at: Field): RE2JS | undefined {
  if (regex === undefined || regex.regex === "") {
    at.refuse("a regular expression is missing");
    return undefined;
  }
  try {
    return RE2JS.compile(regex.regex);
  } catch (error) {
    at.at("regex").refuse(`not a regular expression of RE2: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** The whole value must match, as everywhere in Envoy's safe_regex. */
export function fullMatch(regex: RE2JS | undefined): StringPredicate {
  return regex === undefined ? NEVER : (value) => regex.matches(value);
}

export function compileString(matcher: StringMatcher | undefined, at: Field): StringPredicate {
  const pattern = matcher?.matchPattern;
  if (matcher === undefined || pattern === undefined) {
    at.refuse("a string matcher has no pattern");
    return NEVER;
  }
  const { ignoreCase } = matcher;
  switch (pattern.$case) {
    case "safeRegex":
      return fullMatch(compileRegex(pattern.value, at.at("safeRegex")));
    case "custom":
      at.at("custom").refuse("custom string matchers are not built in");
      return NEVER;
    case "exact":
    case "prefix":
    case "suffix":
    case "contains":
      return textPredicate(pattern.$case, pattern.value, ignoreCase ? "ignore-case" : "as-is");
    default:
      return assertNever(pattern);
  }
}

type TextKind = "exact" | "prefix" | "suffix" | "contains";

function textPredicate(kind: TextKind, wanted: string, casing: "ignore-case" | "as-is"): StringPredicate {
  if (casing === "ignore-case") {
    const inner = textPredicate(kind, wanted.toLowerCase(), "as-is");
    return (value) => inner(value.toLowerCase());
  }
  switch (kind) {
    case "exact":
      return (value) => value === wanted;
    case "prefix":
      return (value) => value.startsWith(wanted);
    case "suffix":
      return (value) => value.endsWith(wanted);
    case "contains":
      return (value) => value.includes(wanted);
  }
}

export function compileHeader(matcher: HeaderMatcher, at: Field): HeaderPredicate {
  const name = matcher.name.toLowerCase();
  if (name === "") at.at("name").refuse("a header matcher needs a name");
  const specifier = matcher.headerMatchSpecifier;
  const { invertMatch, treatMissingHeaderAsEmpty } = matcher;
  if (specifier === undefined || specifier.$case === "presentMatch") {
    const wanted = specifier === undefined || specifier.value;
    return (headers) => {
      const present = headers.get(name) !== undefined || treatMissingHeaderAsEmpty;
      return (present === wanted) !== invertMatch;
    };
  }
  const matches = headerValue(specifier, at);
  const missing = treatMissingHeaderAsEmpty && matches("") !== invertMatch;
  return (headers) => {
    // Line by line: joined, a second line could hide the first from a rule.
    const passes = headers.some === undefined ? only(headers.get(name), matches) : headers.some(name, matches);
    // A header that isn't there matches nothing, inverted or not, unless it counts as empty.
    return passes === undefined ? missing : passes !== invertMatch;
  };
}

function only(value: string | undefined, matches: StringPredicate): boolean | undefined {
  return value === undefined ? undefined : matches(value);
}

type HeaderSpecifier = Exclude<HeaderMatcher["headerMatchSpecifier"], undefined | { $case: "presentMatch" }>;

function headerValue(specifier: HeaderSpecifier, at: Field): StringPredicate {
  switch (specifier.$case) {
    case "stringMatch":
      return compileString(specifier.value, at.at("stringMatch"));
    case "exactMatch":
      return textPredicate("exact", specifier.value, "as-is");
    case "prefixMatch":
      return textPredicate("prefix", specifier.value, "as-is");
    case "suffixMatch":
      return textPredicate("suffix", specifier.value, "as-is");
    case "containsMatch":
      return textPredicate("contains", specifier.value, "as-is");
    case "safeRegexMatch":
      return fullMatch(compileRegex(specifier.value, at.at("safeRegexMatch")));
    case "rangeMatch": {
      const { start, end } = specifier.value;
      return (value) => /^[+-]?\d+$/.test(value) && Number(value) >= start && Number(value) < end;
    }
    default:
      return assertNever(specifier);
  }
}

export function compileHeaders(matchers: readonly HeaderMatcher[], at: Field): readonly HeaderPredicate[] {
  return matchers.map((matcher, index) => compileHeader(matcher, at.at(index)));
}

/** `undefined` stands for a parameter that is not in the query. */
export type QueryPredicate = (parameters: ReadonlyMap<string, string>) => boolean;

export function compileQuery(matcher: QueryParameterMatcher, at: Field): QueryPredicate {
  const { name, queryParameterMatchSpecifier: specifier } = matcher;
  if (specifier === undefined) return (parameters) => parameters.has(name);
  if (specifier.$case === "presentMatch") {
    const wanted = specifier.value;
    return (parameters) => parameters.has(name) === wanted;
  }
  const matches = compileString(specifier.value, at.at("stringMatch"));
  return (parameters) => {
    const value = parameters.get(name);
    return value !== undefined && matches(value);
  };
}

export interface Substitution {
  apply(text: string): string;
}

export function compileSubstitution(rewrite: RegexMatchAndSubstitute, at: Field): Substitution {
  const regex = compileRegex(rewrite.pattern, at.at("pattern"));
  // Texts and, between them, what RE2 calls \\1: the number of a group, or a second backslash.
  const parts = rewrite.substitution.split(/\\([\d\\])/);
  const groups = regex?.groupCount() ?? 0;
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 0 ? part.includes("\\") : Number(part) > groups)
      at.at("substitution").refuse(`"${rewrite.substitution}" names a group that the pattern doesn't have`);
  }
  if (regex === undefined) return { apply: (text) => text };
  return {
    apply(text) {
      const matcher = regex.matcher(text);
      let out = "";
      let from = 0;
      while (matcher.find()) {
        out += text.slice(from, matcher.start());
        for (const [index, part] of parts.entries())
          out += index % 2 === 0 || part === "\\" ? part : (matcher.group(Number(part)) ?? "");
        from = matcher.end();
      }
      return out + text.slice(from);
    },
  };
}

export interface MetadataPredicate {
  /** Whose metadata is looked at. */
  readonly namespace: string;
  /** The path leads somewhere. */
  has(metadata: unknown): boolean;
  /** What is there under that name; undefined: nothing. */
  matches(metadata: unknown): boolean;
}

export function compileMetadata(matcher: MetadataMatcher, at: Field): MetadataPredicate {
  const keys = matcher.path.map((segment) => (segment.segment?.$case === "key" ? segment.segment.value : ""));
  const matches = compileValue(matcher.value, at.at("value"));
  const { filter, invert } = matcher;
  return {
    namespace: filter,
    has: (metadata) => valueAt(metadata, keys) !== undefined,
    matches: (metadata) => matches(valueAt(metadata, keys)) !== invert,
  };
}

/** What a path of keys leads to. Only a struct's own fields count. */
export function valueAt(struct: unknown, keys: readonly string[]): unknown {
  let value = struct;
  for (const key of keys) value = isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  return value;
}

function compileValue(matcher: ValueMatcher | undefined, at: Field): (value: unknown) => boolean {
  const pattern = matcher?.matchPattern;
  switch (pattern?.$case) {
    case undefined:
      at.refuse("a value matcher has no pattern");
      return () => false;
    case "nullMatch":
      return (value) => value === null;
    case "boolMatch":
      return (value) => value === pattern.value;
    case "presentMatch":
      return (value) => (value !== undefined) === pattern.value;
    case "stringMatch": {
      const matches = compileString(pattern.value, at.at("stringMatch"));
      return (value) => typeof value === "string" && matches(value);
    }
    case "doubleMatch": {
      const wanted = pattern.value.matchPattern;
      if (wanted?.$case === "exact") return (value) => value === wanted.value;
      if (wanted?.$case !== "range") return () => false;
      const { start, end } = wanted.value;
      return (value) => typeof value === "number" && value >= start && value < end;
    }
    case "orMatch": {
      const inner = pattern.value.valueMatchers.map((one, index) => compileValue(one, at.at("orMatch").at(index)));
      return (value) => inner.some((one) => one(value));
    }
    case "listMatch": {
      const inner = compileValue(
        pattern.value.matchPattern?.$case === "oneOf" ? pattern.value.matchPattern.value : undefined,
        at.at("listMatch"),
      );
      return (value) => Array.isArray(value) && value.some((item: unknown) => inner(item));
    }
  }
}
