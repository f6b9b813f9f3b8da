// Requests that come too often for one proxy.

import type { Json, WalkCase } from "./case.ts";
import { TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };
const FULL = { numerator: 100, denominator: "HUNDRED" };
const always = { defaultValue: FULL };
const bucket = (maxTokens: number, more: Json = {}) => ({ maxTokens, tokensPerFill: 1, fillInterval: "100s", ...more });

function limit(statPrefix: string, config: Json): Json {
  return { "@type": `${TYPE}.filters.http.local_ratelimit.v3.LocalRateLimit`, statPrefix, ...config };
}

function filter(statPrefix: string, config: Json): Json {
  return {
    name: "envoy.filters.http.local_ratelimit",
    typedConfig: limit(statPrefix, { filterEnabled: always, filterEnforced: always, ...config }),
  };
}

const generic = (value: string): Json => ({ actions: [{ genericKey: { descriptorValue: value } }] });
const byGeneric = (value: string, tokens: number): Json => ({
  entries: [{ key: "generic_key", value }],
  tokenBucket: bucket(tokens),
});

export const ratelimitCases: readonly WalkCase[] = [
  {
    name: "ratelimit-first",
    filters: [filter("ratelimit-first", { tokenBucket: bucket(1) })],
    routes: [toOrigin(ANY)],
    call: {},
    expect: {
      status: 200,
      headers: { "x-ratelimit-limit": null },
      stats: {
        "ratelimit-first.http_local_rate_limit.enabled": 1,
        "ratelimit-first.http_local_rate_limit.ok": 1,
        "ratelimit-first.http_local_rate_limit.rate_limited": 0,
      },
    },
  },
  {
    name: "ratelimit-second",
    filters: [
      filter("ratelimit-second", {
        tokenBucket: bucket(1),
        responseHeadersToAdd: [{ header: { key: "x-limited", value: "%REQ(:PATH)%" } }],
      }),
    ],
    routes: [toOrigin(ANY)],
    before: [{}],
    call: { path: "/again" },
    expect: {
      status: 429,
      body: "local_rate_limited",
      headers: {
        "x-limited": "/again",
        "retry-after": null,
        "x-envoy-ratelimited": null,
        "content-type": "text/plain",
      },
      log: /^RL local_rate_limited -$/,
      stats: {
        "ratelimit-second.http_local_rate_limit.enabled": 2,
        "ratelimit-second.http_local_rate_limit.enforced": 1,
        "ratelimit-second.http_local_rate_limit.ok": 1,
        "ratelimit-second.http_local_rate_limit.rate_limited": 1,
      },
    },
  },
  {
    name: "ratelimit-off-by-default",
    filters: [
      {
        name: "envoy.filters.http.local_ratelimit",
        typedConfig: limit("ratelimit-off-by-default", { tokenBucket: bucket(1) }),
      },
    ],
    routes: [toOrigin(ANY)],
    before: [{}],
    call: {},
    expect: { status: 200, stats: { "ratelimit-off-by-default.http_local_rate_limit.enabled": 0 } },
  },
  {
    name: "ratelimit-not-enforced",
    filters: [
      filter("ratelimit-not-enforced", {
        tokenBucket: bucket(1),
        filterEnforced: { defaultValue: { numerator: 0 } },
        requestHeadersToAddWhenNotEnforced: [{ header: { key: "x-would-limit", value: "1" } }],
      }),
    ],
    routes: [toOrigin(ANY)],
    before: [{}],
    call: {},
    expect: {
      status: 200,
      origin: { headers: { "x-would-limit": "1" } },
      stats: {
        "ratelimit-not-enforced.http_local_rate_limit.rate_limited": 1,
        "ratelimit-not-enforced.http_local_rate_limit.enforced": 0,
      },
    },
  },
  {
    name: "ratelimit-status",
    filters: [filter("ratelimit-status", { tokenBucket: bucket(1), status: { code: "ServiceUnavailable" } })],
    routes: [toOrigin(ANY)],
    before: [{}],
    call: {},
    expect: { status: 503, body: "local_rate_limited" },
  },
  {
    name: "ratelimit-headers",
    filters: [filter("ratelimit-headers", { tokenBucket: bucket(3), enableXRatelimitHeaders: "DRAFT_VERSION_03" })],
    routes: [toOrigin(ANY)],
    before: [{}],
    call: {},
    expect: {
      status: 200,
      headers: { "x-ratelimit-limit": "3", "x-ratelimit-remaining": "1", "x-ratelimit-reset": "0" },
    },
  },
  {
    name: "ratelimit-headers-of-denial",
    filters: [
      filter("ratelimit-headers-of-denial", {
        tokenBucket: bucket(1),
        enableXRatelimitHeaders: "DRAFT_VERSION_03",
        enableRetryAfterHeader: true,
      }),
    ],
    routes: [toOrigin(ANY)],
    before: [{}],
    call: {},
    expect: {
      status: 429,
      headers: {
        "x-ratelimit-limit": "1",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": "100",
        "retry-after": "100",
      },
    },
  },
  {
    name: "ratelimit-of-route",
    filters: [filter("ratelimit-of-route-filter", {})],
    routes: [
      toOrigin(
        { prefix: "/limited" },
        {},
        {
          typedPerFilterConfig: {
            "envoy.filters.http.local_ratelimit": limit("ratelimit-of-route", {
              filterEnabled: always,
              filterEnforced: always,
              tokenBucket: bucket(1),
            }),
          },
        },
      ),
      toOrigin(ANY),
    ],
    before: [{ path: "/limited" }, { path: "/" }],
    call: { path: "/limited" },
    expect: {
      status: 429,
      stats: {
        "ratelimit-of-route.http_local_rate_limit.enabled": 2,
        "ratelimit-of-route.http_local_rate_limit.rate_limited": 1,
        "ratelimit-of-route-filter.http_local_rate_limit.ok": 1,
      },
    },
  },
  {
    name: "ratelimit-descriptor",
    filters: [
      filter("ratelimit-descriptor", {
        tokenBucket: bucket(100),
        descriptors: [
          {
            entries: [
              { key: "who", value: "jane" },
              { key: "header_match", value: "post" },
            ],
            tokenBucket: bucket(1),
          },
        ],
      }),
    ],
    routes: [
      toOrigin(ANY, {
        rateLimits: [
          {
            actions: [
              { requestHeaders: { headerName: "x-user", descriptorKey: "who" } },
              {
                headerValueMatch: {
                  descriptorValue: "post",
                  headers: [{ name: ":method", stringMatch: { exact: "POST" } }],
                },
              },
            ],
          },
        ],
      }),
    ],
    before: [
      { method: "POST", headers: { "x-user": "jane" } },
      { method: "POST", headers: { "x-user": "joe" } },
      { method: "POST" },
      { headers: { "x-user": "jane" } },
    ],
    call: { method: "POST", headers: { "x-user": "jane" } },
    expect: { status: 429, stats: { "ratelimit-descriptor.http_local_rate_limit.ok": 4 } },
  },
  {
    name: "ratelimit-descriptor-of-filter",
    filters: [
      filter("ratelimit-descriptor-of-filter", {
        tokenBucket: bucket(100),
        descriptors: [{ entries: [{ key: "plan", value: "free" }], tokenBucket: bucket(1) }],
        rateLimits: [
          {
            actions: [
              {
                queryParameterValueMatch: {
                  descriptorKey: "plan",
                  descriptorValue: "free",
                  queryParameters: [{ name: "plan", stringMatch: { exact: "free" } }],
                },
              },
            ],
          },
        ],
      }),
    ],
    routes: [toOrigin(ANY, { rateLimits: [generic("ignored")] })],
    before: [{ path: "/?plan=free" }, { path: "/?plan=paid" }],
    call: { path: "/?plan=free" },
    expect: { status: 429 },
  },
  {
    name: "ratelimit-host-only-without-route",
    filters: [
      filter("ratelimit-host-only-without-route", {
        tokenBucket: bucket(100),
        descriptors: [byGeneric("host", 1), byGeneric("route", 10)],
      }),
    ],
    routes: [toOrigin({ path: "/own" }, { rateLimits: [generic("route")] }), toOrigin(ANY)],
    host: { rateLimits: [generic("host")] },
    before: [{ path: "/own" }, { path: "/" }, { path: "/own" }],
    call: { path: "/" },
    expect: { status: 429, stats: { "ratelimit-host-only-without-route.http_local_rate_limit.ok": 3 } },
  },
  {
    name: "ratelimit-host-included",
    filters: [
      filter("ratelimit-host-included", {
        tokenBucket: bucket(100),
        vhRateLimits: "INCLUDE",
        descriptors: [byGeneric("host", 1), byGeneric("route", 10)],
      }),
    ],
    routes: [toOrigin({ path: "/own" }, { rateLimits: [generic("route")] }), toOrigin(ANY)],
    host: { rateLimits: [generic("host")] },
    before: [{ path: "/own" }],
    call: { path: "/own" },
    expect: { status: 429 },
  },
  {
    name: "ratelimit-default-too",
    filters: [filter("ratelimit-default-too", { tokenBucket: bucket(1), descriptors: [byGeneric("route", 10)] })],
    routes: [toOrigin(ANY, { rateLimits: [generic("route")] })],
    before: [{}],
    call: {},
    expect: { status: 429 },
  },
  {
    name: "ratelimit-default-not-consumed",
    filters: [
      filter("ratelimit-default-not-consumed", {
        tokenBucket: bucket(1),
        descriptors: [byGeneric("route", 10)],
        alwaysConsumeDefaultTokenBucket: false,
      }),
    ],
    routes: [toOrigin(ANY, { rateLimits: [generic("route")] })],
    before: [{}],
    call: {},
    expect: { status: 200 },
  },
  {
    name: "ratelimit-per-connection",
    filters: [
      filter("ratelimit-per-connection", { tokenBucket: bucket(1), localRateLimitPerDownstreamConnection: true }),
    ],
    routes: [toOrigin(ANY)],
    before: [{}],
    call: {},
    expect: { status: 200 },
  },
  {
    name: "ratelimit-masked-address",
    filters: [
      filter("ratelimit-masked-address", {
        tokenBucket: bucket(100),
        descriptors: [{ entries: [{ key: "masked_remote_address", value: "203.0.112.0/22" }], tokenBucket: bucket(1) }],
      }),
    ],
    routes: [toOrigin(ANY, { rateLimits: [{ actions: [{ maskedRemoteAddress: { v4PrefixMaskLen: 22 } }] }] })],
    before: [{ headers: { "x-forwarded-for": "203.0.113.9" } }, { headers: { "x-forwarded-for": "203.0.116.1" } }],
    call: { headers: { "x-forwarded-for": "203.0.115.1" } },
    expect: { status: 429 },
  },
];
