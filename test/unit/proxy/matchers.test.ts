// Matchers and route precedence against plain reference functions, on texts that chance makes.

import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import { HeaderMatcher } from "../../../src/proto/gen/envoy/config/route/v3/route_components.ts";
import { StringMatcher } from "../../../src/proto/gen/envoy/type/matcher/v3/string.ts";
import { parseRequestHead } from "../../../src/proxy/codec/head.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileHeader, compileString } from "../../../src/proxy/compile/matcher.ts";
import { compileRoutes, type RouteTable } from "../../../src/proxy/compile/route.ts";
import { findHost, findRoute } from "../../../src/proxy/route/find.ts";

const NO_NOTES = { dynamicMetadata: () => undefined };

/** Few letters, so that what is looked for is often there. */
const text = fc.string({ unit: fc.constantFrom("a", "b", "A", "-", "."), maxLength: 6 });
const name = fc.string({ unit: fc.constantFrom("a", "b"), minLength: 1, maxLength: 2 });

type Kind = "exact" | "prefix" | "suffix" | "contains";
const kind = fc.constantFrom<Kind>("exact", "prefix", "suffix", "contains");

const REFERENCE: Readonly<Record<Kind, (value: string, wanted: string) => boolean>> = {
  exact: (value, wanted) => value.length === wanted.length && value.indexOf(wanted) === 0,
  prefix: (value, wanted) => value.slice(0, wanted.length) === wanted,
  suffix: (value, wanted) => value.slice(value.length - Math.min(wanted.length, value.length)) === wanted,
  contains: (value, wanted) => value.split(wanted).length > 1 || wanted === "",
};

it("a string matcher is what its kind says, in either case", () => {
  fc.assert(
    fc.property(kind, text, text, fc.boolean(), (how, wanted, value, ignoreCase) => {
      const field = Field.root("m", "m");
      const matches = compileString(StringMatcher.fromJSON({ [how]: wanted, ignoreCase }), field);
      const fold = (one: string) => (ignoreCase ? one.toLowerCase() : one);
      assert.equal(matches(value), REFERENCE[how](fold(value), fold(wanted)));
    }),
  );
});

it("a regular expression matches the whole text, as JavaScript's does between ^ and $", () => {
  const part = fc.constantFrom("a", "b", "[ab]", "a*", "b+", "(a|b)", ".", "(ab)?", "\\.", "[^a]");
  fc.assert(
    fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), text, (parts, value) => {
      const regex = parts.join("");
      const matches = compileString(StringMatcher.fromJSON({ safeRegex: { regex } }), Field.root("m", "m"));
      assert.equal(matches(value), new RegExp(`^(?:${regex})$`).test(value), `${regex} on ${value}`);
    }),
  );
});

it("a header matcher: present, absent, inverted, missing taken as empty", () => {
  const value = fc.option(text, { nil: undefined });
  const flags = fc.record({ invertMatch: fc.boolean(), asEmpty: fc.boolean() });
  fc.assert(
    fc.property(value, kind, text, flags, (given, how, wanted, { invertMatch, asEmpty }) => {
      const json = { name: "X-H", stringMatch: { [how]: wanted }, invertMatch, treatMissingHeaderAsEmpty: asEmpty };
      const matches = compileHeader(HeaderMatcher.fromJSON(json), Field.root("m", "m"));
      const seen = given ?? (asEmpty ? "" : undefined);
      const expected = seen !== undefined && REFERENCE[how](seen, wanted) !== invertMatch;
      assert.equal(matches({ get: (asked) => (asked === "x-h" ? given : undefined) }), expected);
      const presence = { name: "x-h", presentMatch: true, invertMatch, treatMissingHeaderAsEmpty: asEmpty };
      const isThere = compileHeader(HeaderMatcher.fromJSON(presence), Field.root("m", "m"));
      assert.equal(isThere({ get: () => given }), (given !== undefined || asEmpty) !== invertMatch);
    }),
  );
});

it("a range matcher takes whole numbers from its start to before its end", () => {
  const number = fc.integer({ min: -20, max: 20 });
  fc.assert(
    fc.property(number, number, fc.oneof(number.map(String), text), (start, end, value) => {
      const matcher = HeaderMatcher.fromJSON({ name: "x", rangeMatch: { start, end } });
      const parsed = /^-?[0-9]+$/.test(value) ? Number.parseInt(value, 10) : undefined;
      const matches = compileHeader(matcher, Field.root("m", "m"));
      assert.equal(matches({ get: () => value }), parsed !== undefined && start <= parsed && parsed < end);
    }),
  );
});

it("a virtual host is found by Envoy's precedence, whatever the order of the domains", () => {
  const label = name;
  const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
  const domain = fc.oneof(
    host,
    host.map((one) => `*.${one}`),
    host.map((one) => `${one}.*`),
    host.map((one) => `*-${one}`),
    fc.constant("*"),
  );
  fc.assert(
    fc.property(fc.uniqueArray(domain, { minLength: 1, maxLength: 8 }), host, (domains, authority) => {
      const table = tableOf(
        domains.map((one) => ({
          name: one,
          domains: [one],
          routes: [{ match: { prefix: "/" }, directResponse: { status: 200 } }],
        })),
      );
      assert.equal(findHost(table, authority)?.name, linearHost(domains, authority), `${domains} for ${authority}`);
    }),
    { numRuns: 300 },
  );
});

/** Exact, the longest suffix, the longest prefix, any: one look at each domain. */
function linearHost(domains: readonly string[], authority: string): string | undefined {
  const rank = (domain: string): number => {
    if (domain === authority) return 3_000;
    if (domain === "*") return 1;
    if (domain.startsWith("*"))
      return authority.length > domain.length - 1 && authority.endsWith(domain.slice(1)) ? 2_000 + domain.length : 0;
    if (domain.endsWith("*"))
      return authority.length > domain.length - 1 && authority.startsWith(domain.slice(0, -1))
        ? 1_000 + domain.length
        : 0;
    return 0;
  };
  let best: string | undefined;
  for (const domain of domains) if (rank(domain) > (best === undefined ? 0 : rank(best))) best = domain;
  return best;
}

it("the first route of the list that matches is taken", () => {
  const path = fc.array(fc.constantFrom("a", "b", ""), { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
  const match = fc.record({
    kind: fc.constantFrom("prefix", "path", "pathSeparatedPrefix"),
    text: path,
    header: fc.option(text, { nil: undefined }),
    query: fc.option(name, { nil: undefined }),
  });
  const usable = match.filter((one) => one.kind !== "pathSeparatedPrefix" || !/\/$|[?#]/.test(one.text));
  const request = fc.record({
    path,
    header: fc.option(text, { nil: undefined }),
    query: fc.option(name, { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(usable, { minLength: 1, maxLength: 6 }), request, (matches, asked) => {
      const routes = matches.map((one, index) => ({
        name: String(index),
        match: {
          [one.kind]: one.text,
          headers: one.header === undefined ? [] : [{ name: "x", stringMatch: { exact: one.header } }],
          queryParameters: one.query === undefined ? [] : [{ name: one.query, presentMatch: true }],
        },
        directResponse: { status: 200 },
      }));
      const host = findHost(tableOf([{ name: "h", domains: ["*"], routes }]), "h");
      assert.ok(host !== undefined);
      const lines = asked.header === undefined ? "" : `x: ${asked.header}\r\n`;
      const target = asked.query === undefined ? asked.path : `${asked.path}?${asked.query}=1`;
      const options = { headersCountMax: 100, acceptHttp10: false, allowCustomMethods: false };
      const head = parseRequestHead(`GET ${target} HTTP/1.1\r\nhost: h\r\n${lines}`, options);
      assert.ok(head.kind === "request");
      const input = { head, path: asked.path, query: asked.query === undefined ? undefined : `${asked.query}=1` };
      const found = findRoute(host, { ...input, random: 0, presented: false, validated: false, notes: NO_NOTES });
      const expected = matches.findIndex(
        (one) =>
          pathMatches(one, asked.path) &&
          (one.header === undefined || one.header === asked.header) &&
          (one.query === undefined || one.query === asked.query),
      );
      assert.equal(found?.name, expected === -1 ? undefined : String(expected));
    }),
    { numRuns: 300 },
  );
});

function pathMatches(one: { readonly kind: string; readonly text: string }, path: string): boolean {
  if (one.kind === "path") return path === one.text;
  if (one.kind === "prefix") return path.slice(0, one.text.length) === one.text;
  return path === one.text || path.slice(0, one.text.length + 1) === `${one.text}/`;
}

function tableOf(virtualHosts: readonly unknown[]): RouteTable {
  const field = Field.root("r", "r");
  const table = compileRoutes(RouteConfiguration.fromJSON({ name: "r", virtualHosts }), field);
  assert.deepEqual(field.refusals, []);
  return table;
}
