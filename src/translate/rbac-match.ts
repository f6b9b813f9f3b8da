// The value forms that authorization rules share: exact, `prefix*`, `*suffix`, `*`, address ranges.

import { isIPv6 } from "node:net";
import { isPathTemplate } from "../api/istio/authorization-policy.ts";
import type { CidrRange } from "../proto/gen/envoy/config/core/v3/address.ts";
import { HeaderMatcher } from "../proto/gen/envoy/config/route/v3/route_components.ts";
import { MetadataMatcher } from "../proto/gen/envoy/type/matcher/v3/metadata.ts";
import { StringMatcher } from "../proto/gen/envoy/type/matcher/v3/string.ts";
import { ValueMatcher } from "../proto/gen/envoy/type/matcher/v3/value.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";

export function stringForm(value: string, prefix = ""): StringMatcher {
  if (value === "*") return regexMatcher(".+");
  if (value.startsWith("*")) {
    if (prefix !== "") return regexMatcher(`${prefix}.*${quoteOutsideClasses(value.slice(1))}`);
    return StringMatcher.fromPartial({ matchPattern: { $case: "suffix", value: value.slice(1) } });
  }
  if (value.endsWith("*")) {
    return StringMatcher.fromPartial({ matchPattern: { $case: "prefix", value: `${prefix}${value.slice(0, -1)}` } });
  }
  return StringMatcher.fromPartial({ matchPattern: { $case: "exact", value: `${prefix}${value}` } });
}

export function regexMatcher(regex: string): StringMatcher {
  return StringMatcher.fromPartial({ matchPattern: { $case: "safeRegex", value: { regex } } });
}

export function headerForm(name: string, value: string): HeaderMatcher {
  return HeaderMatcher.fromPartial({
    name,
    headerMatchSpecifier:
      value === "*" ? { $case: "presentMatch", value: true } : { $case: "stringMatch", value: stringForm(value) },
  });
}

/** Host names are compared without regard to case. */
export function hostForm(value: string): HeaderMatcher {
  const matcher = headerForm(":authority", value);
  if (matcher.headerMatchSpecifier?.$case === "stringMatch") matcher.headerMatchSpecifier.value.ignoreCase = true;
  return matcher;
}

/** As Istio writes it, whose names can't have brackets: `[0]` stays a class. */
function quoteOutsideClasses(text: string): string {
  return text
    .split(/(\[[A-Za-z0-9]+\])/)
    .map((part, i) => (i % 2 === 0 ? quoteRegex(part) : part))
    .join("");
}

export function quoteRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}

export function cidrOf(block: string): CidrRange {
  const [addressPrefix = "", length] = block.split("/");
  return { addressPrefix, prefixLen: length === undefined ? (isIPv6(addressPrefix) ? 128 : 32) : Number(length) };
}

export function metadataForm(filter: string, path: readonly string[], value: ValueMatcher): MetadataMatcher {
  return MetadataMatcher.fromPartial({
    filter,
    path: path.map((key) => ({ segment: { $case: "key" as const, value: key } })),
    value,
  });
}

export function valueForm(matcher: StringMatcher): ValueMatcher {
  return ValueMatcher.fromPartial({ matchPattern: { $case: "stringMatch", value: matcher } });
}

export function listForm(value: ValueMatcher): ValueMatcher {
  return ValueMatcher.fromPartial({
    matchPattern: { $case: "listMatch", value: { matchPattern: { $case: "oneOf", value } } },
  });
}

/** Any of them will do. */
export function orForm(values: readonly ValueMatcher[]): ValueMatcher {
  const [only, ...rest] = values;
  if (only !== undefined && rest.length === 0) return only;
  return ValueMatcher.fromPartial({ matchPattern: { $case: "orMatch", value: { valueMatchers: [...values] } } });
}

/** A claim is a text or a list of texts, as its issuer likes. */
export function claimForm(matchers: readonly StringMatcher[]): ValueMatcher {
  const any = orForm(matchers.map(valueForm));
  return orForm([listForm(any), any]);
}

/** `/a/{*}/b` in Envoy's own form: a UriTemplateMatchConfig, whose only field is the template. */
export function templateForm(path: string): Any | undefined {
  if (!isPathTemplate(path)) return undefined;
  const text = Buffer.from(path.replaceAll("{*}", "*").replaceAll("{**}", "**"));
  const lengthBytes = text.length < 128 ? [text.length] : [(text.length & 0x7f) | 0x80, text.length >> 7];
  return {
    typeUrl: "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
    value: Buffer.concat([Buffer.from([0x0a, ...lengthBytes]), text]),
  };
}
