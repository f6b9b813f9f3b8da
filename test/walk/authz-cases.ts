// Requests that somebody else decides about.

import type { Json, WalkCase } from "./case.ts";
import { says, TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };
const EXT = `${TYPE}.filters.http.ext_authz.v3`;

function authz(config: Json): Json {
  return {
    name: "envoy.filters.http.ext_authz",
    typedConfig: { "@type": `${EXT}.ExtAuthz`, transportApiVersion: "V3", ...config },
  };
}

const patterns = (...names: readonly string[]): Json => ({ patterns: names.map((exact) => ({ exact })) });

function overHttp(service: Json = {}, more: Json = {}): Json {
  return authz({
    httpService: {
      serverUri: { uri: "http://authz.test:80", cluster: "authz", timeout: "0.5s" },
      authorizationResponse: { allowedUpstreamHeaders: patterns("x-asked", "x-user") },
      ...service,
    },
    ...more,
  });
}

function overGrpc(more: Json = {}): Json {
  return authz({ grpcService: { envoyGrpc: { clusterName: "authz-grpc" }, timeout: "0.5s" }, ...more });
}

function perRoute(config: Json): Json {
  return {
    typedPerFilterConfig: { "envoy.filters.http.ext_authz": { "@type": `${EXT}.ExtAuthzPerRoute`, ...config } },
  };
}

const checkSettings = (settings: Json): Json => perRoute({ checkSettings: settings });

function mutate(mutations: Json): Json {
  return {
    name: "envoy.filters.http.header_mutation",
    typedConfig: { "@type": `${TYPE}.filters.http.header_mutation.v3.HeaderMutation`, mutations },
  };
}

const NOWHERE = {
  serverUri: { uri: "http://authz.test", cluster: "refusing", timeout: "0.5s" },
};

const http: readonly WalkCase[] = [
  {
    name: "authz-http-allowed",
    filters: [overHttp()],
    routes: [toOrigin(ANY)],
    call: { path: "/a?b", headers: { authorization: "Basic x", cookie: "c", "x-told-not": "1", "x-user": "forged" } },
    expect: {
      status: 200,
      headers: { "x-user": null },
      origin: {
        headers: { "x-asked": "GET /a?b authz-http-allowed.test authorization", "x-user": "jane", "x-why": null },
      },
      stats: { "http.authz-http-allowed.ext_authz.ok": 1, "http.authz-http-allowed.ext_authz.denied": 0 },
    },
  },
  {
    name: "authz-http-told",
    filters: [
      overHttp(
        {
          pathPrefix: "/prefix",
          authorizationRequest: { headersToAdd: [{ key: "x-told-always", value: "v" }] },
        },
        { allowedHeaders: patterns("x-told", "cookie"), disallowedHeaders: patterns("cookie") },
      ),
    ],
    routes: [toOrigin(ANY)],
    call: { method: "POST", path: "/a", body: "not told", headers: { "x-told": "1", cookie: "c", "x-told-not": "1" } },
    expect: {
      status: 200,
      origin: {
        body: "not told",
        headers: { "x-asked": "POST /prefix/a authz-http-told.test x-told,x-told-always" },
      },
    },
  },
  {
    name: "authz-http-denied",
    filters: [overHttp()],
    routes: [toOrigin(ANY)],
    call: { path: "/deny" },
    expect: {
      status: 401,
      body: "no",
      headers: { "x-why": "because", location: "/login", "x-user": "jane" },
      origin: null,
      log: "UAEX ext_authz_denied -",
      stats: { "http.authz-http-denied.ext_authz.denied": 1 },
    },
  },
  {
    name: "authz-http-denied-headers",
    filters: [overHttp({ authorizationResponse: { allowedClientHeaders: patterns("x-why") } })],
    routes: [toOrigin(ANY)],
    call: { path: "/deny" },
    expect: { status: 401, headers: { "x-why": "because", location: "/login", "x-user": null } },
  },
  {
    name: "authz-http-headers",
    filters: [
      overHttp({
        authorizationResponse: {
          allowedUpstreamHeadersToAppend: patterns("x-list"),
          allowedClientHeadersOnSuccess: patterns("x-why"),
          dynamicMetadataFromHeaders: patterns("x-user"),
        },
      }),
      mutate({
        requestMutations: [
          { append: { header: { key: "x-meta", value: "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:x-user)%" } } },
        ],
      }),
    ],
    routes: [toOrigin(ANY)],
    call: { headers: { "x-list": "a" } },
    expect: {
      status: 200,
      headers: { "x-why": "because" },
      origin: { headers: { "x-list": "a, b", "x-meta": "jane" } },
    },
  },
  {
    name: "authz-http-removes",
    filters: [overHttp()],
    routes: [toOrigin(ANY)],
    call: { path: "/remove", headers: { "x-gone": "1" } },
    expect: { status: 200, origin: { headers: { "x-gone": null, host: "authz-http-removes.test" } } },
  },
  {
    name: "authz-http-error",
    filters: [overHttp()],
    routes: [toOrigin(ANY)],
    call: { path: "/error" },
    expect: {
      status: 403,
      body: "",
      origin: null,
      log: "UAEX ext_authz_error -",
      stats: { "http.authz-http-error.ext_authz.error": 1 },
    },
  },
  {
    name: "authz-http-refused",
    filters: [overHttp(NOWHERE, { statusOnError: { code: "ServiceUnavailable" } })],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 503, body: "", origin: null, log: "UAEX ext_authz_error -" },
  },
  {
    name: "authz-http-slow",
    filters: [overHttp({ serverUri: { uri: "http://authz.test", cluster: "authz", timeout: "0.05s" } })],
    routes: [toOrigin(ANY)],
    call: { path: "/slow" },
    expect: { status: 403, origin: null, log: "UAEX ext_authz_error -" },
  },
  {
    name: "authz-failure-allowed",
    filters: [overHttp(NOWHERE, { failureModeAllow: true, failureModeAllowHeaderAdd: true })],
    routes: [toOrigin(ANY)],
    call: {},
    expect: {
      status: 200,
      origin: { headers: { "x-envoy-auth-failure-mode-allowed": "true" } },
      stats: {
        "http.authz-failure-allowed.ext_authz.failure_mode_allowed": 1,
        "http.authz-failure-allowed.ext_authz.error": 1,
      },
    },
  },
  {
    name: "authz-http-body",
    filters: [overHttp({}, { withRequestBody: { maxRequestBytes: 100 } })],
    routes: [toOrigin(ANY)],
    call: { method: "POST", body: "the whole body" },
    expect: {
      status: 200,
      origin: { body: "the whole body", headers: { "x-asked": "POST / authz-http-body.test  the whole body" } },
    },
  },
  {
    name: "authz-http-body-too-long",
    filters: [overHttp({}, { withRequestBody: { maxRequestBytes: 10 } })],
    routes: [toOrigin(ANY)],
    call: { method: "POST", body: "the whole body" },
    expect: { status: 413, body: "Payload Too Large", origin: null, log: "- request_payload_too_large -" },
  },
  {
    name: "authz-http-body-in-part",
    filters: [overHttp({}, { withRequestBody: { maxRequestBytes: 9, allowPartialMessage: true } })],
    routes: [toOrigin(ANY)],
    call: { method: "POST", body: "the whole body" },
    expect: {
      status: 200,
      origin: { body: "the whole body", headers: { "x-asked": "POST / authz-http-body-in-part.test  the whole" } },
    },
  },
  {
    name: "authz-off-for-route",
    filters: [overHttp()],
    routes: [toOrigin(ANY, {}, perRoute({ disabled: true }))],
    call: { path: "/deny" },
    expect: { status: 200 },
  },
  {
    name: "authz-body-off-for-route",
    filters: [overHttp({}, { withRequestBody: { maxRequestBytes: 100 } })],
    routes: [toOrigin(ANY, {}, checkSettings({ disableRequestBodyBuffering: true }))],
    call: { method: "POST", body: "the whole body" },
    expect: { status: 200, origin: { headers: { "x-asked": "POST / authz-body-off-for-route.test" } } },
  },
  {
    name: "authz-disabled",
    filters: [overHttp({}, { filterEnabled: { defaultValue: { numerator: 0 } } })],
    routes: [toOrigin(ANY)],
    call: { path: "/deny" },
    expect: { status: 200, stats: { "http.authz-disabled.ext_authz.disabled": 1 } },
  },
  {
    name: "authz-denied-at-disable",
    filters: [
      overHttp(
        {},
        {
          filterEnabled: { defaultValue: { numerator: 0 } },
          denyAtDisable: { defaultValue: true, runtimeKey: "k" },
        },
      ),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 403, origin: null, log: /ext_authz_error/ },
  },
  {
    name: "authz-chooses-route",
    filters: [overHttp({}, { clearRouteCache: true, statPrefix: "mine" })],
    routes: [
      says({ prefix: "/", headers: [{ name: "x-user", stringMatch: { exact: "jane" } }] }, "jane's"),
      says(ANY, "anybody's"),
    ],
    call: {},
    expect: { status: 200, body: "jane's", stats: { "http.authz-chooses-route.ext_authz.mine.ok": 1 } },
  },
];

const grpc: readonly WalkCase[] = [
  {
    name: "authz-grpc-allowed",
    filters: [
      overGrpc(),
      mutate({
        requestMutations: [
          { append: { header: { key: "x-meta", value: "%DYNAMIC_METADATA(envoy.filters.http.ext_authz:user)%" } } },
        ],
      }),
    ],
    routes: [toOrigin(ANY, {}, checkSettings({ contextExtensions: { where: "here" } }))],
    call: {
      path: "/a?b",
      headers: { "x-told": "1", "x-user": "forged", "x-list": "a", "x-list-two": "a", "x-absent": "a", "x-gone": "1" },
    },
    expect: {
      status: 200,
      headers: { "x-decided": "yes" },
      origin: {
        headers: {
          "x-asked": "GET /a?b authz-grpc-allowed.test :path,x-told where=here",
          "x-user": "jane",
          "x-list": "a,b",
          "x-list-none": null,
          "x-list-two": "b",
          "x-absent": "b",
          "x-gone": null,
          "x-meta": "jane",
        },
      },
      stats: { "http.authz-grpc-allowed.ext_authz.ok": 1 },
    },
  },
  {
    name: "authz-grpc-denied",
    filters: [overGrpc()],
    routes: [toOrigin(ANY)],
    call: { path: "/deny" },
    expect: {
      status: 402,
      body: "pay",
      headers: { "x-why": "because" },
      origin: null,
      log: "UAEX ext_authz_denied -",
    },
  },
  {
    name: "authz-grpc-denied-bare",
    filters: [overGrpc()],
    routes: [toOrigin(ANY)],
    call: { path: "/deny/bare" },
    expect: { status: 403, body: "", origin: null },
  },
  {
    name: "authz-grpc-error",
    filters: [overGrpc()],
    routes: [toOrigin(ANY)],
    call: { path: "/error" },
    expect: { status: 403, body: "", log: "UAEX ext_authz_error -" },
  },
  {
    name: "authz-grpc-slow",
    filters: [authz({ grpcService: { envoyGrpc: { clusterName: "authz-grpc" }, timeout: "0.05s" } })],
    routes: [toOrigin(ANY)],
    call: { path: "/slow" },
    expect: { status: 403, origin: null, log: "UAEX ext_authz_error -" },
  },
  {
    name: "authz-grpc-refused",
    filters: [
      authz({ grpcService: { envoyGrpc: { clusterName: "refusing" }, timeout: "0.5s" }, failureModeAllow: true }),
    ],
    routes: [toOrigin(ANY)],
    call: {},
    expect: { status: 200, origin: { headers: { "x-envoy-auth-failure-mode-allowed": null } } },
  },
  {
    name: "authz-grpc-body",
    filters: [overGrpc({ withRequestBody: { maxRequestBytes: 9, allowPartialMessage: true, packAsBytes: true } })],
    routes: [toOrigin(ANY)],
    call: { method: "POST", body: "the whole body" },
    expect: {
      status: 200,
      origin: {
        body: "the whole body",
        headers: { "x-asked": "POST / authz-grpc-body.test :path,x-envoy-auth-partial-body  the whole" },
      },
    },
  },
  {
    name: "authz-grpc-query",
    filters: [overGrpc()],
    routes: [toOrigin(ANY)],
    call: { path: "/query?gone=1&kept=2" },
    expect: { status: 200, origin: { path: "/query?added=1&kept=2" } },
  },
  {
    name: "authz-grpc-injects",
    filters: [overGrpc({ validateMutations: true })],
    routes: [toOrigin(ANY)],
    call: { path: "/bad" },
    expect: { status: 500, origin: null, stats: { "http.authz-grpc-injects.ext_authz.invalid": 1 } },
  },
];

export const authzCases: readonly WalkCase[] = [...http, ...grpc];
