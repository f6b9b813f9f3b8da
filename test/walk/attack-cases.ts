// What somebody tries who wants in: headers that only proxies may set, headers and framing around a rule.

import type { Json, WalkCase } from "./case.ts";
import { TYPE, toOrigin } from "./route.ts";

const ANY = { prefix: "" };

function rules(action: "ALLOW" | "DENY", permission: Json, principal: Json = { any: true }): Json {
  return {
    typedPerFilterConfig: {
      "envoy.filters.http.rbac": {
        "@type": `${TYPE}.filters.http.rbac.v3.RBACPerRoute`,
        rbac: {
          rules: {
            action,
            policies: { "ns[foo]-policy[p]-rule[0]": { permissions: [permission], principals: [principal] } },
          },
        },
      },
    },
  };
}

const path = (kind: "exact" | "prefix", text: string): Json => ({ urlPath: { path: { [kind]: text } } });
const NO_ADMIN = rules("DENY", path("prefix", "/admin"));
const IS_ADMIN = { header: { name: "x-role", stringMatch: { exact: "admin" } } };
const NO_ROLE = rules("DENY", { any: true }, IS_ADMIN);
const ONLY_ROLE = rules("ALLOW", { any: true }, IS_ADMIN);
const fromBlock = (addressPrefix: string): Json =>
  rules("ALLOW", { any: true }, { remoteIp: { addressPrefix, prefixLen: 24 } });

/** Headers by which Envoy and Istio steer a request, and what the application must not be told by a stranger. */
const FORGED: Readonly<Record<string, string>> = {
  "x-forwarded-client-cert": "By=spiffe://cluster.local/ns/a/sa/b;URI=spiffe://cluster.local/ns/admin/sa/root",
  "x-envoy-internal": "true",
  "x-envoy-retry-on": "5xx",
  "x-envoy-retry-grpc-on": "cancelled",
  "x-envoy-max-retries": "100",
  "x-envoy-retriable-status-codes": "200",
  "x-envoy-retriable-header-names": "x",
  "x-envoy-upstream-rq-timeout-ms": "1",
  "x-envoy-upstream-rq-per-try-timeout-ms": "1",
  "x-envoy-upstream-rq-timeout-alt-response": "1",
  "x-envoy-upstream-alt-stat-name": "a",
  "x-envoy-expected-rq-timeout-ms": "1",
  "x-envoy-hedge-on-per-try-timeout": "true",
  "x-envoy-force-trace": "1",
  "x-envoy-ip-tags": "a",
  "x-envoy-original-url": "/admin",
  "x-envoy-decorator-operation": "a",
  "x-envoy-downstream-service-cluster": "a",
  "x-envoy-downstream-service-node": "a",
};

const forged: readonly WalkCase[] = Object.entries(FORGED).map(([name, value]) => ({
  name: `forged-${name}`,
  listener: "gateway",
  routes: [toOrigin(ANY)],
  call: { headers: { [name]: value } },
  // Envoy tells the application how long it may take; what a stranger says of it does not count.
  expect: {
    status: 200,
    origin: { headers: { [name]: name === "x-envoy-expected-rq-timeout-ms" ? /^15000$/ : null } },
  },
}));

const addresses: readonly WalkCase[] = [
  {
    name: "forged-address",
    listener: "gateway",
    routes: [toOrigin(ANY)],
    host: fromBlock("192.0.2.0"),
    call: { headers: { "x-forwarded-for": "192.0.2.1" } },
    expect: { status: 403, body: "RBAC: access denied", origin: null },
  },
  {
    name: "forged-external-address",
    listener: "gateway",
    routes: [toOrigin(ANY)],
    call: { headers: { "x-envoy-external-address": "192.0.2.1" } },
    expect: { status: 200, origin: { headers: { "x-envoy-external-address": "127.0.0.1" } } },
  },
  {
    name: "address-of-a-trusted-proxy",
    listener: "gatewayBehindOne",
    routes: [toOrigin(ANY)],
    host: fromBlock("192.0.2.0"),
    call: { headers: { "x-forwarded-for": "192.0.2.1" } },
    expect: { status: 200 },
  },
  {
    name: "forged-address-before-a-trusted-proxy",
    listener: "gatewayBehindOne",
    routes: [toOrigin(ANY)],
    host: fromBlock("192.0.2.0"),
    call: { headers: { "x-forwarded-for": "192.0.2.1, 198.51.100.1" } },
    expect: { status: 403, origin: null },
  },
  {
    name: "forged-certificate-from-an-application",
    listener: "outbound",
    routes: [toOrigin(ANY)],
    call: { headers: { "x-forwarded-client-cert": FORGED["x-forwarded-client-cert"] ?? "" } },
    expect: { status: 200, origin: { headers: { "x-forwarded-client-cert": null } } },
  },
  {
    name: "forged-certificate-over-plaintext",
    listener: "inbound",
    routes: [toOrigin(ANY)],
    call: { headers: { "x-forwarded-client-cert": FORGED["x-forwarded-client-cert"] ?? "" } },
    expect: { status: 200, origin: { headers: { "x-forwarded-client-cert": null } } },
  },
  {
    name: "a-stranger-is-not-told-of-rules",
    listener: "gateway",
    routes: [toOrigin(ANY)],
    host: fromBlock("192.0.2.0"),
    call: {},
    expect: { status: 403, headers: { "x-weft-cause": /^(?!.*192\.0\.2)/ } },
    differs: "Envoy has no such header",
  },
];

/** A request with these header lines, and what comes of it. */
function lines(name: string, host: Json, text: string, [status, differs]: readonly [number, string?]): WalkCase {
  return {
    name: `around-${name}`,
    listener: "inbound",
    routes: [toOrigin(ANY)],
    host,
    call: { raw: `GET / HTTP/1.1\r\nhost: around-${name}.test\r\n${text}\r\nconnection: close\r\n\r\n` },
    expect: { status, ...(status === 200 ? {} : { origin: null }) },
    ...(differs === undefined ? {} : { differs }),
  };
}

const headers: readonly WalkCase[] = [
  lines("name-case", NO_ROLE, "X-ROLE: admin", [403]),
  lines("padding", NO_ROLE, "x-role: \t admin \t", [403]),
  lines("second-line", NO_ROLE, "x-role: user\r\nX-Role: admin", [403]),
  lines("first-line", NO_ROLE, "x-role: admin\r\nx-role: user", [403]),
  lines("empty-line-first", NO_ROLE, "x-role:\r\nx-role: admin", [403]),
  lines("value-case", NO_ROLE, "x-role: Admin", [200]),
  lines("other-name", NO_ROLE, "x_role: admin", [200]),
  lines("folded", NO_ROLE, "x-role: user\r\n admin", [400, "Envoy joins folded lines"]),
  lines("space-before-colon", NO_ROLE, "x-role : admin", [400]),
  lines("zero-byte", NO_ROLE, "x-role: admin\0", [400]),
  lines("bare-return", NO_ROLE, "x-role: user\rx-role: admin", [400, "Envoy keeps it within the value"]),
  lines("allowed-by-one-line", ONLY_ROLE, "x-role: user\r\nx-role: admin", [200]),
  lines("allowed-by-none", ONLY_ROLE, "x-role: user, admin", [403]),
  lines("two-hosts", NO_ADMIN, "host: other.test", [400, "Envoy joins them to a host that nobody serves"]),
];

/** Bytes in one piece, and what is on the wire and at the origin. */
function smuggled(name: string, text: string, wire: RegExp, times: number): WalkCase {
  const host = `smuggled-${name}.test`;
  return {
    name: `smuggled-${name}`,
    listener: "inbound",
    routes: [toOrigin(ANY)],
    host: NO_ADMIN,
    call: { raw: text.replaceAll("HOST", host) },
    expect: {
      status: wire.source.includes("200") ? 200 : 400,
      wire,
      origin: times === 0 ? null : { path: "/ok", times },
    },
  };
}

const ADMIN = "GET /admin HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n";

const smuggling: readonly WalkCase[] = [
  smuggled("pipelined", `GET /ok HTTP/1.1\r\nhost: HOST\r\n\r\n${ADMIN}`, /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 /, 1),
  smuggled(
    "after-empty-body",
    `POST /ok HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n\r\n${ADMIN}`,
    /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 /,
    1,
  ),
  smuggled(
    "after-chunks",
    `POST /ok HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${ADMIN}`,
    /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 /,
    1,
  ),
  smuggled(
    "two-lengths",
    `POST /ok HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\ncontent-length: 5\r\n\r\n${ADMIN}`,
    /^HTTP\/1\.1 400 /,
    0,
  ),
  smuggled(
    "length-and-chunks",
    `POST /ok HTTP/1.1\r\nhost: HOST\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${ADMIN}`,
    /^HTTP\/1\.1 400 /,
    0,
  ),
  smuggled(
    "chunks-by-another-name",
    `POST /ok HTTP/1.1\r\nhost: HOST\r\ncontent-length: 6\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n${ADMIN}`,
    /^HTTP\/1\.1 400 /,
    0,
  ),
  smuggled(
    "version-in-path",
    "GET /ok HTTP/1.1 GET /admin HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n",
    /^HTTP\/1\.1 400 /,
    0,
  ),
];

export const attackCases: readonly WalkCase[] = [...forged, ...addresses, ...headers, ...smuggling];
