// What happens where several resources speak about the same thing: the rows of the seed's table, and precedence.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { effectivePolicy, findRule } from "../../../src/model/destination.ts";
import { modeOfPort, mtlsOf } from "../../../src/model/mtls.ts";
import type { MeshSnapshot } from "../../../src/model/snapshot.ts";
import { API_WORKLOADS, snapshotOf } from "../translate/mesh.ts";

const HOST = "api.production.svc.cluster.local";

function rule(name: string, age: string, spec: object, namespace = "production"): string {
  return JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name, namespace, creationTimestamp: age },
    spec,
  });
}

function snapshot(...documents: readonly string[]): MeshSnapshot {
  return snapshotOf([API_WORKLOADS, ...documents].join("\n---\n"));
}

function policyOf(from: MeshSnapshot, subset?: string) {
  const call = { clientNamespace: "production", serviceNamespace: "production", host: HOST };
  return effectivePolicy(findRule(from.destinations, call, from.mesh), subset, 8080);
}

const OLD = "2026-01-01T00:00:00Z";
const NEW = "2026-01-02T00:00:00Z";

describe("DestinationRules for one host", () => {
  const pool = {
    host: "api",
    trafficPolicy: { connectionPool: { http: { http1MaxPendingRequests: 100 } } },
    subsets: [{ name: "v1", labels: { version: "v1" } }],
  };
  const breaker = {
    host: HOST,
    trafficPolicy: { connectionPool: { tcp: { maxConnections: 5 } }, outlierDetection: { consecutive5xxErrors: 5 } },
    subsets: [{ name: "all", labels: { app: "api" } }],
  };

  it("are merged field by field, in either order of age", () => {
    for (const [a, b] of [
      [OLD, NEW],
      [NEW, OLD],
    ] as const) {
      const merged = snapshot(rule("api", a, pool), rule("api-circuit-breaker", b, breaker));
      const policy = policyOf(merged, "v1");
      assert.deepEqual(policy.connectionPool, { http: { http1MaxPendingRequests: 100 }, tcp: { maxConnections: 5 } });
      assert.equal(policy.outlierDetection?.consecutive5xxErrors, 5);
      assert.deepEqual(merged.findings, []);
    }
  });

  it("that contradict each other: the oldest wins, then the name, and the loser is told", () => {
    const loud = { ...breaker, trafficPolicy: { connectionPool: { http: { http1MaxPendingRequests: 7 } } } };
    const byAge = snapshot(rule("z", OLD, pool), rule("a", NEW, loud));
    assert.equal(policyOf(byAge).connectionPool?.http?.http1MaxPendingRequests, 100);
    assert.equal(byAge.findings[0]?.resource.name, "a");
    assert.equal(byAge.findings[0]?.path, "spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests");
    assert.match(byAge.findings[0]?.message ?? "", /DestinationRule production\/z/);
    const byName = snapshot(rule("z", OLD, pool), rule("a", OLD, loud));
    assert.equal(policyOf(byName).connectionPool?.http?.http1MaxPendingRequests, 7);
    assert.equal(byName.findings[0]?.resource.name, "z");
  });

  it("by a wildcard are replaced, not inherited, where a more specific one exists", () => {
    const wide = rule("services", OLD, {
      host: "*.production.svc.cluster.local",
      trafficPolicy: { tls: { mode: "ISTIO_MUTUAL" } },
    });
    assert.equal(policyOf(snapshot(wide)).tls?.mode, "ISTIO_MUTUAL");
    assert.equal(policyOf(snapshot(wide, rule("api", NEW, pool))).tls, undefined);
  });

  it("of the client's namespace come before those of the service's, and the root's last", () => {
    const of = (namespace: string, max: number) =>
      rule("r", OLD, { host: HOST, trafficPolicy: { connectionPool: { tcp: { maxConnections: max } } } }, namespace);
    const all = snapshot(of("client", 1), of("production", 2), of("istio-system", 3));
    const seen = (clientNamespace: string) => {
      const found = findRule(
        all.destinations,
        { clientNamespace, serviceNamespace: "production", host: HOST },
        all.mesh,
      );
      return found?.trafficPolicy?.connectionPool?.tcp?.maxConnections;
    };
    assert.deepEqual([seen("client"), seen("production"), seen("other")], [1, 2, 2]);
  });

  it("let a subset replace what it sets and a port both", () => {
    const spec = {
      host: "api",
      trafficPolicy: {
        loadBalancer: { simple: "RANDOM" },
        connectionPool: { tcp: { maxConnections: 1 } },
        portLevelSettings: [{ port: { number: 8080 }, connectionPool: { tcp: { maxConnections: 3 } } }],
      },
      subsets: [{ name: "v1", labels: { version: "v1" }, trafficPolicy: { loadBalancer: { simple: "ROUND_ROBIN" } } }],
    };
    const policy = policyOf(snapshot(rule("api", OLD, spec)), "v1");
    assert.equal(policy.loadBalancer?.simple, "ROUND_ROBIN");
    assert.equal(policy.connectionPool?.tcp?.maxConnections, 3);
  });
});

describe("VirtualServices", () => {
  const route = (name: string, age: string, destination: object) =>
    JSON.stringify({
      apiVersion: "networking.istio.io/v1",
      kind: "VirtualService",
      metadata: { name, namespace: "production", creationTimestamp: age },
      spec: { hosts: ["api"], http: [{ route: [{ destination }] }] },
    });

  it("for one host: the older one owns it and the other is told", () => {
    const both = snapshot(route("b", OLD, { host: "api" }), route("a", NEW, { host: "api" }));
    assert.equal(both.routes.find((each) => each.host === HOST)?.resource.name, "b");
    const [finding] = both.findings;
    assert.deepEqual([finding?.type, finding?.resource.name, finding?.path], ["conflict", "a", "spec.hosts[0]"]);
  });

  it("that lead nowhere are told which reference is missing", () => {
    const paths = (destination: object) =>
      snapshot(route("r", OLD, destination)).findings.map((finding) => finding.path);
    assert.deepEqual(paths({ host: "nobody" }), ["spec.http[0].route[0].destination.host"]);
    assert.deepEqual(paths({ host: "api", subset: "v9" }), ["spec.http[0].route[0].destination.subset"]);
    assert.deepEqual(paths({ host: "api", port: { number: 1 } }), ["spec.http[0].route[0].destination.port"]);
    assert.deepEqual(paths({ host: "api" }), []);
  });
});

describe("PeerAuthentication", () => {
  const policy = (name: string, namespace: string, spec: object) =>
    JSON.stringify({
      apiVersion: "security.istio.io/v1",
      kind: "PeerAuthentication",
      metadata: { name, namespace, creationTimestamp: OLD },
      spec,
    });
  const strict = { mtls: { mode: "STRICT" } };

  it("of the workload comes before the namespace's and the root's, and knows ports", () => {
    const all = snapshot(
      policy("root", "istio-system", strict),
      policy("ns", "production", { mtls: { mode: "DISABLE" } }),
      policy("own", "production", {
        selector: { matchLabels: { app: "api" } },
        mtls: { mode: "UNSET" },
        portLevelMtls: { "8081": { mode: "PERMISSIVE" } },
      }),
    );
    const modes = (namespace: string, app: string, port: number) =>
      modeOfPort(mtlsOf(all.mtls, { namespace, labels: { app } }, all.mesh), port).mode;
    assert.equal(modes("production", "api", 8080), "DISABLE");
    assert.equal(modes("production", "api", 8081), "PERMISSIVE");
    assert.equal(modes("production", "web", 8081), "DISABLE");
    assert.equal(modes("other", "web", 80), "STRICT");
    assert.equal(snapshot().mtls.size, 0);
  });
});
