// Circuit breaking: connection pools, outlier detection, and what the sidecar shows of them.

import assert from "node:assert/strict";
import { caller, deployment, documents, service } from "../own.ts";
import { eventually, run } from "../process.ts";
import type { Row, Walk } from "../row.ts";
import { allOk, send, tally } from "../traffic.ts";

const API = "http://api.production.svc.cluster.local:8080/api";
const FLAKY = "http://flaky.production.svc.cluster.local:8080/api";
const API_V2 = "outbound|8080|v2|api.production.svc.cluster.local";
// The post's rule, whole, for the walk's own host with an endpoint that refuses connections.
const OUTLIER = {
  consecutiveErrors: 5,
  interval: "30s",
  baseEjectionTime: "30s",
  maxEjectionPercent: 50,
  minRequestVolume: 10,
  consecutiveGatewayErrors: 5,
  splitExternalLocalOriginErrors: true,
  consecutiveConnectFailure: 5,
};
const EJECTED_S_MAX = 75;
const EJECTIONS = /^envoy_cluster_outlier_detection_ejections_enforced_consecutive_5xx\{[^}]*\} [1-9]/m;

export const BREAKING: readonly Row[] = [
  {
    name: "DestinationRule api-circuit-breaker applies as it stands, with a deprecation warning",
    sets: true,
    run: async ({ cluster, manifest }) => {
      const out = await cluster.apply(manifest("DestinationRule", "api-circuit-breaker").yaml);
      assert.match(out, /created/);
      assert.match(out, /Warning:.*consecutiveErrors/);
    },
  },
  {
    name: "two replicas of v2, and all requests go there",
    sets: true,
    run: async ({ cluster }) => {
      const http = [{ route: [{ destination: { host: "api", subset: "v2" } }] }];
      await cluster.kubectlOk([
        "patch",
        "virtualservice",
        "api",
        "-n",
        "production",
        "--type",
        "merge",
        "-p",
        JSON.stringify({ spec: { http } }),
      ]);
      await cluster.kubectlOk(["scale", "deployment/api-v2", "-n", "production", "--replicas=2"]);
      await cluster.deploymentReady("production", "api-v2");
      const from = await caller(cluster, "frontend");
      await eventually("both replicas serve", 20_000, async () => {
        const seen = tally(
          await send(cluster, from, { url: `${API}/x`, count: 40, concurrency: 2 }),
          ({ pod }) => pod ?? "none",
        );
        return Object.keys(seen).length === 2 && seen["none"] === undefined ? true : JSON.stringify(seen);
      });
    },
  },
  { name: "past 100 connections and 100 pending requests: 503 at once, with x-envoy-overloaded", run: overflow },
  {
    name: "the post's curl of localhost:15000/stats shows circuit breakers",
    run: async ({ cluster, command }) => {
      const out = await command(/stats \| grep circuit_breakers/, {
        pod: await cluster.pod("production", "app=frontend"),
      });
      assertBreakers(out);
    },
  },
  {
    name: "the admin interface shows circuit breakers by Envoy's names",
    run: async ({ cluster }) => {
      assertBreakers(await cluster.admin("production", await cluster.pod("production", "app=frontend"), "/stats"));
    },
  },
  { name: "5 errors eject an endpoint once it had its 10 requests, and it comes back", run: eject },
  { name: "never more than half is ejected", run: half },
  { name: "5 failed connects eject an endpoint", run: deaf },
  {
    name: "the post's curl of localhost:15000/clusters shows outliers",
    run: async ({ cluster, command }) => {
      const out = await command(/clusters \| grep outlier/, { pod: await cluster.pod("production", "app=frontend") });
      assert.match(out, /outlier/);
    },
  },
  {
    name: "the Prometheus names are there, on 15090 and 15020",
    run: async ({ cluster }) => {
      for (const port of [15090, 15020]) {
        const text = await scrape(cluster, port);
        assert.match(text, /^envoy_cluster_circuit_breakers_default_cx_open\{/m, `port ${port}`);
        assert.match(text, EJECTIONS, `port ${port}`);
      }
    },
  },
  {
    name: "promtool accepts what is scraped",
    needs: "promtool",
    run: async ({ cluster }) => {
      for (const port of [15090, 15020]) {
        const checked = await run(["promtool", "check", "metrics"], { input: await scrape(cluster, port) });
        // 3 is advice on names, which are Envoy's; anything else is a format that Prometheus can't read.
        assert.ok(checked.code === 0 || checked.code === 3, `promtool: ${checked.stderr.slice(0, 3000)}`);
      }
    },
  },
];

function assertBreakers(stats: string): void {
  for (const name of ["default.rq_pending_open", "default.cx_open", "default.remaining_pending"]) {
    const escaped = `cluster.${API_V2}.circuit_breakers.${name}`.replace(/[.|]/g, "\\$&");
    assert.match(stats, new RegExp(`^${escaped}: \\d+$`, "m"), `${name} for ${API_V2}`);
  }
}

async function overflow({ cluster }: Walk): Promise<void> {
  const from = await caller(cluster, "frontend");
  const before = await counter(cluster, "upstream_rq_pending_overflow");
  // One every few milliseconds, so that connections, not the burst, fill first; none ends before all are sent.
  const plan = { url: `${API}/x?delayMs=6000`, count: 220, spacingMs: 10, timeoutMs: 30_000 };
  const answers = await send(cluster, from, plan);
  const refused = answers.filter(({ status }) => status === 503);
  assert.deepEqual(
    tally(answers, ({ status, error }) => error ?? String(status)),
    { "200": 200, "503": 20 },
    JSON.stringify(tally(refused, ({ body, overloaded }) => `${overloaded} ${body}`)),
  );
  assert.ok(
    refused.every(({ overloaded }) => overloaded),
    `x-envoy-overloaded: ${JSON.stringify(refused[0])}`,
  );
  assert.ok(
    refused.every(({ tookMs }) => tookMs < 1_000),
    "at once",
  );
  assert.equal((await counter(cluster, "upstream_rq_pending_overflow")) - before, 20);
}

/** The rule's own status says that its `minRequestVolume` is not Envoy's. */
async function saysVolume(cluster: Walk["cluster"]): Promise<void> {
  const path = "jsonpath={.status.conditions[?(@.type=='Accepted')].message}";
  await eventually("the condition of the rule", 10_000, async () => {
    const args = ["get", "destinationrule", "api-circuit-breaker", "-n", "production", "-o", path];
    const message = await cluster.kubectlOk(args);
    return /minRequestVolume: .*Envoy/.test(message) ? true : message;
  });
}

/** A line of /clusters that says that its host is out; Envoy has no `healthy::` lines. */
function saysOut({ proxy }: Walk["cluster"], line: string): boolean {
  if (proxy === "envoy") return line.includes("::health_flags::") && line.includes("/failed_outlier_check");
  return line.endsWith("::healthy::false");
}

async function counter(cluster: Walk["cluster"], name: string): Promise<number> {
  const stats = await cluster.admin("production", await cluster.pod("production", "app=frontend"), "/stats");
  const line = stats.split("\n").find((candidate) => candidate.startsWith(`cluster.${API_V2}.${name}: `));
  return Number(line?.split(": ")[1] ?? 0);
}

async function eject({ cluster }: Walk): Promise<void> {
  const from = await caller(cluster, "frontend");
  const [bad, good] = await cluster.pods("production", "app=api,version=v2");
  assert.ok(bad !== undefined && good !== undefined);
  const ip = await cluster.podIP("production", bad);
  const answers = await send(cluster, from, { url: `${API}/x`, count: 80, headers: { "x-fail-pod": bad } });
  const seen = tally(answers, ({ status, pod }) => `${status} ${pod}`);
  const failures = seen[`500 ${bad}`] ?? 0;
  // Its own volume, not more: with one request at a time, the tenth is the last that it gets. Envoy knows no volume.
  if (cluster.proxy === "envoy") await saysVolume(cluster);
  const [least, most] = cluster.proxy === "envoy" ? [5, 6] : [5, 11];
  assert.ok(failures >= least && failures <= most, `${JSON.stringify(seen)}: 10 requests of an interval, then ejected`);
  assert.equal(seen[`200 ${good}`], answers.length - failures, JSON.stringify(seen));
  const clusters = await cluster.admin("production", from.pod, "/clusters");
  const lines = clusters.split("\n").filter((line) => line.startsWith(`${API_V2}::${ip}:`));
  assert.ok(
    lines.some((line) => line.includes("outlier")),
    `a line with "outlier" for ${ip}:\n${lines.join("\n")}`,
  );
  assert.ok(
    lines.some((line) => saysOut(cluster, line)),
    lines.join("\n"),
  );
  await eventually("the endpoint back", EJECTED_S_MAX * 1_000, async () => {
    const back = await send(cluster, from, { url: `${API}/x`, count: 20 });
    const pods = tally(back, ({ pod }) => pod ?? "none");
    return pods[bad] !== undefined ? true : JSON.stringify(pods);
  });
}

async function half({ cluster }: Walk): Promise<void> {
  const from = await caller(cluster, "frontend");
  const answers = await send(cluster, from, { url: `${API}/x`, count: 80, headers: { "x-fail-pod": "all" } });
  assert.deepEqual(
    tally(answers, ({ status }) => String(status)),
    { "500": 80 },
    "an app's answer each time, never a lack of hosts",
  );
  const clusters = await cluster.admin("production", from.pod, "/clusters");
  const out = clusters.split("\n").filter((line) => line.startsWith(`${API_V2}::`) && saysOut(cluster, line));
  const hosts = new Set(out.map((line) => line.slice(`${API_V2}::`.length).split("::")[0]));
  assert.equal(hosts.size, 1, out.join("\n"));
}

async function deaf({ cluster }: Walk): Promise<void> {
  const rule = {
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata: { name: "flaky", namespace: "production" },
    spec: { host: "flaky", trafficPolicy: { outlierDetection: OUTLIER } },
  };
  await cluster.apply(
    documents(
      deployment({ name: "flaky-good", app: "flaky", version: "good", namespace: "production" }),
      deployment({
        name: "flaky-deaf",
        app: "flaky",
        version: "deaf",
        namespace: "production",
        image: "walk/deaf:1.0",
        inject: false,
      }),
      service("flaky", "production"),
      `${JSON.stringify(rule)}\n`,
    ),
  );
  for (const name of ["flaky-good", "flaky-deaf"]) await cluster.deploymentReady("production", name);
  const from = await caller(cluster, "frontend");
  const ip = await cluster.podIP("production", await cluster.pod("production", "app=flaky,version=deaf"));
  await eventually("the deaf endpoint ejected", 30_000, async () => {
    await send(cluster, from, { url: `${FLAKY}/x`, count: 40 });
    const lines = (await cluster.admin("production", from.pod, "/clusters"))
      .split("\n")
      .filter((line) => line.includes(ip));
    return lines.some((line) => saysOut(cluster, line)) ? true : lines.join("\n");
  });
  allOk(await send(cluster, from, { url: `${FLAKY}/x`, count: 40 }));
}

async function scrape(cluster: Walk["cluster"], port: number): Promise<string> {
  const pod = await cluster.pod("production", "app=frontend");
  const host = cluster.mode === "explicit" ? await cluster.podIP("production", pod) : "localhost";
  const target = { namespace: "production", pod, container: "istio-proxy" };
  const url = `http://${host}:${port}/stats/prometheus`;
  const scraped = await cluster.exec(target, ["curl", "-sS", "--noproxy", "*", url]);
  assert.equal(scraped.code, 0, scraped.stderr);
  return scraped.stdout;
}
