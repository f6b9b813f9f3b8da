// Which route a path takes, and what becomes of the path on its way.

import type { Json, WalkCase } from "./case.ts";
import { says, TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };
const OTHER = says(ANY, "other");

function template(pathTemplate: string): Json {
  return {
    pathMatchPolicy: {
      name: "envoy.path.match.uri_template.uri_template_matcher",
      typedConfig: { "@type": `${TYPE}.path.match.uri_template.v3.UriTemplateMatchConfig`, pathTemplate },
    },
  };
}

function rewriteTo(pathTemplateRewrite: string): Json {
  return {
    pathRewritePolicy: {
      name: "envoy.path.rewrite.uri_template.uri_template_rewriter",
      typedConfig: { "@type": `${TYPE}.path.rewrite.uri_template.v3.UriTemplateRewriteConfig`, pathTemplateRewrite },
    },
  };
}

/** A match and a path, and whether the path is matched. */
function matches(name: string, match: Json, path: string, wanted: "yes" | "other"): WalkCase {
  return { name, routes: [says(match, "yes"), OTHER], call: { path }, expect: { status: 200, body: wanted } };
}

/** What the origin is asked for. */
function rewrites(name: string, route: Json, path: string, wanted: string): WalkCase {
  return { name, routes: [route], call: { path }, expect: { status: 200, origin: { path: wanted } } };
}

const matching: readonly WalkCase[] = [
  matches("template-one", template("/a/{b}"), "/a/x", "yes"),
  matches("template-one-segment-only", template("/a/{b}"), "/a/x/y", "other"),
  matches("template-empty-segment", template("/a/{b}"), "/a/", "other"),
  matches("template-star", template("/a/*/c"), "/a/x/c", "yes"),
  matches("template-star-suffix", template("/videos/*/*.m4s"), "/videos/1/2.m4s", "yes"),
  matches("template-star-other-suffix", template("/videos/*/*.m4s"), "/videos/1/2.m4a", "other"),
  matches("template-two-stars", template("/a/**"), "/a/x/y/z", "yes"),
  matches("template-two-stars-empty", template("/a/**"), "/a/", "yes"),
  matches("template-two-stars-without-slash", template("/a/**"), "/a", "other"),
  matches("template-two-stars-suffix", template("/**.mpd"), "/content/123/manifest.mpd", "yes"),
  matches("template-variable-glob", template("/{a=v/*}/{b=**}"), "/v/1/x/y", "yes"),
  matches("template-variable-glob-other", template("/{a=v/*}/{b=**}"), "/w/1/x/y", "other"),
  matches("template-ignores-query", template("/a/{b}"), "/a/x?y=/z", "yes"),
  matches("template-case", template("/a/{b}"), "/A/x", "other"),
  matches("template-percent", template("/a/{b}"), "/a/x%20y", "yes"),
  matches("exact-path-case", { path: "/A" }, "/a", "other"),
  matches("exact-path-folded", { path: "/A", caseSensitive: false }, "/a", "yes"),
  matches("exact-path-slash", { path: "/a" }, "/a/", "other"),
  matches("prefix-empty", { prefix: "" }, "/a", "yes"),
  matches("prefix-with-slash", { prefix: "/api/" }, "/api", "other"),
  matches("prefix-in-query", { prefix: "/x" }, "/y?z=/x", "other"),
  matches("separated-prefix-below", { pathSeparatedPrefix: "/api" }, "/api/v1", "yes"),
  matches("separated-prefix-folded", { pathSeparatedPrefix: "/API", caseSensitive: false }, "/api/v1", "yes"),
  matches("regex-alternatives", { safeRegex: { regex: "/(a|b)" } }, "/b", "yes"),
  matches("regex-case", { safeRegex: { regex: "/A" } }, "/a", "other"),
  matches("regex-flag", { safeRegex: { regex: "(?i)/A" } }, "/a", "yes"),
  matches("percent-is-not-decoded", { path: "/a b" }, "/a%20b", "other"),
  {
    name: "first-route-wins",
    routes: [says({ prefix: "/a" }, "first"), says({ path: "/a/b" }, "second")],
    call: { path: "/a/b" },
    expect: { status: 200, body: "first" },
  },
  {
    name: "options-star",
    routes: [says({ prefix: "/" }, "any")],
    call: { raw: "OPTIONS * HTTP/1.1\r\nhost: options-star.test\r\n\r\n" },
    expect: { status: 404, body: "", log: "- absolute_path_rejected -" },
  },
  {
    name: "absolute-form",
    routes: [toOrigin({ path: "/x" })],
    call: {
      raw: "GET http://absolute-form.test/x?q=1 HTTP/1.1\r\nhost: ignored.test\r\n\r\n",
      authority: "absolute-form.test",
    },
    expect: { status: 200, origin: { path: "/x?q=1", headers: { host: "absolute-form.test" } } },
  },
];

const rewriting: readonly WalkCase[] = [
  rewrites(
    "template-rewrite",
    toOrigin(template("/{one}/{two}"), rewriteTo("/{two}/{one}")),
    "/cat/dog?q",
    "/dog/cat?q",
  ),
  rewrites(
    "template-rewrite-drops",
    toOrigin(template("/content/{format}/{lang}/{id}/{file}.vtt"), rewriteTo("/{lang}/{format}/{file}.vtt")),
    "/content/hls/en-us/12345/en_193913.vtt",
    "/en-us/hls/en_193913.vtt",
  ),
  rewrites("template-rewrite-rest", toOrigin(template("/v1/{rest=**}"), rewriteTo("/v2/{rest}")), "/v1/a/b", "/v2/a/b"),
  rewrites("prefix-rewrite-root", toOrigin({ prefix: "/old/" }, { prefixRewrite: "/" }), "/old/x", "/x"),
  rewrites("prefix-rewrite-double-slash", toOrigin({ prefix: "/old" }, { prefixRewrite: "/" }), "/old/x", "//x"),
  rewrites("prefix-rewrite-whole", toOrigin({ prefix: "/old" }, { prefixRewrite: "/new" }), "/old", "/new"),
  rewrites("prefix-rewrite-exact", toOrigin({ path: "/old" }, { prefixRewrite: "/new" }), "/old?a", "/new?a"),
  rewrites(
    "prefix-rewrite-folded",
    toOrigin({ prefix: "/OLD", caseSensitive: false }, { prefixRewrite: "/new" }),
    "/old/x",
    "/new/x",
  ),
  rewrites(
    "prefix-rewrite-separated",
    toOrigin({ pathSeparatedPrefix: "/old" }, { prefixRewrite: "/new" }),
    "/old/x",
    "/new/x",
  ),
  rewrites(
    "prefix-rewrite-regex",
    toOrigin({ safeRegex: { regex: "/o.d/.*" } }, { prefixRewrite: "/new" }),
    "/old/x",
    "/new",
  ),
  rewrites(
    "regex-rewrite-everywhere",
    toOrigin(ANY, { regexRewrite: { pattern: { regex: "a" }, substitution: "b" } }),
    "/aXa?a",
    "/bXb?a",
  ),
  rewrites(
    "regex-rewrite-groups",
    toOrigin(ANY, { regexRewrite: { pattern: { regex: "^/(.*)/(.*)$" }, substitution: "/\\2/\\1" } }),
    "/one/two",
    "/two/one",
  ),
  rewrites(
    "regex-rewrite-dollar",
    toOrigin(ANY, { regexRewrite: { pattern: { regex: "x" }, substitution: "$1" } }),
    "/x",
    "/$1",
  ),
  rewrites(
    "regex-rewrite-unmatched",
    toOrigin(ANY, { regexRewrite: { pattern: { regex: "^/zzz" }, substitution: "/y" } }),
    "/x",
    "/x",
  ),
  {
    name: "original-path-only-when-rewritten",
    routes: [toOrigin(ANY)],
    call: { path: "/x", headers: { "x-envoy-original-path": "/forged" } },
    expect: { status: 200, origin: { path: "/x" } },
  },
];

/** A path as the cleaning connection manager sends it on. */
function cleaned(name: string, path: string, wanted: string): WalkCase {
  return {
    name,
    listener: "edge",
    routes: [toOrigin(ANY)],
    call: { raw: `GET ${path} HTTP/1.1\r\nhost: ${name}.test\r\n\r\n` },
    expect: { status: 200, origin: { path: wanted } },
  };
}

const cleaning: readonly WalkCase[] = [
  cleaned("clean-dots", "/a/./b/../c", "/a/c"),
  cleaned("clean-encoded-dots", "/a/%2e%2E/b", "/b"),
  cleaned("clean-unreserved", "/%7Ea/%41", "/~a/A"),
  cleaned("clean-case-of-escapes", "/%c3%a4", "/%c3%a4"),
  cleaned("clean-slashes", "/a//b///c", "/a/b/c"),
  cleaned("clean-query-untouched", "/a?b=//c/../d", "/a?b=//c/../d"),
  cleaned("clean-backslash", "/a\\b", "/a/b"),
  cleaned("clean-above-root", "/../a", "/a"),
  cleaned("clean-trailing-dot", "/a/.", "/a/"),
  cleaned("clean-trailing-dots", "/a/b/..", "/a/"),
  cleaned("clean-escaped-slash-kept", "/a%2Fb", "/a%2Fb"),
];

export const pathCases: readonly WalkCase[] = [...matching, ...rewriting, ...cleaning];
