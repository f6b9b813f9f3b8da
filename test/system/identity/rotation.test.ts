// The root's rotation in a real cluster: under load without a failed call, and across the death of the control plane.
// Afterwards nothing that the cluster wrote or shows has key material in it.

import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { Cluster, kubectlPath } from "../../e2e/cluster.ts";
import { eventually, sleep } from "../../e2e/process.ts";
import { type Sender, send } from "../../e2e/traffic.ts";

const SERVER = `require("http").createServer((q, a) => a.end("here")).listen(process.env.PORT || 8080, process.env.HOST || "0.0.0.0")`;

const MESH = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: shop}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: shop}
spec:
  host: api.shop.svc.cluster.local
  # Each request has a handshake of its own.
  trafficPolicy: {connectionPool: {http: {maxRequestsPerConnection: 1}}}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: shop}
spec:
  selector: {app: api}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: none
        command: [node, -e, '${SERVER}']
        ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: caller, namespace: shop}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: none, command: [sleep, "100000"]}]
`;

const CALLER: Sender = { namespace: "shop", pod: "caller", container: "main" };
const CALLS = 400;
const CALL_EVERY_MS = 35;
const URL = "http://api.shop.svc.cluster.local/";

describe("the root's rotation", { skip: kubectlPath() === undefined ? "kubectl is not installed" : false }, () => {
  const cluster = new Cluster({ mode: "explicit" });

  before(async () => {
    await cluster.start();
    await cluster.apply(MESH);
    await cluster.deploymentReady("shop", "api");
    await cluster.podReady("shop", "caller");
    await serves(cluster);
  });
  after(() => cluster.dispose());

  test("fails no call, each of which has a handshake of its own", async () => {
    const load = send(cluster, CALLER, { url: URL, count: CALLS, spacingMs: CALL_EVERY_MS });
    const began = Date.now();
    await sleep(1_500);
    const rotated = await rotate(cluster, "--wait", "--key-algorithm", "ECDSA-P384");
    const took = Date.now() - began;
    assert.deepEqual(rotated["steps"], ["trust", "sign", "drop"]);
    assert.deepEqual([rotated["step"], rotated["awaited"]], ["stable", []]);
    const answers = await load;
    assert.deepEqual(
      answers.filter(({ status }) => status !== 200),
      [],
    );
    assert.ok(
      took < Math.max(...answers.map(({ atMs }) => atMs)),
      `the rotation took ${took} ms, longer than there were calls`,
    );
    assert.equal(answers.length, CALLS);
    const stats = await cluster.admin("shop", "caller", "/stats");
    const connections = Number(/api\.shop\.svc\.cluster\.local\.upstream_cx_total: (\d+)/.exec(stats)?.[1]);
    assert.ok(connections >= CALLS, `${connections} connections were made for ${CALLS} calls`);
  });

  test("goes on where it was when the control plane was killed in it", async () => {
    assert.deepEqual((await rotate(cluster))["steps"], ["trust"]);
    const state = parseJson(readFileSync(join(cluster.dataDir, "cluster.json"), "utf8"));
    assert.ok(state.ok && isRecord(state.value));
    process.kill(Number(state.value["pid"]), "SIGKILL");
    const again = await eventually("the cluster starts again", 60_000, async () => {
      const outcome = await cluster.up();
      return outcome.code === 0 ? true : outcome.stderr;
    });
    assert.ok(again);
    await cluster.deploymentReady("shop", "api");
    await cluster.podReady("shop", "caller");
    const rotated = await rotate(cluster, "--wait");
    assert.deepEqual(rotated["steps"], ["sign", "drop"]);
    await serves(cluster);
  });

  test("skips no step, and says so", async () => {
    const outcome = await cluster.weft(["ca", "rotate", "--step", "drop"]);
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /the step drop was refused: the next step is trust, not drop/);
  });

  test("nothing that was written or is shown has key material in it", async () => {
    const secrets = keyMaterial(cluster.dataDir);
    assert.ok(secrets.length >= 5, `only ${secrets.length} secrets are known`);
    const shown = await everythingShown(cluster);
    assert.ok(shown.size > 20, `only ${shown.size} texts were looked at`);
    const leaks = [...shown].flatMap(([place, text]) => [
      ...secrets.filter(({ value }) => text.includes(value)).map(({ name }) => `${place}: ${name}`),
      ...SHAPES.filter(({ shape }) => shape.test(text)).map(({ name }) => `${place}: looks like ${name}`),
    ]);
    assert.deepEqual(leaks, []);
  });
});

async function serves(cluster: Cluster): Promise<void> {
  await eventually("calls are answered", 30_000, async () => {
    const [answer] = await send(cluster, CALLER, { url: URL, count: 1 });
    return answer?.status === 200 ? true : `${answer?.status} ${answer?.error}`;
  });
}

async function rotate(cluster: Cluster, ...args: readonly string[]): Promise<Record<string, unknown>> {
  const outcome = await cluster.weft(["ca", "rotate", "-o", "json", ...args], { timeoutMs: 60_000 });
  assert.equal(outcome.code, 0, outcome.stderr);
  const parsed = parseJson(outcome.stdout);
  assert.ok(parsed.ok && isRecord(parsed.value));
  return parsed.value;
}

interface Known {
  readonly name: string;
  readonly value: string;
}

const SHAPES = [
  { name: "a private key", shape: /-----BEGIN [A-Z ]*PRIVATE KEY-----/ },
  // Its first word is {"alg":…, and with a signature it is good for something.
  { name: "a signed token", shape: /eyJhbGciOi[\w-]*\.eyJ[\w-]+\.[\w-]{20,}/ },
] as const;

/** What is secret, from where it is kept: private keys by a line of their text, tokens as they are. */
function keyMaterial(dataDir: string): readonly Known[] {
  const files = readdirSync(dataDir, { recursive: true, encoding: "utf8" });
  return files.flatMap((file): readonly Known[] => {
    if (!statSync(join(dataDir, file)).isFile()) return [];
    if (/(^|\/)(admin\.token|istio-token|token)$/.test(file)) {
      return [{ name: file, value: readFileSync(join(dataDir, file), "utf8").trim() }];
    }
    if (!/\.(key|pem|json)$/.test(file) || !file.startsWith("pki")) return [];
    const text = readFileSync(join(dataDir, file), "utf8");
    const lines = text.split(/\\n|\n/);
    return lines.flatMap((line, index) =>
      line.includes("PRIVATE KEY-----") && line.includes("BEGIN")
        ? [{ name: file, value: lines[index + 1] ?? "" }]
        : [],
    );
  });
}

const PAGES = ["/config_dump?include_eds", "/certs", "/server_info", "/stats", "/clusters", "/listeners"] as const;
const LISTS = "pods,services,configmaps,serviceaccounts,events,deployments,nodes,endpointslices,destinationrules";

/** Logs, dumps, status and errors, by where they are. */
async function everythingShown(cluster: Cluster): Promise<ReadonlyMap<string, string>> {
  const shown = new Map<string, string>();
  const { dataDir } = cluster;
  for (const file of readdirSync(dataDir, { recursive: true, encoding: "utf8" })) {
    if (file.endsWith(".log") || file === "cluster.json") shown.set(file, readFileSync(join(dataDir, file), "utf8"));
  }
  const take = async (args: readonly string[], run: (args: readonly string[]) => ReturnType<Cluster["weft"]>) => {
    const { stdout, stderr } = await run(args);
    shown.set(args.join(" "), stdout + stderr);
  };
  const weft = (args: readonly string[]) => cluster.weft(args);
  const kubectl = (args: readonly string[]) => cluster.kubectl(args);
  for (const page of PAGES) shown.set(page, await cluster.admin("shop", "caller", page));
  shown.set("/metrics/agent", await cluster.admin("shop", "caller", "/metrics/agent"));
  for (const command of ["secret", "all"]) await take(["proxy-config", command, "caller.shop", "-o", "json"], weft);
  for (const command of [["status"], ["ca", "status", "-o", "json"], ["proxy-status"], ["analyze", "-A"]]) {
    await take(command, weft);
  }
  await take(["get", LISTS, "-A", "-o", "yaml"], kubectl);
  for (const page of [
    "/debug/list",
    "/debug/trustz",
    "/debug/configz",
    "/debug/syncz",
    "/debug/connections",
    "/metrics",
  ]) {
    const at = `/api/v1/namespaces/istio-system/services/istiod:15014/proxy${page}`;
    await take(["get", "--raw", at], kubectl);
  }
  await take(
    [
      "get",
      "--raw",
      "/api/v1/namespaces/istio-system/services/istiod:15014/proxy/debug/config_dump?proxyID=caller.shop",
    ],
    kubectl,
  );
  await take(["describe", "pods", "-n", "shop"], kubectl);
  await take(["--token", "wrong", "get", "pods"], kubectl);
  for (const container of ["istio-proxy", "main"])
    await take(["logs", "caller", "-n", "shop", "-c", container], kubectl);
  return shown;
}
