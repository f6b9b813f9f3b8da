// From an applied manifest to what two proxies hold, and back to the resource's status: over real sockets.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { virtualServiceKind } from "../../../src/api/istio/virtual-service.ts";
import { configMapKind } from "../../../src/api/kubernetes/config-map.ts";
import { eventKind } from "../../../src/api/kubernetes/event.ts";
import { isRecord } from "../../../src/base/json.ts";
import { API_WORKLOADS } from "../translate/mesh.ts";
import { startMesh, type TestMesh, until } from "./mesh.ts";

const NAMESPACES = `
apiVersion: v1
kind: Namespace
metadata: {name: production}
---
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: frontend, namespace: production}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: api, namespace: production}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger, namespace: default}
`;

const ROUTING = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: production}
spec: {host: api, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: production}
spec:
  hosts: [api]
  http: [{route: [{destination: {host: api, subset: v1}, weight: 90}, {destination: {host: api, subset: v2}, weight: 10}]}]
`;

const FRONTEND = {
  pod: "frontend-1",
  namespace: "production",
  serviceAccount: "frontend",
  address: "10.244.0.9",
  labels: { app: "frontend" },
} as const;
const API = {
  pod: "api-v1-1",
  namespace: "production",
  serviceAccount: "api",
  address: "10.244.0.11",
  labels: { app: "api", version: "v1" },
} as const;

const ROUTE = "api.production.svc.cluster.local:8080";
const V1 = "outbound|8080|v1|api.production.svc.cluster.local";

async function conditionsOf(mesh: TestMesh): Promise<Readonly<Record<string, string>>> {
  const found = await mesh.client.get(virtualServiceKind, { namespace: "production", name: "api" });
  assert.ok(found.ok);
  const conditions = found.value.status?.conditions ?? [];
  return Object.fromEntries(conditions.map(({ type, status, message }) => [type, `${status} ${message}`.trim()]));
}

function weightsOf(route: unknown): string {
  return [...JSON.stringify(route ?? null).matchAll(/"weight":(\d+)/g)].map((match) => match[1]).join("/");
}

describe("the control plane", () => {
  for (const variant of ["delta", "sotw"] as const) {
    it(`brings a change to every proxy and says so (${variant})`, async (context) => {
      const mesh = await startMesh(context);
      await mesh.apply(`${NAMESPACES}\n---\n${API_WORKLOADS}\n---\n${ROUTING}`);
      const frontend = await mesh.connect({ ...FRONTEND, variant });
      const api = await mesh.connect({ ...API, variant });
      await until("the routes arrive", () => weightsOf(frontend.held.route.get(ROUTE)) === "90/10");
      assert.ok(frontend.held.endpoint.has(V1));
      await until("the other's listener arrives", () => api.held.listener.has("virtualInbound"));
      const clusterAt = frontend.order.indexOf(`cluster ${V1}`);
      const routeAt = frontend.order.indexOf(`route ${ROUTE}`);
      assert.ok(clusterAt >= 0 && clusterAt < routeAt, "clusters come before the routes that lead to them");
      await until("both run it", async () => (await conditionsOf(mesh))["Programmed"] === "True 2 of 2 proxies run it");
      await mesh.apply(ROUTING.replace("weight: 90", "weight: 75").replace("weight: 10", "weight: 25"));
      await until("the new weights arrive", () => weightsOf(frontend.held.route.get(ROUTE)) === "75/25");
      await until("both run it", async () => (await conditionsOf(mesh))["Programmed"] === "True 2 of 2 proxies run it");
    });
  }

  it("answers a missing subset with a condition and a cluster that says why", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(`${NAMESPACES}\n---\n${API_WORKLOADS}\n---\n${ROUTING.replace("subset: v2", "subset: v3")}`);
    const frontend = await mesh.connect(FRONTEND);
    const name = "outbound|8080|v3|api.production.svc.cluster.local";
    await until("the cluster arrives", () => frontend.held.cluster.has(name));
    assert.match(
      JSON.stringify(frontend.held.cluster.get(name)),
      /subset v3 of .* is not defined by any DestinationRule/,
    );
    await until("the condition is there", async () =>
      /False .*subset v3/.test((await conditionsOf(mesh))["ResolvedRefs"] ?? ""),
    );
  });

  it("reports a refusal with the proxy's message, and goes on", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(`${NAMESPACES}\n---\n${API_WORKLOADS}\n---\n${ROUTING}`);
    await mesh.connect({
      ...FRONTEND,
      refuse: (update) =>
        update.kind === "route" && weightsOf(update.changed[0]?.resource) === "90/10"
          ? [{ resource: ROUTE, path: "virtual_hosts[0]", typeUrl: "x", message: "ninety is too many" }]
          : [],
    });
    await until("the refusal is told", async () =>
      /False .*ninety is too many/.test((await conditionsOf(mesh))["Programmed"] ?? ""),
    );
    const events = await mesh.client.list(eventKind, { namespace: "production" });
    assert.ok(events.ok);
    assert.deepEqual(
      events.value.map(({ involvedObject: { kind, name }, reason }) => `${reason} ${kind} ${name}`),
      ["Refused VirtualService api"],
    );
    await mesh.apply(ROUTING.replace("weight: 90", "weight: 50").replace("weight: 10", "weight: 50"));
    await until("it recovers", async () => (await conditionsOf(mesh))["Programmed"] === "True 1 of 1 proxies run it");
  });

  it("refuses a proxy that claims another namespace than its token's", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(NAMESPACES);
    const tokenOf = { namespace: "default", serviceAccount: "stranger" };
    const impostor = await mesh.connect({ ...FRONTEND, tokenOf });
    await until("it is refused", () => impostor.causes.some((cause) => /namespace production/.test(cause)));
    assert.equal(impostor.held.cluster.size, 0);
  });

  it("gives each namespace the root certificate, and serves its debug pages", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(`${NAMESPACES}\n---\n${API_WORKLOADS}`);
    await until("the ConfigMap is there", async () => {
      const ref = { namespace: "production", name: "istio-ca-root-cert" };
      const found = await mesh.client.get(configMapKind, ref);
      return found.ok && found.value.data?.["root-cert.pem"] === mesh.authority.rootPem;
    });
    await mesh.connect(FRONTEND);
    await until("it is in sync", async () => /"cds":\s*\{\s*"state": "SYNCED"/.test(await page(mesh, "/debug/syncz")));
    const dump: unknown = JSON.parse(await page(mesh, "/debug/config_dump?proxyID=frontend-1.production"));
    assert.ok(isRecord(dump) && Array.isArray(dump["configs"]));
    const [clusters] = dump["configs"];
    assert.equal(clusters["@type"], "type.googleapis.com/envoy.admin.v3.ClustersConfigDump");
    assert.ok(clusters.dynamicActiveClusters.length > 3);
    assert.match(clusters.dynamicActiveClusters[0].cluster.connectTimeout, /^\d+s$/);
  });
});

async function page(mesh: TestMesh, at: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${mesh.control.debug?.port}${at}`);
  assert.equal(response.status, 200);
  return response.text();
}
