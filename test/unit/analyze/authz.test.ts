// What `authz explain` says of a call is what the proxy's own rules do with it, for random policies and calls; and why, in words.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { decide } from "../../../src/analyze/authz.ts";
import type { AuthzCall } from "../../../src/analyze/authz-clause.ts";
import type { AuthorizationPolicy } from "../../../src/api/istio/authorization-policy.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { RBAC as HttpRbac } from "../../../src/proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { RBAC as TcpRbac } from "../../../src/proto/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileRules, type Subject } from "../../../src/proxy/compile/rbac.ts";
import { httpRbacFilters, tcpRbacFilters } from "../../../src/translate/rbac.ts";

const mesh = { ...defaultMeshConfig, trustDomainAliases: ["old"] };

const CALL: AuthzCall = {
  protocol: "http",
  principal: "cluster.local/ns/shop/sa/frontend",
  sourceIp: "10.0.0.1",
  remoteIp: "10.1.0.1",
  destinationIp: "10.9.0.1",
  port: 8080,
  serverName: "",
  method: "GET",
  path: "/api/items?page=1",
  host: "api.shop:8080",
  headers: { "x-kind": "a" },
  claims: undefined,
};

const some = (...values: readonly string[]) =>
  fc.option(fc.subarray([...values], { minLength: 1, maxLength: Math.min(2, values.length) }), {
    nil: undefined,
    freq: 3,
  });

function defined(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

const PRINCIPALS = ["cluster.local/ns/shop/sa/frontend", "old/ns/shop/sa/*", "*/sa/jobs", "*", "other/ns/x/sa/y"];
const BLOCKS = ["10.0.0.0/16", "10.1.0.1", "2001:db8::/32"];
const REQUEST = ["https://i/ada", "https://i/*", "*/bob", "*", "https://i/ad*"];
const source = fc
  .record({
    principals: some(...PRINCIPALS),
    notPrincipals: some(...PRINCIPALS),
    requestPrincipals: some(...REQUEST),
    notRequestPrincipals: some(...REQUEST),
    namespaces: some("shop", "sh*", "other", "*p"),
    notNamespaces: some("other", "*op"),
    ipBlocks: some(...BLOCKS),
    notIpBlocks: some(...BLOCKS),
    remoteIpBlocks: some(...BLOCKS),
    trustDomains: some("cluster.local", "*", "old"),
  })
  .map(defined);
const operation = fc
  .record({
    hosts: some("api.shop:8080", "API.*", "*.shop", "*"),
    notHosts: some("*:8080", "admin*"),
    methods: some("GET", "POST", "*"),
    paths: some("/api/*", "/api/{*}", "/{**}", "/api/{**}/end", "/x", "*items"),
    notPaths: some("/admin/*", "/api/items"),
    ports: some("8080", "9090"),
    notPorts: some("9090"),
  })
  .map(defined);
const when = fc.oneof(
  fc.record({ key: fc.constant("request.headers[X-Kind]"), values: fc.constantFrom(["a"], ["*"], ["b", "c*"]) }),
  fc.record({ key: fc.constant("request.auth.claims[groups]"), values: fc.constantFrom(["admin"], ["ad*"]) }),
  fc.record({ key: fc.constant("request.auth.claims[org][name]"), notValues: fc.constantFrom(["acme"]) }),
  fc.record({ key: fc.constant("source.serviceAccount"), values: fc.constantFrom(["frontend"], ["shop/frontend"]) }),
  fc.record({ key: fc.constant("destination.port"), notValues: fc.constantFrom(["8080"], ["9090"]) }),
);
const rule = fc
  .record({
    from: fc.option(
      fc.array(
        source.map((each) => ({ source: each })),
        { minLength: 1, maxLength: 2 },
      ),
      { nil: undefined },
    ),
    to: fc.option(
      fc.array(
        operation.map((each) => ({ operation: each })),
        { minLength: 1, maxLength: 2 },
      ),
      {
        nil: undefined,
      },
    ),
    when: fc.option(fc.array(when, { maxLength: 2 }), { nil: undefined }),
  })
  .map(defined);
const policies = fc.array(
  fc.record({ action: fc.constantFrom("ALLOW" as const, "DENY" as const), rules: fc.array(rule, { maxLength: 2 }) }),
  { maxLength: 3 },
);
const calls = fc.record({
  protocol: fc.constantFrom("http" as const, "tcp" as const),
  principal: fc.constantFrom(CALL.principal, "old/ns/shop/sa/jobs", "other/ns/x/sa/y", undefined),
  sourceIp: fc.constantFrom("10.0.0.1", "10.1.0.1", "2001:db8::7"),
  remoteIp: fc.constantFrom("10.0.0.9", "10.1.0.1"),
  port: fc.constantFrom(8080, 9090),
  method: fc.constantFrom("GET", "POST"),
  path: fc.constantFrom("/api/items?page=1", "/api/a/b/end", "/admin/x", "/api/", "/x"),
  host: fc.constantFrom("api.shop:8080", "API.shop", "admin.shop"),
  headers: fc.constantFrom({ "x-kind": "a" }, {}),
  claims: fc.constantFrom(
    undefined,
    { iss: "https://i", sub: "ada", groups: ["admin", "dev"], org: { name: "acme" } },
    { iss: "https://i", sub: "bob", groups: "admin" },
  ),
});

function named(spec: object, i: number): AuthorizationPolicy {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { namespace: "shop", name: `p${i}` },
    spec,
  };
}

function subjectOf(call: AuthzCall): Subject {
  const http = call.protocol === "http";
  const pseudo = { ":authority": call.host, ":method": call.method, ":path": call.path };
  const headers: Readonly<Record<string, string>> = { ...call.headers, ...pseudo };
  return {
    headers: http ? { get: (name) => headers[name] } : undefined,
    path: http ? (call.path.split("?")[0] ?? "") : "",
    principals: call.principal === undefined ? [] : [`spiffe://${call.principal}`],
    authenticated: call.principal !== undefined,
    directRemoteIp: call.sourceIp ?? "",
    remoteIp: call.remoteIp ?? "",
    destinationIp: call.destinationIp ?? "",
    destinationPort: call.port,
    serverName: call.serverName ?? "",
    metadata: (namespace) =>
      namespace === "envoy.filters.http.jwt_authn" && call.claims !== undefined ? { payload: call.claims } : undefined,
    routeMetadata: () => undefined,
    narrowed: (rules) => rules.match,
  };
}

/** As the proxy does it: each filter in turn may refuse. */
function enforced(list: readonly AuthorizationPolicy[], call: AuthzCall): "allowed" | "denied" {
  const target = { mesh, servedPort: undefined } as const;
  const rules =
    call.protocol === "http"
      ? httpRbacFilters(list, target).map(({ configType }) =>
          configType?.$case === "typedConfig" ? HttpRbac.decode(configType.value.value).rules : undefined,
        )
      : tcpRbacFilters(list, target).map(({ configType }) =>
          configType?.$case === "typedConfig" ? TcpRbac.decode(configType.value.value).rules : undefined,
        );
  const subject = subjectOf(call);
  for (const each of rules) {
    if (each === undefined) continue;
    const compiled = compileRules(each, Field.root("rules", "test"));
    const matched = compiled.match(subject) !== undefined;
    if (matched === (compiled.action === "deny")) return "denied";
  }
  return "allowed";
}

describe("what a policy says of a call", () => {
  it("is what the proxy does with it", () => {
    fc.assert(
      fc.property(policies, calls, (specs, some) => {
        const call: AuthzCall = { ...CALL, ...some };
        const list = specs.map(named);
        assert.equal(decide(list, call, mesh).outcome, enforced(list, call));
      }),
      { numRuns: 2_000 },
    );
  });

  it("names the first field that fails, with what it was and what the rule wants", () => {
    const policy = named(
      {
        rules: [
          { from: [{ source: { principals: ["cluster.local/ns/shop/sa/jobs"] } }] },
          {
            from: [{ source: { namespaces: ["shop"] } }],
            to: [{ operation: { methods: ["POST"], paths: ["/api/*"] } }],
          },
        ],
      },
      1,
    );
    const { outcome, reason } = decide([policy], CALL, mesh);
    assert.equal(outcome, "denied");
    assert.equal(
      reason,
      "no ALLOW policy matches: AuthorizationPolicy shop/p1: " +
        "spec.rules[0].from[0].source.principals was cluster.local/ns/shop/sa/frontend, the rule wants cluster.local/ns/shop/sa/jobs, " +
        "spec.rules[1].to[0].operation.methods was GET, the rule wants POST",
    );
  });

  it("names the alternative that got furthest", () => {
    const policy = named(
      {
        rules: [
          {
            to: [
              { operation: { methods: ["POST"], paths: ["/x"] } },
              { operation: { methods: ["GET"], paths: ["/y"] } },
            ],
          },
        ],
      },
      1,
    );
    const [verdict] = decide([policy], CALL, mesh).policies;
    const [failed] = verdict?.rules ?? [];
    assert.ok(failed?.matches === false);
    assert.equal(failed.field, "to[1].operation.paths");
  });

  it("is to be asked of an authorizer that MeshConfig defines, and no where it doesn't", () => {
    const policy = named({ action: "CUSTOM", provider: { name: "ext" }, rules: [{}] }, 1);
    assert.match(decide([policy], CALL, mesh).reason, /can't be asked/);
    const settings = { extensionProviders: [{ name: "ext", envoyExtAuthzHttp: { service: "authz.shop", port: 80 } }] };
    const { outcome, reason } = decide([policy], CALL, { ...mesh, settings });
    assert.equal(outcome, "ask");
    assert.match(reason, /authorizer "ext" decides/);
  });

  it("is not changed by a dry run, which is told all the same", () => {
    const policy = named({ action: "DENY", rules: [{}] }, 1);
    const dry = { ...policy, metadata: { ...policy.metadata, annotations: { "istio.io/dry-run": "true" } } };
    const decision = decide([dry], CALL, mesh);
    assert.equal(decision.outcome, "allowed");
    assert.deepEqual(
      decision.policies.map(({ dryRun, matches }) => ({ dryRun, matches })),
      [{ dryRun: true, matches: true }],
    );
  });
});
