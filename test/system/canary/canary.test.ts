// Rollouts for real: a local cluster, `weft canary`, and a version 2 that is good, slow, failing at 30 %, or failing for
// one header; all four at the same time, with short intervals.

import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { Cluster, kubectlPath, nothingLeft, root } from "../../e2e/cluster.ts";
import { caller, deployment, documents, named, registerImages, service } from "../../e2e/own.ts";
import { eventually } from "../../e2e/process.ts";
import { type Sender, send } from "../../e2e/traffic.ts";
import { transparentObstacle } from "../../e2e/walk.ts";

const NAMESPACE = "shop";
const KINDS = ["good", "slow", "failing", "header"] as const;
type Kind = (typeof KINDS)[number];
/** Until the last of them has ended: seconds on a quiet machine. */
const END_MS = 120_000;
const BURST_MS = 5_000;

test("rollouts of a good, a slow, a failing and a partly failing version", { timeout: 500_000 }, async (t) => {
  if (kubectlPath() === undefined) {
    t.skip("needs kubectl, not found: node scripts/install-tools.js");
    return;
  }
  // Where namespaces are to be had, the sidecars' pages are behind them.
  const mode = (await transparentObstacle(undefined)) === undefined ? "transparent" : "explicit";
  const cluster = new Cluster({ mode });
  try {
    await cluster.start();
    await setUp(cluster);
    const from = await caller(cluster, "web", NAMESPACE);
    await allAnswer(cluster, from);
    await rollouts(t, cluster, from);
    await cluster.down();
    await nothingLeft(cluster.folder);
  } finally {
    await cluster.dispose();
  }
});

async function rollouts(t: TestContext, cluster: Cluster, from: Sender): Promise<void> {
  const before = new Map<Kind, unknown>();
  for (const kind of KINDS) before.set(kind, await http(cluster, kind));
  for (const kind of KINDS) await start(cluster, kind);
  const over = new AbortController();
  const traffic = Promise.all(KINDS.map((kind) => load(cluster, from, { kind, over: over.signal })));
  await t.test("good: step by step to all of it, and nothing but weights has changed", async () => {
    await reaches(cluster, "good", "Succeeded");
    assert.deepEqual(await http(cluster, "good"), weighted(before.get("good"), [0, 100]));
    const { status } = await canary(cluster, "good");
    const history = isRecord(status) && Array.isArray(status["history"]) ? status["history"].filter(isRecord) : [];
    const steps = history.filter(({ event }) => event === "Started" || event === "Advanced").map(({ step }) => step);
    assert.deepEqual(steps, [0, 1, 2]);
  });
  await t.test("slow: back to the stable version, for its latency", () => aborts(cluster, "slow", /p90 is .* ms/));
  await t.test("failing at 30 %: back, for its failures", () => aborts(cluster, "failing", /requests failed/));
  await t.test("failing for one header: back before anybody else got it", async () => {
    await aborts(cluster, "header", /requests failed/);
    const status = (await canary(cluster, "header"))["status"];
    assert.ok(isRecord(status));
    assert.equal(status["step"], 0);
    assert.deepEqual(await http(cluster, "header"), before.get("header"));
  });
  await t.test("kubectl sees it: columns, conditions, events", async () => {
    const listed = await cluster.kubectlOk(["get", "canaries", "-n", NAMESPACE]);
    assert.match(listed, /good\s+Succeeded/);
    await cluster.kubectlOk(["wait", "--for=condition=Succeeded", "canary/good", "-n", NAMESPACE, "--timeout=10s"]);
    const events = await cluster.kubectlOk(["get", "events", "-n", NAMESPACE, "--field-selector=reason=RollingBack"]);
    for (const kind of ["slow", "failing", "header"]) assert.match(events, new RegExp(`canary/${kind}`));
  });
  over.abort();
  await traffic;
  await t.test("the sidecars' metrics name the identities of both sides", () => identities(cluster, from));
  await t.test("a rollout that is deleted under way gives its VirtualService back", async () => {
    const original = await http(cluster, "good");
    const outcome = await cluster.weft([
      ...["canary", "start", "good", "-n", NAMESPACE, "--stable", "v1", "--canary", "v2", "--interval", "5m"],
    ]);
    assert.equal(outcome.code, 0, outcome.stderr);
    await eventually("the first step", 20_000, async () => {
      const now = JSON.stringify(await http(cluster, "good"));
      return now === JSON.stringify(weighted(original, [90, 10])) ? true : now;
    });
    await cluster.kubectlOk(["delete", "canary", "good", "-n", NAMESPACE, "--timeout=20s"]);
    assert.deepEqual(await http(cluster, "good"), original);
  });
}

async function setUp(cluster: Cluster): Promise<void> {
  await registerImages(cluster);
  for (const kind of KINDS) {
    if (kind === "good") continue;
    const app = join(root, "test/e2e/apps/misbehaving.js");
    await cluster.image(`canary/${kind}:2.0`, [process.execPath, app, "v2", kind]);
  }
  await cluster.apply(named("Namespace", NAMESPACE, undefined, "  labels:\n    istio-injection: enabled\n"));
  const web = { name: "web", namespace: NAMESPACE };
  const versions = KINDS.flatMap((kind) => {
    const at = { namespace: NAMESPACE, app: kind };
    const image = kind === "good" ? "walk/app:2.0" : `canary/${kind}:2.0`;
    return [
      deployment({ ...at, name: `${kind}-v1`, version: "v1" }),
      deployment({ ...at, name: `${kind}-v2`, version: "v2", image }),
      service(kind, NAMESPACE),
      routing(kind),
    ];
  });
  await cluster.apply(documents(deployment(web), ...versions));
  for (const name of ["web", ...KINDS.flatMap((kind) => [`${kind}-v1`, `${kind}-v2`])]) {
    await cluster.deploymentReady(NAMESPACE, name);
  }
}

function routing(kind: Kind): string {
  return `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${kind}, namespace: ${NAMESPACE} }
spec:
  host: ${kind}
  subsets:
  - { name: v1, labels: { version: v1 } }
  - { name: v2, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: ${kind}, namespace: ${NAMESPACE} }
spec:
  hosts: [${kind}]
  http:
  - match: [{ uri: { prefix: / } }]
    timeout: 10s
    route:
    - destination: { host: ${kind}, subset: v1 }
      weight: 100
    - destination: { host: ${kind}, subset: v2 }
      weight: 0
`;
}

async function start(cluster: Cluster, kind: Kind): Promise<void> {
  const first = kind === "header" ? ["--header", "x-beta=yes"] : [];
  // On a busy machine a few dozen requests say little of latency: only the one that is about it is judged strictly by it.
  const latency = kind === "slow" ? [] : ["--max-latency", "1000"];
  const outcome = await cluster.weft([
    ...["canary", "start", kind, "-n", NAMESPACE, "--steps", "20,50,100", "--interval", "6s", "--min-requests", "30"],
    ...first,
    ...latency,
  ]);
  assert.equal(outcome.code, 0, outcome.stderr);
}

function url(kind: Kind): string {
  return `http://${kind}.${NAMESPACE}.svc.cluster.local:8080/`;
}

async function allAnswer(cluster: Cluster, from: Sender): Promise<void> {
  for (const kind of KINDS) {
    await eventually(`an answer of ${kind}`, 30_000, async () => {
      const [answer] = await send(cluster, from, { url: url(kind) });
      return answer?.status === 200 ? true : JSON.stringify(answer);
    });
  }
}

/** About forty requests a second, a quarter of them with the header. */
async function load(cluster: Cluster, from: Sender, of: { readonly kind: Kind; readonly over: AbortSignal }) {
  const target = url(of.kind);
  const plan = { url: target, count: BURST_MS / 33, spacingMs: 33 };
  const beta = { url: target, headers: { "x-beta": "yes" }, count: BURST_MS / 100, spacingMs: 100 };
  while (!of.over.aborted) await Promise.all([send(cluster, from, plan), send(cluster, from, beta)]);
}

async function aborts(cluster: Cluster, kind: Kind, why: RegExp): Promise<void> {
  await reaches(cluster, kind, "Aborted");
  const status = (await canary(cluster, kind))["status"];
  assert.ok(isRecord(status));
  assert.match(String(status["message"]), why);
  const [route] = await routes(cluster, kind);
  assert.deepEqual(weightsOf(route), [100, 0]);
}

async function reaches(cluster: Cluster, kind: Kind, phase: string): Promise<void> {
  await eventually(`${kind} is ${phase}`, END_MS, async () => {
    const status = (await canary(cluster, kind))["status"];
    assert.ok(isRecord(status), "it has a status");
    const isOver = status["phase"] === "Succeeded" || status["phase"] === "Aborted";
    if (isOver) assert.equal(status["phase"], phase, JSON.stringify(status, null, 1));
    return isOver ? true : JSON.stringify(status);
  });
}

async function canary(cluster: Cluster, kind: Kind): Promise<Readonly<Record<string, unknown>>> {
  const outcome = await cluster.weft(["canary", "status", kind, "-n", NAMESPACE, "-o", "json"]);
  const parsed = parseJson(outcome.stdout);
  assert.ok(parsed.ok && isRecord(parsed.value), outcome.stderr);
  return parsed.value;
}

async function http(cluster: Cluster, kind: Kind): Promise<unknown> {
  const object = await cluster.json(["get", "virtualservice", kind, "-n", NAMESPACE]);
  return isRecord(object) && isRecord(object["spec"]) ? object["spec"]["http"] : undefined;
}

async function routes(cluster: Cluster, kind: Kind): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const all = await http(cluster, kind);
  return Array.isArray(all) ? all.filter(isRecord) : [];
}

function weightsOf(route: Readonly<Record<string, unknown>> | undefined): readonly unknown[] {
  const targets: readonly unknown[] = Array.isArray(route?.["route"]) ? route["route"] : [];
  return targets.filter(isRecord).map(({ weight }) => weight);
}

/** The same routes with other weights. */
function weighted(all: unknown, weights: readonly number[]): unknown {
  assert.ok(Array.isArray(all));
  return all.filter(isRecord).map((route) => {
    const targets: readonly unknown[] = Array.isArray(route["route"]) ? route["route"] : [];
    return {
      ...route,
      route: targets.filter(isRecord).map((target, index) => ({ ...target, weight: weights[index] })),
    };
  });
}

async function identities(cluster: Cluster, from: Sender): Promise<void> {
  const raw = (pod: string) =>
    cluster.kubectlOk(["get", "--raw", `/api/v1/namespaces/${NAMESPACE}/pods/${pod}:15020/proxy/stats/prometheus`]);
  const ours = await raw(from.pod);
  const identity = `spiffe://cluster.local/ns/${NAMESPACE}/sa/default`;
  const line = (page: string, ...parts: readonly string[]) =>
    page.split("\n").find((one) => one.startsWith("istio_requests_total") && parts.every((part) => one.includes(part)));
  const called = [
    'reporter="source"',
    'source_workload="web"',
    'destination_workload="good-v1"',
    'destination_version="v1"',
  ];
  assert.ok(line(ours, ...called, `destination_principal="${identity}"`, `source_principal="${identity}"`), ours);
  const theirs = await raw(await cluster.pod(NAMESPACE, "app=good,version=v1"));
  const served = [
    'reporter="destination"',
    'connection_security_policy="mutual_tls"',
    'destination_workload="good-v1"',
  ];
  assert.ok(line(theirs, ...served, `source_principal="${identity}"`, 'destination_service_name="good"'), theirs);
}
