// Why a request is refused: the first field of each policy that did not match, in the words of the policy.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { RBAC as HttpRbac } from "../../../src/proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import type { Subject } from "../../../src/proxy/compile/rbac.ts";
import { compileRbac } from "../../../src/proxy/compile/rbac-filter.ts";
import { httpRbacFilters } from "../../../src/translate/rbac.ts";
import { snapshotOf } from "../translate/mesh.ts";

const HEADERS: Readonly<Record<string, string>> = { ":method": "POST", ":authority": "api:80", "x-kind": "a" };
const CLAIMS = { payload: { iss: "https://issuer", sub: "ada", groups: ["dev"] } };

function subjectOf(change: Partial<Subject> = {}): Subject {
  const subject: Subject = {
    headers: { get: (name) => HEADERS[name] },
    path: "/api/items",
    principals: ["spiffe://cluster.local/ns/production/sa/jobs"],
    authenticated: true,
    directRemoteIp: "10.1.2.3",
    remoteIp: "192.0.2.7",
    destinationIp: "10.2.0.1",
    destinationPort: 8080,
    serverName: "outbound_.80_._.api",
    metadata: (filter) => (filter === "envoy.filters.http.jwt_authn" ? CLAIMS : undefined),
    narrowed: (rules) => rules.match,
    routeMetadata: () => undefined,
    ...change,
  };
  return subject;
}

function missesOf(rules: string, change: Partial<Subject> = {}): readonly string[] {
  const text = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: foo}
spec: {rules: ${rules}}`;
  const policies = [...snapshotOf(text).resources.authorizationPolicies.values()];
  const target = { mesh: defaultMeshConfig, servedPort: undefined } as const;
  const config = httpRbacFilters(policies, target)[0]?.configType;
  assert.ok(config?.$case === "typedConfig");
  const field = Field.root("test", "rbac");
  const { explain } = compileRbac(HttpRbac.decode(config.value.value), field);
  assert.deepEqual(field.refusals, []);
  const found = explain?.(subjectOf(change));
  assert.ok(found !== undefined);
  return [
    ...found.misses.map(({ field: name, was, wants }) => `${name}|${was}|${wants}`),
    ...(found.more === 0 ? [] : [`${found.more} more`]),
  ];
}

const ROWS: readonly (readonly [rules: string, miss: string])[] = [
  [
    "[{from: [{source: {principals: [cluster.local/ns/a/sa/b, cluster.local/ns/a/sa/c]}}]}]",
    "source.principal|cluster.local/ns/production/sa/jobs|cluster.local/ns/a/sa/b, cluster.local/ns/a/sa/c",
  ],
  ['[{from: [{source: {principals: ["*/sa/b"]}}]}]', "source.principal|cluster.local/ns/production/sa/jobs|*/sa/b"],
  ['[{from: [{source: {namespaces: [a, "b-*"]}}]}]', "source.namespace|production|a, b-*"],
  ["[{from: [{source: {notNamespaces: [production]}}]}]", "source.namespace|production|none of production"],
  [
    "[{from: [{source: {serviceAccounts: [web]}}]}]",
    "source.serviceAccount|cluster.local/ns/production/sa/jobs|foo/web",
  ],
  ["[{from: [{source: {trustDomains: [other]}}]}]", "source.trustDomain|cluster.local|other"],
  ['[{from: [{source: {trustDomains: ["oth*"]}}]}]', "source.trustDomain|cluster.local|oth*"],
  ["[{from: [{source: {ipBlocks: [10.9.0.0/16]}}]}]", "source.ip|10.1.2.3|10.9.0.0/16"],
  ["[{from: [{source: {remoteIpBlocks: [10.9.0.1]}}]}]", "remote.ip|192.0.2.7|10.9.0.1/32"],
  ["[{from: [{source: {requestPrincipals: [https://issuer/bob]}}]}]", "request.auth.claims[sub]|ada|bob"],
  ["[{to: [{operation: {methods: [GET, HEAD]}}]}]", "method|POST|GET, HEAD"],
  ["[{to: [{operation: {hosts: [other]}}]}]", "host|api:80|other"],
  [
    '[{to: [{operation: {paths: ["/x/*", "/y/{*}/z", "/v/{**}/z.js"]}}]}]',
    "path|/api/items|/x/*, /y/{*}/z, /v/{**}/z.js",
  ],
  ['[{to: [{operation: {ports: ["9090"]}}]}]', "destination.port|8080|9090"],
  ['[{to: [{operation: {methods: [POST], notPaths: ["/api/*"]}}]}]', "path|/api/items|none of /api/*"],
  ['[{when: [{key: "request.headers[X-Kind]", values: [b]}]}]', "request.headers[x-kind]|a|b"],
  ['[{when: [{key: "request.headers[x-none]", values: ["*"]}]}]', "request.headers[x-none]|none|*"],
  ['[{when: [{key: "request.auth.claims[groups]", values: [ops]}]}]', 'request.auth.claims[groups]|["dev"]|ops'],
  ["[{when: [{key: connection.sni, values: [a.example]}]}]", "connection.sni|outbound_.80_._.api|a.example"],
  ["[{when: [{key: destination.ip, values: [10.3.0.0/16]}]}]", "destination.ip|10.2.0.1|10.3.0.0/16"],
];

describe("the field for which a rule does not match", () => {
  for (const [rules, miss] of ROWS) it(miss, () => assert.deepEqual(missesOf(rules), [miss]));

  it("is that of the alternative that got furthest", () => {
    const rules =
      "[{from: [{source: {namespaces: [a]}}, {source: {namespaces: [production], notIpBlocks: [10.1.0.0/16]}}]}]";
    assert.deepEqual(missesOf(rules), ["source.ip|10.1.2.3|none of 10.1.0.0/16"]);
  });

  it("says that a caller has no certificate, and no token", () => {
    const nobody = { principals: [], authenticated: false, metadata: () => undefined };
    assert.deepEqual(missesOf("[{from: [{source: {namespaces: [a]}}]}]", nobody), [
      "source.namespace|none (no mesh certificate)|a",
    ]);
    assert.deepEqual(missesOf('[{when: [{key: "request.auth.claims[a]", values: [b]}]}]', nobody), [
      "request.auth.claims[a]|none (no token)|b",
    ]);
  });

  it("is none where a policy has no rules", () => {
    assert.deepEqual(missesOf("[]"), ["||nothing: it has no rules"]);
  });

  it("is told of so many policies, and no value is told in full length", () => {
    const many = Array.from({ length: 11 }, () => "{to: [{operation: {methods: [GET]}}]}").join(", ");
    const told = missesOf(`[${many}]`);
    assert.equal(told.length, 9);
    assert.equal(told.at(-1), "3 more");
    const [long = ""] = missesOf("[{to: [{operation: {paths: [/x]}}]}]", { path: `/${"a".repeat(5000)}` });
    assert.ok(long.length < 200);
  });
});
