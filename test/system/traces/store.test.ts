// The local cluster's own trace store, with nothing installed: a request through three services and two retries is one tree, in
// which the applications' spans have their places; and what the proxies remember explains it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { readTrace } from "../../../src/traces/read-trace.ts";
import type { TraceNode } from "../../../src/traces/trace.ts";
import { Cluster, kubectlPath, root } from "../../e2e/cluster.ts";

const APP = join(root, "test/system/traces/chain-app.js");
const CALL = join(root, "examples/shop/call.js");
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const skip = kubectlPath() === undefined ? "kubectl is not installed: node scripts/install-tools.js" : false;

/** Of the post, its Service included, which selects pods that nobody has. */
const TRACING = `
apiVersion: telemetry.istio.io/v1alpha1
kind: Telemetry
metadata: {name: tracing-config, namespace: istio-system}
spec:
  tracing:
  - providers: [{name: jaeger}]
    randomSamplingPercentage: 10
    useRequestIdForTraceSampling: true
---
apiVersion: v1
kind: Service
metadata: {name: jaeger, namespace: istio-system}
spec:
  selector: {app: jaeger}
  ports: [{port: 6831, protocol: UDP, targetPort: 6831}]
`;

function service(name: string): string {
  return `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: chain}
spec: {selector: {app: ${name}}, ports: [{name: http, port: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: chain}
spec:
  selector: {matchLabels: {app: ${name}}}
  template:
    metadata: {labels: {app: ${name}}}
    spec: {containers: [{name: app, image: "chain/${name}:1", ports: [{containerPort: 8080}]}]}
`;
}

const MANIFEST = `${TRACING}---
apiVersion: v1
kind: Namespace
metadata: {name: chain, labels: {istio-injection: enabled}}
${["web", "api", "db"].map(service).join("")}---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: db, namespace: chain}
spec:
  hosts: [db]
  http:
  - retries: {attempts: 3, retryOn: 5xx}
    route: [{destination: {host: db}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: db, namespace: chain}
spec:
  selector: {matchLabels: {app: db}}
  rules:
  - to: [{operation: {methods: [GET]}}]
`;

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const over = Date.now() + 20_000; ; ) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(Date.now() < over, what);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** As text, a line a span, below its parent. */
function outline({ span, children }: TraceNode, depth = 0): readonly string[] {
  const code = span?.tags["http.status_code"];
  const line = `${"  ".repeat(depth)}${span?.service} ${span?.kind}${code === undefined ? "" : ` ${code}`}`;
  return [line, ...children.flatMap((child) => outline(child, depth + 1))];
}

describe("the trace store of a cluster", { skip }, () => {
  const cluster = new Cluster({ mode: "explicit" });

  const weft = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await cluster.weft(args);
    return { code, text: stdout, error: stderr };
  };

  before(async () => {
    await cluster.start();
    const ports = parseJson(readFileSync(join(cluster.dataDir, "ports.json"), "utf8"));
    assert.ok(ports.ok && isRecord(ports.value));
    const otlp = `http://127.0.0.1:${ports.value["traces-otlpHttp"]}`;
    const app = (name: string, ...next: readonly string[]) =>
      cluster.image(`chain/${name}:1`, [process.execPath, APP, name, otlp, ...next]);
    await app("web", "http://api:8080/api");
    await app("api", "http://db:8080/rows");
    await app("db");
    await cluster.apply(MANIFEST);
    for (const name of ["web", "api", "db"])
      await cluster.kubectlOk(["rollout", "status", "-n", "chain", `deployment/${name}`, "--timeout=60s"]);
  });

  after(async () => {
    await cluster.dispose();
  });

  const call = (method: string, url: string, headers: readonly string[]) => {
    const command = [process.execPath, CALL, method, url, ...headers];
    return cluster.kubectl(["exec", "-n", "chain", "deploy/web", "-c", "app", "--", ...command]);
  };

  it("has one tree of three services, two retries and the applications' spans", async () => {
    const headers = [
      `traceparent: 00-${TRACE}-00f067aa0ba902b7-01`,
      "tracestate: congo=t61rcWkgMzE",
      "baggage: user=ada",
      "jaeger-traceid: 7",
      "x-request-id: 11111111-2222-9333-8444-555555555555",
    ];
    const answer = await call("GET", "http://web:8080/", headers);
    assert.equal(answer.code, 0, answer.stdout + answer.stderr);
    const last = parseJson(answer.stdout.slice(answer.stdout.indexOf("{")));
    assert.ok(last.ok && isRecord(last.value));
    assert.equal(last.value["baggage"], "user=ada");
    assert.equal(last.value["tracestate"], "congo=t61rcWkgMzE");
    const trace = await until("13 spans", async () => {
      const { code, text } = await weft("traces", "get", TRACE, "-o", "json");
      const parsed = code === 0 ? parseJson(text) : undefined;
      const read = parsed?.ok === true ? readTrace(parsed.value) : undefined;
      return read?.summary.spans === 13 ? read : undefined;
    });
    assert.deepEqual(outline(trace.root), [
      "web.chain client 200",
      "  web.chain server 200",
      "    web-app internal",
      "      web.chain client 200",
      "        api.chain server 200",
      "          api-app internal",
      "            api.chain client 200",
      "              db.chain server 503",
      "                db-app internal",
      "              db.chain server 503",
      "                db-app internal",
      "              db.chain server 200",
      "                db-app internal",
    ]);
    assert.equal(trace.root.span?.tags["jaeger-traceid"], "7");
    assert.match((await weft("traces", "db.chain", "--errors", "--since", "5m")).text, new RegExp(TRACE));
    // All conditions are about one span, and the api's own went well.
    assert.doesNotMatch((await weft("traces", "api.chain", "--errors")).text, new RegExp(TRACE));
  });

  it("explains a request with its retries, and one that was refused with the field that did it", async () => {
    const explained = await weft("explain", "11111111-2222-9333-8444-555555555555");
    assert.equal(explained.code, 0, explained.error);
    assert.match(explained.text, /called +chain\/db:8080/);
    assert.match(explained.text, /try 1 .* 503, over after \d+ ms/);
    assert.match(explained.text, /made of +VirtualService chain\/db spec\.http\[0\]/);
    await call("DELETE", "http://db:8080/rows", []);
    const refused = await weft("explain", "--last-error", "db.chain");
    assert.equal(refused.code, 1);
    assert.match(refused.text, /DELETE db:8080\/rows {2}403/);
    assert.match(refused.text, /spec\.rules\[0\]\.to\[0\]\.operation\.methods {2}was DELETE, the rule wants GET/);
    const { text } = await weft("logs", "db", "-n", "chain", "--requests", "--code", "4xx", "-o", "json");
    const line = parseJson(text.trim().split("\n").at(-1) ?? "");
    assert.ok(line.ok && isRecord(line.value));
    assert.deepEqual([line.value["method"], line.value["code"], line.value["direction"]], ["DELETE", 403, "inbound"]);
  });
});
