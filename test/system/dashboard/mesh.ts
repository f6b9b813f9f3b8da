// A small mesh of the page's test: two versions behind a name, a policy that says no, and one resource that is broken.

import assert from "node:assert/strict";
import { join } from "node:path";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { Cluster, root } from "../../e2e/cluster.ts";

const APPS = join(root, "test/e2e/apps");

const MANIFESTS = `
apiVersion: v1
kind: Namespace
metadata: { name: live, labels: { istio-injection: enabled } }
---
apiVersion: v1
kind: Service
metadata: { name: api, namespace: live }
spec: { selector: { app: api }, ports: [{ name: http, port: 8080 }] }
${["v1", "v2"].map((version) => deployment("api", version)).join("")}
${deployment("web", "v1")}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: api, namespace: live }
spec:
  host: api
  subsets: [{ name: one, labels: { version: v1 } }, { name: two, labels: { version: v2 } }]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: api, namespace: live }
spec:
  hosts: [api]
  http:
    - route:
        - { destination: { host: api, subset: one }, weight: 75 }
        - { destination: { host: api, subset: two }, weight: 25 }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: broken, namespace: live }
spec:
  hosts: [nowhere]
  http: [{ route: [{ destination: { host: nowhere } }] }]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: live }
spec: { mtls: { mode: STRICT } }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-secrets, namespace: live }
spec:
  selector: { matchLabels: { app: api } }
  action: DENY
  rules: [{ to: [{ operation: { paths: ["/secret"] } }] }]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: traces, namespace: live }
spec: { tracing: [{ providers: [{ name: zipkin }], randomSamplingPercentage: 100 }] }
`;

function deployment(app: string, version: string): string {
  return `---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${app}-${version}, namespace: live }
spec:
  selector: { matchLabels: { app: ${app}, version: ${version} } }
  template:
    metadata: { labels: { app: ${app}, version: ${version} } }
    spec: { containers: [{ name: app, image: "live:${version}" }] }
`;
}

export async function startMesh(): Promise<Cluster> {
  const cluster = new Cluster({ mode: "explicit" });
  await cluster.start();
  for (const version of ["v1", "v2"]) {
    await cluster.image(`live:${version}`, [process.execPath, join(APPS, "server.js"), version]);
  }
  await cluster.apply(MANIFESTS);
  for (const name of ["api-v1", "api-v2", "web-v1"]) await cluster.deploymentReady("live", name);
  return cluster;
}

export interface Answered {
  readonly status: number;
  readonly version: string;
}

/** From the pod of `web`, one after the other. */
export async function call(cluster: Cluster, path: string, count: number): Promise<readonly Answered[]> {
  const pod = await cluster.pod("live", "app=web");
  const plan = JSON.stringify({ url: `http://api.live:8080${path}`, count });
  const argv = [process.execPath, join(APPS, "client.js"), plan];
  const outcome = await cluster.exec({ namespace: "live", pod, container: "app" }, argv, { timeoutMs: 60_000 });
  assert.equal(outcome.code, 0, outcome.stderr);
  const parsed = parseJson(outcome.stdout);
  assert.ok(parsed.ok && Array.isArray(parsed.value), outcome.stdout);
  return parsed.value
    .filter(isRecord)
    .map(({ status, version }) => ({ status: Number(status), version: String(version) }));
}

export async function link(cluster: Cluster, ...args: readonly string[]): Promise<string> {
  const outcome = await cluster.weft(["dashboard", ...args]);
  assert.equal(outcome.code, 0, outcome.stderr);
  return outcome.stdout.trim();
}
