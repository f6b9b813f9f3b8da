// What HTTP filters and the connection manager do on the way.

import type { Json, WalkCase } from "./case.ts";
import { says, TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "/" };

const cors = {
  typedPerFilterConfig: {
    "envoy.filters.http.cors": {
      "@type": `${TYPE}.filters.http.cors.v3.CorsPolicy`,
      allowOriginStringMatch: [{ exact: "https://good.test" }],
      allowMethods: "GET,PUT",
      allowHeaders: "x-a",
      exposeHeaders: "x-b",
      maxAge: "600",
      allowCredentials: true,
    },
  },
};

function fault(config: Json): Json {
  return {
    typedPerFilterConfig: {
      "envoy.filters.http.fault": { "@type": `${TYPE}.filters.http.fault.v3.HTTPFault`, ...config },
    },
  };
}

function access(policy: Json, action: "ALLOW" | "DENY" = "ALLOW"): Json {
  return {
    typedPerFilterConfig: {
      "envoy.filters.http.rbac": {
        "@type": `${TYPE}.filters.http.rbac.v3.RBACPerRoute`,
        rbac: { rules: { action, policies: { "ns[a]-policy[b]-rule[0]": policy } } },
      },
    },
  };
}

const FULL = { numerator: 100, denominator: "HUNDRED" };
const EVERYBODY = [{ any: true }];
const preflight = (origin: string) => ({
  method: "OPTIONS",
  headers: { origin, "access-control-request-method": "PUT" },
});

export const filterCases: readonly WalkCase[] = [
  {
    name: "cors-preflight",
    routes: [toOrigin(ANY)],
    host: cors,
    call: preflight("https://good.test"),
    expect: {
      status: 200,
      body: "",
      headers: {
        "access-control-allow-origin": "https://good.test",
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "x-a",
        "access-control-max-age": "600",
        "access-control-allow-credentials": "true",
      },
      origin: null,
      log: /^- cors_response/,
    },
  },
  {
    name: "cors-foreign-preflight",
    routes: [toOrigin(ANY)],
    host: cors,
    call: preflight("https://bad.test"),
    expect: { status: 200, headers: { "access-control-allow-origin": null }, origin: { method: "OPTIONS" } },
  },
  {
    name: "cors-response",
    routes: [toOrigin(ANY)],
    host: cors,
    call: { headers: { origin: "https://good.test" } },
    expect: {
      status: 200,
      headers: {
        "access-control-allow-origin": "https://good.test",
        "access-control-expose-headers": "x-b",
        "access-control-allow-methods": null,
      },
    },
  },
  {
    name: "fault-abort",
    routes: [toOrigin(ANY)],
    host: fault({ abort: { httpStatus: 503, percentage: FULL } }),
    call: {},
    expect: { status: 503, body: "fault filter abort", origin: null, log: /^FI fault_filter_abort/ },
  },
  {
    name: "fault-abort-grpc",
    routes: [toOrigin(ANY)],
    host: fault({ abort: { grpcStatus: 14, percentage: FULL } }),
    call: { headers: { "content-type": "application/grpc" } },
    expect: {
      status: 200,
      body: "",
      headers: { "grpc-status": "14", "grpc-message": "fault filter abort", "content-type": "application/grpc" },
      origin: null,
      log: /^FI fault_filter_abort/,
    },
  },
  {
    name: "fault-abort-grpc-of-another",
    routes: [toOrigin(ANY)],
    host: fault({ abort: { grpcStatus: 14, percentage: FULL } }),
    call: {},
    expect: { status: 200, body: "fault filter abort", headers: { "grpc-status": null }, origin: null },
  },
  {
    name: "fault-grpc-by-header",
    routes: [toOrigin(ANY)],
    host: fault({ abort: { headerAbort: {}, percentage: FULL } }),
    call: { headers: { "content-type": "application/grpc+proto", "x-envoy-fault-abort-grpc-request": "5" } },
    expect: { status: 200, headers: { "grpc-status": "5" }, origin: null },
  },
  {
    name: "fault-none",
    routes: [toOrigin(ANY)],
    host: fault({ abort: { httpStatus: 503, percentage: { numerator: 0 } } }),
    call: {},
    expect: { status: 200 },
  },
  {
    name: "fault-delay",
    routes: [toOrigin(ANY)],
    host: fault({ delay: { fixedDelay: "0.02s", percentage: FULL } }),
    call: {},
    expect: { status: 200, log: /^DI via_upstream/ },
  },
  {
    name: "fault-by-header",
    routes: [toOrigin(ANY)],
    host: fault({ abort: { headerAbort: {}, percentage: FULL } }),
    call: { headers: { "x-envoy-fault-abort-request": "418" } },
    expect: { status: 418, log: /^FI fault_filter_abort/ },
  },
  {
    name: "fault-headers-unmatched",
    routes: [toOrigin(ANY)],
    host: fault({
      abort: { httpStatus: 503, percentage: FULL },
      headers: [{ name: "x-user", stringMatch: { exact: "jane" } }],
    }),
    call: { headers: { "x-user": "joe" } },
    expect: { status: 200 },
  },
  {
    name: "rbac-denied",
    routes: [toOrigin(ANY)],
    host: access({ permissions: [{ urlPath: { path: { prefix: "/open" } } }], principals: EVERYBODY }),
    call: { path: "/closed" },
    expect: {
      status: 403,
      body: "RBAC: access denied",
      origin: null,
      log: /^(UAEX|-) rbac_access_denied_matched_policy\[none\]/,
    },
  },
  {
    name: "rbac-allowed",
    routes: [toOrigin(ANY)],
    host: access({ permissions: [{ urlPath: { path: { prefix: "/open" } } }], principals: EVERYBODY }),
    call: { path: "/open?x" },
    expect: { status: 200 },
  },
  {
    name: "rbac-deny-policy-named",
    routes: [toOrigin(ANY)],
    host: access(
      { permissions: [{ header: { name: ":method", stringMatch: { exact: "DELETE" } } }], principals: EVERYBODY },
      "DENY",
    ),
    call: { method: "DELETE" },
    expect: { status: 403, log: /rbac_access_denied_matched_policy\[ns\[a\]-policy\[b\]-rule\[0\]\]/ },
  },
  {
    name: "rbac-source-ip-is-the-connection",
    routes: [toOrigin(ANY)],
    host: access({
      permissions: [{ any: true }],
      principals: [{ sourceIp: { addressPrefix: "127.0.0.0", prefixLen: 8 } }],
    }),
    call: { headers: { "x-forwarded-for": "203.0.113.9" } },
    expect: { status: 200 },
  },
  {
    name: "rbac-remote-ip-follows-xff",
    routes: [toOrigin(ANY)],
    host: access({
      permissions: [{ any: true }],
      principals: [{ remoteIp: { addressPrefix: "203.0.113.0", prefixLen: 24 } }],
    }),
    call: { headers: { "x-forwarded-for": "203.0.113.9" } },
    expect: { status: 200 },
  },
  {
    name: "edge-forwarded-for",
    listener: "edge",
    routes: [toOrigin(ANY)],
    call: { headers: { "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https" } },
    expect: {
      status: 200,
      origin: {
        headers: {
          // Envoy writes its machine's address where the client's is a loopback one.
          "x-forwarded-for": /^203\.0\.113\.9,[0-9.]+$/,
          "x-forwarded-proto": "http",
          "x-envoy-internal": null,
        },
      },
    },
  },
  {
    name: "edge-normalised-path",
    listener: "edge",
    routes: [says({ path: "/a/c" }, "clean")],
    call: { path: "/a/./b/..//c" },
    expect: { status: 200, body: "clean" },
  },
  {
    name: "edge-underscore-refused",
    listener: "edge",
    routes: [toOrigin(ANY)],
    call: { headers: { with_underscore: "1" } },
    expect: { status: 400, origin: null },
  },
  {
    name: "bad-length",
    routes: [toOrigin(ANY)],
    call: { headers: { "content-length": "+1" } },
    expect: { status: 400, origin: null },
  },
];
