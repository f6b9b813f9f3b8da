// Rules that only watch, faults that requests ask for, and origins that are let in by halves.

import type { Json, WalkCase } from "./case.ts";
import { TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };
const FULL = { numerator: 100, denominator: "HUNDRED" };
const HTTP = `${TYPE}.filters.http`;

const filter = (name: string, message: string, config: Json): Json => ({
  name: `envoy.filters.http.${name}`,
  typedConfig: { "@type": `${HTTP}.${name}.v3.${message}`, ...config },
});

const EVERYTHING = { permissions: [{ any: true }], principals: [{ any: true }] };
const POSTS = {
  permissions: [{ header: { name: ":method", stringMatch: { exact: "POST" } } }],
  principals: [{ any: true }],
};

function shown(values: Readonly<Record<string, string>>): Json {
  const requestMutations = Object.entries(values).map(([key, value]) => ({ append: { header: { key, value } } }));
  return filter("header_mutation", "HeaderMutation", { mutations: { requestMutations } });
}

const meta = (key: string) => `%DYNAMIC_METADATA(envoy.filters.http.rbac:${key})%`;

const rbac: readonly WalkCase[] = [
  {
    name: "rbac-log-matched",
    filters: [
      filter("rbac", "RBAC", { rules: { action: "LOG", policies: { p: EVERYTHING } } }),
      shown({ "x-hint": "%DYNAMIC_METADATA(envoy.common:access_log_hint)%" }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: {
      status: 200,
      origin: { headers: { "x-hint": "true" } },
      stats: { "http.rbac-log-matched.rbac.allowed": 1, "http.rbac-log-matched.rbac.denied": 0 },
    },
  },
  {
    name: "rbac-log-unmatched",
    filters: [
      filter("rbac", "RBAC", { rules: { action: "LOG", policies: { p: POSTS } } }),
      shown({ "x-hint": "%DYNAMIC_METADATA(envoy.common:access_log_hint)%" }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: {
      status: 200,
      origin: { headers: { "x-hint": "false" } },
      stats: { "http.rbac-log-unmatched.rbac.allowed": 1 },
    },
  },
  {
    name: "rbac-shadow-denied",
    filters: [
      filter("rbac", "RBAC", {
        shadowRules: { action: "DENY", policies: { all: EVERYTHING } },
        shadowRulesStatPrefix: "pre_",
      }),
      shown({ "x-result": meta("pre_shadow_engine_result"), "x-policy": meta("pre_shadow_effective_policy_id") }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: {
      status: 200,
      origin: { headers: { "x-result": "denied", "x-policy": "all" } },
      stats: {
        "http.rbac-shadow-denied.rbac.pre_.shadow_denied": 1,
        "http.rbac-shadow-denied.rbac.pre_.shadow_allowed": 0,
      },
    },
  },
  {
    name: "rbac-shadow-allowed",
    filters: [
      filter("rbac", "RBAC", { shadowRules: { policies: { all: EVERYTHING } } }),
      shown({ "x-result": meta("shadow_engine_result"), "x-policy": meta("shadow_effective_policy_id") }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 200, origin: { headers: { "x-result": "allowed", "x-policy": "all" } } },
  },
  {
    name: "rbac-shadow-none",
    filters: [
      filter("rbac", "RBAC", { shadowRules: { policies: { posts: POSTS } } }),
      shown({ "x-result": meta("shadow_engine_result"), "x-policy": meta("shadow_effective_policy_id") }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 200, origin: { headers: { "x-result": "denied", "x-policy": null } } },
  },
  {
    name: "rbac-enforced-metadata",
    filters: [
      filter("rbac", "RBAC", { rules: { policies: { all: EVERYTHING } } }),
      shown({ "x-result": meta("enforced_engine_result"), "x-policy": meta("enforced_effective_policy_id") }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 200, origin: { headers: { "x-result": "allowed", "x-policy": "all" } } },
  },
  {
    name: "rbac-stats-by-rule",
    filters: [
      filter("rbac", "RBAC", {
        rules: { policies: { all: EVERYTHING } },
        shadowRules: { action: "DENY", policies: { other: EVERYTHING } },
        trackPerRuleStats: true,
      }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: {
      status: 200,
      stats: {
        "http.rbac-stats-by-rule.rbac.policy.all.allowed": 1,
        "http.rbac-stats-by-rule.rbac.policy.other.shadow_denied": 1,
      },
    },
  },
];

const fault: readonly WalkCase[] = [
  {
    name: "fault-own-body",
    filters: [
      filter("fault", "HTTPFault", { abort: { httpStatus: 418, percentage: FULL, responseBody: "short and stout" } }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 418, body: "short and stout", log: /^FI fault_filter_abort/ },
  },
  {
    name: "fault-share-by-header",
    filters: [filter("fault", "HTTPFault", { abort: { headerAbort: {}, percentage: FULL } })],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-envoy-fault-abort-request": "503", "x-envoy-fault-abort-request-percentage": "0" } },
    expect: { status: 200 },
  },
  {
    name: "fault-share-by-header-is-capped",
    filters: [filter("fault", "HTTPFault", { abort: { headerAbort: {}, percentage: { numerator: 0 } } })],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-envoy-fault-abort-request": "503", "x-envoy-fault-abort-request-percentage": "100" } },
    expect: { status: 200 },
  },
  {
    name: "fault-delay-share-by-header",
    filters: [filter("fault", "HTTPFault", { delay: { headerDelay: {}, percentage: FULL } })],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-envoy-fault-delay-request": "10", "x-envoy-fault-delay-request-percentage": "0" } },
    expect: { status: 200, log: /^- via_upstream/ },
  },
  {
    name: "fault-of-node",
    filters: [
      filter("fault", "HTTPFault", { abort: { httpStatus: 503, percentage: FULL }, downstreamNodes: ["a", "b"] }),
    ],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-envoy-downstream-service-node": "b" } },
    expect: { status: 503 },
  },
  {
    name: "fault-of-other-node",
    filters: [
      filter("fault", "HTTPFault", { abort: { httpStatus: 503, percentage: FULL }, downstreamNodes: ["a", "b"] }),
    ],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-envoy-downstream-service-node": "c" } },
    expect: { status: 200 },
  },
];

function cors(policy: Json): Json {
  return {
    typedPerFilterConfig: {
      "envoy.filters.http.cors": {
        "@type": `${HTTP}.cors.v3.CorsPolicy`,
        allowOriginStringMatch: [{ exact: "https://good.test" }],
        ...policy,
      },
    },
  };
}

const OFF = { defaultValue: { numerator: 0 } };
const ON = { defaultValue: FULL };
const GOOD = { origin: "https://good.test" };

const origins: readonly WalkCase[] = [
  {
    name: "cors-private-network",
    filters: [filter("cors", "Cors", {})],
    routes: [toOrigin(ANY)],
    host: cors({ allowPrivateNetworkAccess: true }),
    call: {
      method: "OPTIONS",
      headers: { ...GOOD, "access-control-request-method": "PUT", "access-control-request-private-network": "true" },
    },
    expect: { status: 200, headers: { "access-control-allow-private-network": "true" }, origin: null },
  },
  {
    name: "cors-private-network-not-asked",
    filters: [filter("cors", "Cors", {})],
    routes: [toOrigin(ANY)],
    host: cors({ allowPrivateNetworkAccess: true }),
    call: { method: "OPTIONS", headers: { ...GOOD, "access-control-request-method": "PUT" } },
    expect: { status: 200, headers: { "access-control-allow-private-network": null }, origin: null },
  },
  {
    name: "cors-private-network-forbidden",
    filters: [filter("cors", "Cors", {})],
    routes: [toOrigin(ANY)],
    host: cors({ allowPrivateNetworkAccess: false }),
    call: {
      method: "OPTIONS",
      headers: { ...GOOD, "access-control-request-method": "PUT", "access-control-request-private-network": "true" },
    },
    expect: { status: 200, headers: { "access-control-allow-private-network": null }, origin: null },
  },
  {
    name: "cors-shadow",
    filters: [filter("cors", "Cors", {})],
    routes: [toOrigin(ANY)],
    host: cors({ filterEnabled: OFF, shadowEnabled: ON }),
    call: { headers: GOOD },
    expect: {
      status: 200,
      headers: { "access-control-allow-origin": null },
      stats: { "http.cors-shadow.cors.origin_valid": 1, "http.cors-shadow.cors.origin_invalid": 0 },
    },
  },
  {
    name: "cors-off",
    filters: [filter("cors", "Cors", {})],
    routes: [toOrigin(ANY)],
    host: cors({ filterEnabled: OFF }),
    call: { headers: GOOD },
    expect: {
      status: 200,
      headers: { "access-control-allow-origin": null },
      stats: { "http.cors-off.cors.origin_valid": 0 },
    },
  },
  {
    name: "cors-preflight-without-methods",
    filters: [filter("cors", "Cors", {})],
    routes: [toOrigin(ANY)],
    host: cors({ forwardNotMatchingPreflights: false }),
    call: { method: "OPTIONS", headers: { origin: "https://bad.test", "access-control-request-method": "PUT" } },
    expect: {
      status: 200,
      headers: { "access-control-allow-origin": null },
      origin: null,
      stats: { "http.cors-preflight-without-methods.cors.origin_invalid": 1 },
    },
  },
];

export const policyCases: readonly WalkCase[] = [...rbac, ...fault, ...origins];
