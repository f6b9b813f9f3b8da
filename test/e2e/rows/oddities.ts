// What the post promises and a mesh does not do by itself: merged rules, losers of a conflict, references to nothing.

import assert from "node:assert/strict";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { caller } from "../own.ts";
import { eventually } from "../process.ts";
import type { Row, Walk } from "../row.ts";
import { ask } from "../traffic.ts";

const API = "outbound|8080||api.production.svc.cluster.local";
const ECHO = "outbound|8080||echo.production.svc.cluster.local";
const UNSET = 4294967295;

export const ODDITIES: readonly Row[] = [
  {
    name: "rules api and api-circuit-breaker for one host are merged field by field",
    run: async (walk) => {
      const [api, v2] = [await clusterConfig(walk, API), await clusterConfig(walk, API.replace("||", "|v2|"))];
      for (const config of [api, v2]) {
        assert.deepEqual(thresholds(config), { max_connections: 100, max_pending_requests: 100, max_requests: 1000 });
        assert.ok(isRecord(config["outlier_detection"]), "the circuit breaker's outlier detection reached the proxy");
      }
      assert.match(JSON.stringify(api), /"max_requests_per_connection":2\b/);
      await clusterConfig(walk, API.replace("||", "|default|"));
    },
  },
  { name: "of a real conflict the older rule wins, and the loser says so", run: conflict },
  {
    name: "the wildcard rule is replaced, not inherited, where a more specific host has a rule",
    run: async (walk) => {
      assert.deepEqual(thresholds(await clusterConfig(walk, ECHO)), {
        max_connections: 1000,
        max_pending_requests: 1000,
        max_requests: UNSET,
      });
      assert.equal(thresholds(await clusterConfig(walk, API))["max_connections"], 100);
    },
  },
  {
    name: "defaults that clients of Istio rely on",
    run: async (walk) => {
      const config = await clusterConfig(walk, "outbound|8080||frontend.production.svc.cluster.local");
      assert.equal(config["connect_timeout"], "10s");
      assert.match(JSON.stringify(config), /LEAST_REQUEST|least_request/);
      const bare = await clusterConfig(walk, "outbound|8081||api-health.production.svc.cluster.local");
      assert.equal(thresholds(bare)["max_requests"], UNSET);
      const dump = await walk.cluster.admin(
        "production",
        await walk.cluster.pod("production", "app=frontend"),
        "/config_dump",
      );
      assert.match(dump, /"normalize_path": ?true/);
    },
  },
  { name: "a host that is not there: 503 with a cause, and a condition", run: (walk) => nowhere(walk, "host") },
  { name: "a subset that is not there: 503 with a cause, and a condition", run: (walk) => nowhere(walk, "subset") },
  {
    name: "broken YAML, an unknown field and a wrong type are refused with their place",
    run: badManifests,
  },
];

async function clusterConfig({ cluster }: Walk, name: string): Promise<Readonly<Record<string, unknown>>> {
  const pod = await cluster.pod("production", "app=frontend");
  const parsed = parseJson(await cluster.admin("production", pod, "/config_dump"));
  assert.ok(parsed.ok, "config_dump is JSON");
  const found = find(
    parsed.value,
    (value) => value["name"] === name && (value["connect_timeout"] !== undefined || value["type"] !== undefined),
  );
  assert.ok(found !== undefined, `config_dump has the cluster ${name}`);
  return found;
}

function find(
  value: unknown,
  wanted: (candidate: Readonly<Record<string, unknown>>) => boolean,
): Readonly<Record<string, unknown>> | undefined {
  if (Array.isArray(value)) {
    for (const item of value) {
      const found = find(item, wanted);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (!isRecord(value)) return undefined;
  return wanted(value) ? value : find(Object.values(value), wanted);
}

function thresholds(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const breakers = config["circuit_breakers"];
  const list = isRecord(breakers) && Array.isArray(breakers["thresholds"]) ? breakers["thresholds"] : [];
  const first: unknown = list[0];
  if (!isRecord(first)) return {};
  const { max_connections, max_pending_requests, max_requests } = first;
  return { max_connections, max_pending_requests, max_requests };
}

async function conflict(walk: Walk): Promise<void> {
  const { cluster } = walk;
  const spec = { host: "api", trafficPolicy: { connectionPool: { http: { http1MaxPendingRequests: 7 } } } };
  await cluster.apply(
    `${JSON.stringify({ apiVersion: "networking.istio.io/v1", kind: "DestinationRule", metadata: { name: "late", namespace: "production" }, spec })}\n`,
  );
  try {
    await condition(
      walk,
      "destinationrule",
      "late",
      /http1MaxPendingRequests|conflict|api-circuit-breaker|overridden/i,
    );
    assert.equal(thresholds(await clusterConfig(walk, API))["max_pending_requests"], 100);
  } finally {
    await cluster.kubectlOk(["delete", "destinationrule", "late", "-n", "production"]);
  }
}

async function nowhere(walk: Walk, what: "host" | "subset"): Promise<void> {
  const { cluster } = walk;
  const destination = what === "host" ? { host: "missing" } : { host: "echo", subset: "missing" };
  const spec = {
    hosts: ["echo"],
    http: [
      { match: [{ uri: { prefix: "/nowhere" } }], route: [{ destination }] },
      { route: [{ destination: { host: "echo" } }] },
    ],
  };
  await cluster.apply(
    `${JSON.stringify({ apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: { name: "echo", namespace: "production" }, spec })}\n`,
  );
  try {
    const from = await caller(cluster, "frontend");
    const url = "http://echo.production.svc.cluster.local:8080/nowhere";
    const answer = await eventually("503 with a cause", 10_000, async () => {
      const seen = await ask(cluster, from, { url });
      return seen.status === 503 ? seen : JSON.stringify(seen);
    });
    assert.match(answer.cause ?? "", /missing|VirtualService production\/echo/, JSON.stringify(answer));
    await condition(walk, "virtualservice", "echo", /missing/);
    assert.equal(
      (await ask(cluster, from, { url: url.replace("nowhere", "here") })).status,
      200,
      "the other route goes on",
    );
  } finally {
    await cluster.kubectlOk(["delete", "virtualservice", "echo", "-n", "production"]);
  }
}

async function condition({ cluster }: Walk, kind: string, name: string, pattern: RegExp): Promise<void> {
  await eventually(`a condition of ${kind} ${name}`, 10_000, async () => {
    const out = await cluster.kubectlOk(["get", kind, name, "-n", "production", "-o", "jsonpath={.status.conditions}"]);
    return pattern.test(out) ? true : `status.conditions: ${out}`;
  });
}

async function badManifests({ cluster }: Walk): Promise<void> {
  const rule = (spec: unknown): string =>
    JSON.stringify({
      apiVersion: "networking.istio.io/v1",
      kind: "DestinationRule",
      metadata: { name: "bad", namespace: "production" },
      spec,
    });
  const refused: readonly (readonly [string, RegExp])[] = [
    ["kind: [unclosed\napiVersion: v1\n", /yaml|YAML/],
    [
      rule({ host: "api", trafficPolicy: { connectionPool: { tcp: { maxConnection: 1 } } } }),
      /unknown field "spec\.trafficPolicy\.connectionPool\.tcp\.maxConnection"/,
    ],
    [
      rule({ host: "api", trafficPolicy: { connectionPool: { tcp: { maxConnections: "many" } } } }),
      /spec\.trafficPolicy\.connectionPool\.tcp\.maxConnections/,
    ],
    [rule({ trafficPolicy: {} }), /spec\.host/],
    [
      JSON.stringify({
        apiVersion: "v1",
        kind: "Service",
        metadata: { name: "bad", namespace: "production" },
        spec: { ports: [{ port: 1, targetport: 2 }] },
      }),
      /unknown field "spec\.ports\[0\]\.targetport"/,
    ],
  ];
  for (const [yaml, reason] of refused) {
    const outcome = await cluster.kubectl(["apply", "-f", "-"], { input: `${yaml}\n` });
    assert.notEqual(outcome.code, 0, `accepted: ${yaml}`);
    assert.match(outcome.stderr, reason);
  }
  assert.equal(
    (await cluster.kubectl(["get", "destinationrule", "bad", "-n", "production"])).code,
    1,
    "nothing of it was stored",
  );
}
