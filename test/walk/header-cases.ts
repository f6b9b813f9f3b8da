// Matching by headers, query and chance.

import type { Json, WalkCase } from "./case.ts";
import { says, toOrigin } from "./route.ts";

const OTHER = says({ prefix: "/" }, "other");

/** A header matcher and a request's headers, and whether they match. */
function matches(
  name: string,
  matcher: Json,
  headers: Readonly<Record<string, string>>,
  wanted: "yes" | "other",
): WalkCase {
  return {
    name,
    routes: [says({ prefix: "/", headers: [matcher] }, "yes"), OTHER],
    call: { headers },
    expect: { status: 200, body: wanted },
  };
}

const X = { name: "x" };

/** Two lines of one name: each is matched by itself. */
function twice(name: string, matcher: Json, wanted: "yes" | "other"): WalkCase {
  return {
    name,
    routes: [says({ prefix: "/", headers: [{ ...X, ...matcher }] }, "yes"), OTHER],
    call: { raw: `GET / HTTP/1.1\r\nhost: ${name}.test\r\nx: a\r\nX: b\r\n\r\n` },
    expect: { status: 200, body: wanted },
  };
}

const headerKinds: readonly WalkCase[] = [
  matches("header-no-specifier", X, { x: "" }, "yes"),
  matches("header-no-specifier-absent", X, {}, "other"),
  matches("header-no-specifier-inverted", { ...X, invertMatch: true }, {}, "yes"),
  matches("header-present-false", { ...X, presentMatch: false }, {}, "yes"),
  matches("header-present-false-there", { ...X, presentMatch: false }, { x: "1" }, "other"),
  matches("header-present-inverted", { ...X, presentMatch: true, invertMatch: true }, { x: "1" }, "other"),
  matches("header-present-missing-as-empty", { ...X, presentMatch: true, treatMissingHeaderAsEmpty: true }, {}, "yes"),
  matches("header-prefix", { ...X, stringMatch: { prefix: "ab" } }, { x: "abc" }, "yes"),
  matches("header-suffix", { ...X, stringMatch: { suffix: "bc" } }, { x: "abc" }, "yes"),
  matches("header-contains", { ...X, stringMatch: { contains: "b" } }, { x: "abc" }, "yes"),
  matches("header-regex-whole", { ...X, stringMatch: { safeRegex: { regex: "b" } } }, { x: "abc" }, "other"),
  matches("header-regex", { ...X, stringMatch: { safeRegex: { regex: "a.c" } } }, { x: "abc" }, "yes"),
  matches("header-ignore-case", { ...X, stringMatch: { exact: "ABC", ignoreCase: true } }, { x: "abc" }, "yes"),
  matches("header-prefix-ignore-case", { ...X, stringMatch: { prefix: "AB", ignoreCase: true } }, { x: "abc" }, "yes"),
  matches("header-exact-inverted", { ...X, stringMatch: { exact: "a" }, invertMatch: true }, { x: "b" }, "yes"),
  matches("header-repeated-is-joined", { ...X, stringMatch: { exact: "a,b" } }, { x: "a,b" }, "yes"),
  matches("header-name-case", { name: "X-Upper", stringMatch: { exact: "1" } }, { "x-upper": "1" }, "yes"),
  matches("header-range-low", { ...X, rangeMatch: { start: "1", end: "10" } }, { x: "1" }, "yes"),
  matches("header-range-negative", { ...X, rangeMatch: { start: "-10", end: "0" } }, { x: "-1" }, "yes"),
  matches("header-range-text", { ...X, rangeMatch: { start: "0", end: "10" } }, { x: "1a" }, "other"),
  matches(
    "header-range-inverted",
    { ...X, rangeMatch: { start: "0", end: "10" }, invertMatch: true },
    { x: "11" },
    "yes",
  ),
  matches("header-authority", { name: ":authority", stringMatch: { suffix: ".test" } }, {}, "yes"),
  matches("header-host", { name: "host", stringMatch: { suffix: ".test" } }, {}, "yes"),
  matches("header-path", { name: ":path", stringMatch: { exact: "/" } }, {}, "yes"),
  matches("header-scheme", { name: ":scheme", stringMatch: { exact: "http" } }, {}, "yes"),
  matches("header-empty-exact", { ...X, stringMatch: { exact: "" }, treatMissingHeaderAsEmpty: true }, {}, "yes"),
  {
    name: "headers-all",
    routes: [says({ prefix: "/", headers: [{ ...X }, { name: "y" }] }, "yes"), OTHER],
    call: { headers: { x: "1" } },
    expect: { status: 200, body: "other" },
  },
  twice("header-twice-joined", { stringMatch: { exact: "a,b" } }, "other"),
  twice("header-twice-first", { stringMatch: { exact: "a" } }, "yes"),
  twice("header-twice-second", { stringMatch: { exact: "b" } }, "yes"),
  twice("header-twice-inverted", { stringMatch: { exact: "b" }, invertMatch: true }, "other"),
  twice("header-twice-inverted-other", { stringMatch: { exact: "c" }, invertMatch: true }, "yes"),
  twice("header-twice-contains-comma", { stringMatch: { contains: "," } }, "other"),
  twice("header-twice-regex", { stringMatch: { safeRegex: { regex: "a.b" } } }, "other"),
  twice("header-twice-present", { presentMatch: true }, "yes"),
];

function query(name: string, matcher: Json, path: string, wanted: "yes" | "other"): WalkCase {
  return {
    name,
    routes: [says({ prefix: "/", queryParameters: [matcher] }, "yes"), OTHER],
    call: { path },
    expect: { status: 200, body: wanted },
  };
}

const A = { name: "a" };

const queries: readonly WalkCase[] = [
  query("query-present", A, "/?a", "yes"),
  query("query-present-empty", { ...A, presentMatch: true }, "/?a=", "yes"),
  query("query-absent", A, "/?b", "other"),
  query("query-present-false", { ...A, presentMatch: false }, "/?b", "yes"),
  query("query-is-not-decoded", { ...A, stringMatch: { exact: "1" } }, "/?a=%31", "other"),
  query("query-plus-is-not-space", { ...A, stringMatch: { exact: "1+2" } }, "/?a=1+2", "yes"),
  query("query-equals-in-value", { ...A, stringMatch: { exact: "b=c" } }, "/?a=b=c", "yes"),
  query("query-case", A, "/?A=1", "other"),
  query("query-regex", { ...A, stringMatch: { safeRegex: { regex: "[0-9]+" } } }, "/?a=12", "yes"),
  query("query-prefix", { ...A, stringMatch: { prefix: "1" } }, "/?x=0&a=12", "yes"),
  query("query-contains", { ...A, stringMatch: { contains: "1", ignoreCase: true } }, "/?a=0", "other"),
  {
    name: "queries-all",
    routes: [says({ prefix: "/", queryParameters: [A, { name: "b" }] }, "yes"), OTHER],
    call: { path: "/?a=1&b=2" },
    expect: { status: 200, body: "yes" },
  },
];

const others: readonly WalkCase[] = [
  {
    name: "fraction-all",
    routes: [
      says({ prefix: "/", runtimeFraction: { defaultValue: { numerator: 100 }, runtimeKey: "no.such.key" } }, "yes"),
      OTHER,
    ],
    call: {},
    expect: { status: 200, body: "yes" },
  },
  {
    name: "fraction-none-of-a-million",
    routes: [
      says({ prefix: "/", runtimeFraction: { defaultValue: { numerator: 0, denominator: "MILLION" } } }, "yes"),
      OTHER,
    ],
    call: {},
    expect: { status: 200, body: "other" },
  },
  {
    name: "grpc-match",
    routes: [toOrigin({ prefix: "/", grpc: {} }, {}, { name: "grpc" }), OTHER],
    call: { method: "POST", headers: { "content-type": "application/grpc+proto" }, body: "x" },
    expect: { status: 200, log: "- via_upstream grpc" },
  },
  {
    name: "grpc-match-other-type",
    routes: [says({ prefix: "/", grpc: {} }, "grpc"), OTHER],
    call: { method: "POST", headers: { "content-type": "application/grpcx" }, body: "x" },
    expect: { status: 200, body: "other" },
  },
  {
    name: "tls-not-presented",
    routes: [says({ prefix: "/", tlsContext: { presented: false } }, "none"), OTHER],
    call: {},
    expect: { status: 200, body: "none" },
  },
  {
    name: "tls-not-validated",
    routes: [says({ prefix: "/", tlsContext: { validated: true } }, "validated"), OTHER],
    call: {},
    expect: { status: 200, body: "other" },
  },
  {
    name: "domain-port",
    domains: ["domain-port.test:81"],
    routes: [says({ prefix: "/" }, "port")],
    call: { headers: { host: "domain-port.test:81" } },
    expect: { status: 200, body: "port" },
  },
  {
    name: "domain-other-port",
    domains: ["domain-other-port.test"],
    routes: [says({ prefix: "/" }, "port")],
    call: { headers: { host: "domain-other-port.test:81" } },
    expect: { status: 404 },
  },
  {
    name: "domain-case",
    domains: ["Domain-Case.test"],
    routes: [says({ prefix: "/" }, "yes")],
    call: { headers: { host: "domain-CASE.test" } },
    expect: { status: 200, body: "yes" },
  },
  {
    name: "domain-exact-before-suffix",
    domains: ["*.exact.test", "domain-exact-before-suffix.exact.test"],
    routes: [says({ prefix: "/" }, "yes")],
    call: { headers: { host: "domain-exact-before-suffix.exact.test" } },
    expect: { status: 200, body: "yes" },
  },
  {
    name: "domain-suffix-needs-more",
    domains: ["*.needs-more.test"],
    routes: [says({ prefix: "/" }, "yes")],
    call: { headers: { host: ".needs-more.test" } },
    expect: { status: 404 },
  },
  {
    name: "domain-suffix-deep",
    domains: ["*.deep.test"],
    routes: [says({ prefix: "/" }, "yes")],
    call: { headers: { host: "a.b.deep.test" } },
    expect: { status: 200, body: "yes" },
  },
  {
    name: "domain-dash-suffix",
    domains: ["*-dash.test"],
    routes: [says({ prefix: "/" }, "yes")],
    call: { headers: { host: "foo-dash.test" } },
    expect: { status: 200, body: "yes" },
  },
];

export const headerCases: readonly WalkCase[] = [...headerKinds, ...queries, ...others];
