// What access rules come to for one connection decides every request as the whole set does.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { RBAC } from "../../../src/proto/gen/envoy/config/rbac/v3/rbac.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { compileRules, type Subject } from "../../../src/proxy/compile/rbac.ts";

const NAMES = ["spiffe://td/ns/a/sa/x", "spiffe://td/ns/a/sa/y", "spiffe://td/ns/b/sa/x"];
const name = fc.constantFrom(...NAMES);
const leaf = fc.oneof(
  fc.constant({ any: true }),
  name.map((exact) => ({ authenticated: { principalName: { exact } } })),
  fc.constantFrom("10.0.0.0", "10.1.0.0").map((addressPrefix) => ({
    directRemoteIp: { addressPrefix, prefixLen: 16 },
  })),
  fc.constantFrom("10.0.0.0", "10.1.0.0").map((addressPrefix) => ({ remoteIp: { addressPrefix, prefixLen: 16 } })),
  fc.constantFrom("a", "b").map((exact) => ({ header: { name: "x-kind", stringMatch: { exact } } })),
);
const { principal } = fc.letrec<{ principal: object }>((tie) => ({
  principal: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("principal"), { minLength: 1, maxLength: 3 }).map((ids) => ({ andIds: { ids } })),
    fc.array(tie("principal"), { minLength: 1, maxLength: 3 }).map((ids) => ({ orIds: { ids } })),
    tie("principal").map((notId) => ({ notId })),
  ),
}));
const permission = fc.oneof(
  fc.constant({ any: true }),
  fc.constantFrom("/a", "/b").map((prefix) => ({ urlPath: { path: { prefix } } })),
);
const policy = fc.record({
  permissions: fc.array(permission, { minLength: 1, maxLength: 2 }),
  principals: fc.array(principal, { minLength: 1, maxLength: 3 }),
});
const rules = fc.array(policy, { maxLength: 6 }).map((all) => ({
  action: "ALLOW",
  policies: Object.fromEntries(all.map((one, index) => [`p${index}`, one])),
}));
const connection = fc.record({
  principals: fc.array(name, { maxLength: 2 }),
  directRemoteIp: fc.constantFrom("10.0.0.1", "10.1.0.1", "10.2.0.1"),
});
const request = fc.record({
  path: fc.constantFrom("/a/1", "/b", "/c"),
  kind: fc.constantFrom("a", "b", undefined),
  remoteIp: fc.constantFrom("10.0.0.1", "10.1.0.1"),
});

test("narrowed rules and whole ones name the same policy, for every request of the connection", () => {
  fc.assert(
    fc.property(rules, connection, fc.array(request, { minLength: 1, maxLength: 5 }), (json, from, requests) => {
      const field = Field.root("rules", "test");
      const compiled = compileRules(RBAC.fromJSON(json), field);
      assert.deepEqual(field.refusals, []);
      const subjects = requests.map(
        ({ path, kind, remoteIp }): Subject => ({
          headers: { get: (wanted) => (wanted === "x-kind" ? kind : undefined) },
          path,
          principals: from.principals,
          authenticated: from.principals.length > 0,
          directRemoteIp: from.directRemoteIp,
          remoteIp,
          destinationIp: "10.9.0.1",
          destinationPort: 80,
          serverName: "",
          metadata: () => undefined,
          routeMetadata: () => undefined,
          narrowed: (all) => all.match,
        }),
      );
      const [first] = subjects;
      assert.ok(first !== undefined);
      const narrowed = compiled.narrow(first);
      for (const subject of subjects) assert.equal(narrowed(subject), compiled.match(subject));
    }),
    { numRuns: 500 },
  );
});
