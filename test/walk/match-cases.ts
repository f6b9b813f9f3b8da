// Which virtual host and which route a request takes.

import type { WalkCase } from "./case.ts";
import { says, toOrigin } from "./route.ts";

const OTHER = says({ prefix: "/" }, "other");

export const matchCases: readonly WalkCase[] = [
  {
    name: "prefix",
    routes: [says({ prefix: "/api" }, "api"), OTHER],
    call: { path: "/apis?x=1" },
    expect: { status: 200, body: "api", origin: null, log: /^- direct_response -$/ },
  },
  {
    name: "separated-prefix",
    routes: [says({ pathSeparatedPrefix: "/api" }, "api"), OTHER],
    call: { path: "/apis" },
    expect: { status: 200, body: "other" },
  },
  {
    name: "separated-prefix-itself",
    routes: [says({ pathSeparatedPrefix: "/api" }, "api"), OTHER],
    call: { path: "/api?q" },
    expect: { status: 200, body: "api" },
  },
  {
    name: "exact-path-ignores-query",
    routes: [says({ path: "/a" }, "exact"), OTHER],
    call: { path: "/a?b=c" },
    expect: { status: 200, body: "exact" },
  },
  {
    name: "case-folded",
    routes: [says({ prefix: "/API", caseSensitive: false }, "folded"), OTHER],
    call: { path: "/api/x" },
    expect: { status: 200, body: "folded" },
  },
  {
    name: "regex-whole-path",
    routes: [says({ safeRegex: { regex: "/v[0-9]+" } }, "regex"), OTHER],
    call: { path: "/v12/x" },
    expect: { status: 200, body: "other" },
  },
  {
    name: "regex-without-query",
    routes: [says({ safeRegex: { regex: "/v[0-9]+" } }, "regex"), OTHER],
    call: { path: "/v12?x=/" },
    expect: { status: 200, body: "regex" },
  },
  {
    name: "header-exact",
    routes: [says({ prefix: "/", headers: [{ name: "x-user", stringMatch: { exact: "jane" } }] }, "jane"), OTHER],
    call: { headers: { "X-User": "jane" } },
    expect: { status: 200, body: "jane" },
  },
  {
    name: "header-absent-inverted",
    routes: [
      says(
        { prefix: "/", headers: [{ name: "x-user", stringMatch: { exact: "jane" }, invertMatch: true }] },
        "not jane",
      ),
      OTHER,
    ],
    call: {},
    expect: { status: 200, body: "other" },
  },
  {
    name: "header-absent-as-empty",
    routes: [
      says(
        {
          prefix: "/",
          headers: [
            { name: "x-user", stringMatch: { exact: "jane" }, invertMatch: true, treatMissingHeaderAsEmpty: true },
          ],
        },
        "not jane",
      ),
      OTHER,
    ],
    call: {},
    expect: { status: 200, body: "not jane" },
  },
  {
    name: "header-present",
    routes: [says({ prefix: "/", headers: [{ name: "x-a", presentMatch: true }] }, "there"), OTHER],
    call: { headers: { "x-a": "" } },
    expect: { status: 200, body: "there" },
  },
  {
    name: "header-range",
    routes: [says({ prefix: "/", headers: [{ name: "x-n", rangeMatch: { start: "1", end: "10" } }] }, "in"), OTHER],
    call: { headers: { "x-n": "10" } },
    expect: { status: 200, body: "other" },
  },
  {
    name: "method",
    routes: [says({ prefix: "/", headers: [{ name: ":method", stringMatch: { exact: "POST" } }] }, "post"), OTHER],
    call: { method: "POST", body: "x" },
    expect: { status: 200, body: "post" },
  },
  {
    name: "query",
    routes: [says({ prefix: "/", queryParameters: [{ name: "a", stringMatch: { exact: "1" } }] }, "one"), OTHER],
    call: { path: "/?b=2&a=1" },
    expect: { status: 200, body: "one" },
  },
  {
    name: "query-first-counts",
    routes: [says({ prefix: "/", queryParameters: [{ name: "a", stringMatch: { exact: "1" } }] }, "one"), OTHER],
    call: { path: "/?a=2&a=1" },
    expect: { status: 200, body: "other" },
  },
  {
    name: "no-route",
    routes: [says({ path: "/only" }, "only")],
    call: { path: "/else" },
    expect: { status: 404, body: "", origin: null, log: "NR route_not_found -" },
  },
  {
    name: "domain-suffix-longest",
    domains: ["*.long.suffix.test"],
    routes: [says({ prefix: "/" }, "longest")],
    call: { headers: { host: "a.long.suffix.test" } },
    expect: { status: 200, body: "longest" },
  },
  {
    name: "domain-suffix-shorter",
    domains: ["*.suffix.test"],
    routes: [says({ prefix: "/" }, "shorter")],
    call: { headers: { host: "A.suffix.TEST" } },
    expect: { status: 200, body: "shorter" },
  },
  {
    name: "domain-prefix",
    domains: ["prefix.*"],
    routes: [says({ prefix: "/" }, "prefixed")],
    call: { headers: { host: "prefix.anything" } },
    expect: { status: 200, body: "prefixed" },
  },
  {
    name: "unknown-domain",
    routes: [OTHER],
    call: { headers: { host: "nobody.invalid" } },
    expect: { status: 404, body: "", log: "NR route_not_found -" },
  },
  {
    name: "fraction-none",
    routes: [
      says({ prefix: "/", runtimeFraction: { defaultValue: { numerator: 0 } } }, "never"),
      says({ prefix: "/", runtimeFraction: { defaultValue: { numerator: 100 } } }, "always"),
    ],
    call: {},
    expect: { status: 200, body: "always" },
  },
  {
    name: "weights",
    routes: [
      toOrigin(
        { prefix: "/" },
        {
          cluster: undefined,
          weightedClusters: {
            clusters: [
              { name: "origin", weight: 100, requestHeadersToAdd: [{ header: { key: "x-weighted", value: "yes" } }] },
              { name: "nowhere", weight: 0 },
            ],
          },
        },
      ),
    ],
    call: {},
    expect: { status: 200, origin: { headers: { "x-weighted": "yes" } } },
  },
];
