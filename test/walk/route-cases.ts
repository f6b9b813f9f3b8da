// What a route does with a request and its response.

import type { WalkCase } from "./case.ts";
import { says, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };
const redirect = (config: object) => [{ match: ANY, redirect: config }];

export const routeCases: readonly WalkCase[] = [
  {
    name: "forward",
    routes: [toOrigin(ANY, {}, { name: "named" })],
    call: { path: "/a?b=c", headers: { "x-own": "1", connection: "keep-alive, x-hop", "x-hop": "1" } },
    expect: {
      status: 200,
      headers: { server: "envoy", "x-envoy-upstream-service-time": /^\d+$/, date: /GMT$/ },
      origin: {
        method: "GET",
        path: "/a?b=c",
        headers: {
          host: "forward.test",
          "x-own": "1",
          "x-hop": null,
          "x-request-id": /^[0-9a-f-]{36}$/,
          "x-forwarded-proto": "http",
          "x-envoy-expected-rq-timeout-ms": "15000",
        },
      },
      log: "- via_upstream named",
    },
  },
  {
    name: "prefix-rewrite",
    routes: [toOrigin({ prefix: "/old" }, { prefixRewrite: "/new" })],
    call: { path: "/old/x?q=1" },
    expect: { status: 200, origin: { path: "/new/x?q=1", headers: { "x-envoy-original-path": "/old/x?q=1" } } },
  },
  {
    name: "regex-rewrite",
    routes: [toOrigin(ANY, { regexRewrite: { pattern: { regex: "^/users/([0-9]+)" }, substitution: "/u/\\1/by-id" } })],
    call: { path: "/users/42/x?y=/users/1" },
    expect: { status: 200, origin: { path: "/u/42/by-id/x?y=/users/1" } },
  },
  {
    name: "host-rewrite",
    routes: [toOrigin(ANY, { hostRewriteLiteral: "other.test", appendXForwardedHost: true })],
    call: {},
    expect: { status: 200, origin: { headers: { host: "other.test", "x-forwarded-host": "host-rewrite.test" } } },
  },
  {
    name: "request-headers",
    routes: [
      toOrigin(
        ANY,
        {},
        {
          requestHeadersToAdd: [
            { header: { key: "x-set", value: "new" }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" },
            { header: { key: "x-more", value: "two" }, appendAction: "APPEND_IF_EXISTS_OR_ADD" },
            { header: { key: "x-if-absent", value: "no" }, appendAction: "ADD_IF_ABSENT" },
            { header: { key: "x-proto", value: "%PROTOCOL%" }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" },
          ],
          requestHeadersToRemove: ["x-gone"],
        },
      ),
    ],
    call: { headers: { "x-set": "old", "x-more": "one", "x-if-absent": "yes", "x-gone": "1" } },
    expect: {
      status: 200,
      origin: {
        headers: { "x-set": "new", "x-more": "one, two", "x-if-absent": "yes", "x-gone": null, "x-proto": "HTTP/1.1" },
      },
    },
  },
  {
    name: "response-headers",
    routes: [
      toOrigin(
        ANY,
        {},
        {
          responseHeadersToAdd: [{ header: { key: "x-added", value: "route" } }],
          responseHeadersToRemove: ["x-from-origin"],
        },
      ),
    ],
    host: { responseHeadersToAdd: [{ header: { key: "x-host", value: "vh" } }] },
    call: {},
    expect: { status: 200, headers: { "x-added": "route", "x-host": "vh", "x-from-origin": null } },
  },
  {
    name: "redirect-host-path",
    routes: redirect({ hostRedirect: "new.test", pathRedirect: "/here" }),
    call: { path: "/there?x=1" },
    expect: { status: 301, headers: { location: "http://new.test/here?x=1" }, log: "- direct_response -" },
  },
  {
    name: "redirect-https",
    routes: redirect({ httpsRedirect: true, responseCode: "PERMANENT_REDIRECT", stripQuery: true }),
    call: { path: "/a?x=1" },
    expect: { status: 308, headers: { location: "https://redirect-https.test/a" } },
  },
  {
    name: "redirect-prefix",
    routes: [{ match: { prefix: "/old" }, redirect: { prefixRewrite: "/new", responseCode: "FOUND" } }],
    call: { path: "/old/a" },
    expect: { status: 302, headers: { location: "http://redirect-prefix.test/new/a" } },
  },
  {
    name: "redirect-port",
    routes: redirect({ portRedirect: 8443, schemeRedirect: "https" }),
    call: { path: "/" },
    expect: { status: 301, headers: { location: "https://redirect-port.test:8443/" } },
  },
  {
    name: "direct-response",
    routes: [
      {
        match: ANY,
        name: "direct",
        directResponse: { status: 418, body: { inlineString: "teapot" } },
        responseHeadersToAdd: [{ header: { key: "x-made", value: "here" } }],
      },
    ],
    call: {},
    expect: {
      status: 418,
      body: "teapot",
      headers: { "content-length": "6", "content-type": "text/plain", "x-made": "here", server: "envoy" },
      origin: null,
      log: "- direct_response direct",
    },
  },
  {
    name: "head-of-direct-response",
    routes: [says(ANY, "twelve bytes")],
    call: { method: "HEAD" },
    expect: { status: 200, body: "", headers: { "content-length": "12" } },
  },
  {
    name: "no-cluster",
    routes: [{ match: ANY, route: { clusterHeader: "x-to" } }],
    call: { headers: { "x-to": "unheard-of" } },
    expect: { status: 503, body: "", log: /^NC cluster_not_found -$/ },
  },
  {
    name: "no-host",
    routes: [{ match: ANY, route: { cluster: "nowhere" } }],
    call: {},
    expect: { status: 503, body: "no healthy upstream", log: /^UH no_healthy_upstream -$/ },
  },
  {
    name: "refused-connection",
    routes: [{ match: ANY, route: { cluster: "refusing" } }],
    call: {},
    expect: {
      status: 503,
      body: /^upstream connect error or disconnect\/reset before headers/,
      log: /^UF upstream_reset_before_response_started/,
    },
  },
  {
    name: "timeout",
    routes: [toOrigin(ANY, { timeout: "0.1s" })],
    call: { path: "/slow" },
    expect: { status: 504, body: "upstream request timeout", log: /^UT response_timeout -$/ },
  },
  {
    name: "retry-5xx",
    routes: [
      toOrigin(ANY, { retryPolicy: { retryOn: "5xx", numRetries: 2, retryBackOff: { baseInterval: "0.001s" } } }),
    ],
    host: { includeRequestAttemptCount: true, includeAttemptCountInResponse: true },
    call: { path: "/status/503" },
    expect: { status: 503, headers: { "x-envoy-attempt-count": "3" }, log: /^URX via_upstream -$/ },
  },
  {
    name: "retry-not-on-404",
    routes: [toOrigin(ANY, { retryPolicy: { retryOn: "5xx", numRetries: 2 } })],
    host: { includeAttemptCountInResponse: true },
    call: { path: "/status/404" },
    expect: { status: 404, headers: { "x-envoy-attempt-count": "1" }, log: /^- via_upstream -$/ },
  },
  {
    name: "retry-status-codes",
    routes: [
      toOrigin(ANY, {
        retryPolicy: {
          retryOn: "retriable-status-codes",
          retriableStatusCodes: [409],
          retryBackOff: { baseInterval: "0.001s" },
        },
      }),
    ],
    host: { includeAttemptCountInResponse: true },
    call: { path: "/status/409" },
    expect: { status: 409, headers: { "x-envoy-attempt-count": "2" } },
  },
  {
    name: "mirror",
    routes: [toOrigin(ANY, { requestMirrorPolicies: [{ cluster: "origin" }] })],
    call: { path: "/mirrored" },
    expect: { status: 200, origin: { path: "/mirrored" } },
  },
  {
    name: "reset-before-response",
    routes: [toOrigin(ANY)],
    call: { path: "/reset" },
    expect: { status: 503, log: /^UC upstream_reset_before_response_started\{connection_termination\} -$/ },
  },
];
