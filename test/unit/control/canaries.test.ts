// Rollouts in a control plane with everything real but the traffic: it dies at every step, edits come in between, and in
// the end the VirtualService is as it should be.

import assert from "node:assert/strict";
import test from "node:test";
import { virtualServiceKind } from "../../../src/api/istio/virtual-service.ts";
import { type Canary, canaryKind } from "../../../src/api/weft/canary.ts";
import { startMesh, type TestMesh } from "./mesh.ts";

const AT = { namespace: "shop", name: "api" };

function pod(version: string, index: number): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: api-${version}, namespace: shop, labels: { app: api, version: ${version} } }
spec: { containers: [{ name: api, image: api }] }
status: { podIP: 10.0.0.${index}, phase: Running, conditions: [{ type: Ready, status: "True" }] }
`;
}

const SHOP = `apiVersion: v1
kind: Namespace
metadata: { name: shop }
---
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec: { selector: { app: api }, ports: [{ name: http, port: 80 }] }
---
${pod("v1", 1)}---
${pod("v2", 2)}---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: api, namespace: shop, labels: { kubernetes.io/service-name: api } }
addressType: IPv4
ports: [{ name: http, port: 80 }]
endpoints:
- { addresses: [10.0.0.1], conditions: { ready: true } }
- { addresses: [10.0.0.2], conditions: { ready: true } }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: api, namespace: shop }
spec:
  host: api
  subsets:
  - { name: v1, labels: { version: v1 } }
  - { name: v2, labels: { version: v2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: api, namespace: shop }
spec:
  hosts: [api]
  http:
  - timeout: 10s
    route:
    - { destination: { host: api, subset: v1 }, weight: 97 }
    - { destination: { host: api, subset: v2 }, weight: 3 }
`;

const CANARY = `apiVersion: weft.dev/v1alpha1
kind: Canary
metadata: { name: api, namespace: shop }
spec: { stable: v1, canary: v2, interval: 1h }
`;

async function weights({ client }: TestMesh): Promise<string> {
  const service = await client.get(virtualServiceKind, AT);
  assert.ok(service.ok);
  const [route] = service.value.spec.http ?? [];
  assert.equal(route?.timeout, "10s");
  return (route.route ?? []).map(({ weight }) => weight).join("/");
}

async function canary({ client }: TestMesh): Promise<Canary | undefined> {
  const found = await client.get(canaryKind, AT);
  return found.ok ? found.value : undefined;
}

async function until(what: string, holds: () => Promise<boolean>, mesh: TestMesh): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    if (Date.now() > deadline) {
      assert.fail(`${what}: ${await weights(mesh)} ${JSON.stringify((await canary(mesh))?.status)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function ask(mesh: TestMesh, action: string): Promise<void> {
  const body = { spec: { request: { id: `${action} ${Date.now()}`, action } } };
  assert.ok((await mesh.client.mergePatch(canaryKind, AT, { body })).ok);
}

const weightsAre = (mesh: TestMesh, wanted: string) =>
  until(wanted, async () => (await weights(mesh)) === wanted, mesh);
const phaseIs = (mesh: TestMesh, wanted: string) =>
  until(wanted, async () => (await canary(mesh))?.status?.phase === wanted, mesh);

test("a control plane that dies at every step goes on at the right one", { timeout: 90_000 }, async (t) => {
  const mesh = await startMesh(t);
  await mesh.apply(SHOP);
  await mesh.apply(CANARY);
  await weightsAre(mesh, "90/10");
  for (const wanted of ["75/25", "50/50", "0/100"]) {
    await ask(mesh, "promote");
    // At any moment between the request and its effect.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 1_500));
    await mesh.restart();
    await weightsAre(mesh, wanted);
    await phaseIs(mesh, "Progressing");
  }
  const step = (await canary(mesh))?.status?.step;
  assert.equal(step, 3);
  await ask(mesh, "promote");
  await phaseIs(mesh, "Succeeded");
  assert.equal(await weights(mesh), "0/100");
  const history = (await canary(mesh))?.status?.history ?? [];
  const events = history.map(({ event, step: at }) => `${event} ${at}`);
  assert.deepEqual(events, ["Started 0", "Advanced 1", "Advanced 2", "Advanced 3", "Promoted 3", "Succeeded 3"]);
});

test("somebody's weights pause it, a deletion gives the first ones back", { timeout: 60_000 }, async (t) => {
  const mesh = await startMesh(t);
  await mesh.apply(SHOP);
  await mesh.apply(CANARY);
  await weightsAre(mesh, "90/10");
  await until("the step's beginning", async () => (await canary(mesh))?.status?.stepStartedAt !== undefined, mesh);
  const service = await mesh.client.get(virtualServiceKind, AT);
  assert.ok(service.ok);
  const [route] = service.value.spec.http ?? [];
  const targets = (route?.route ?? []).map((target, index) => ({ ...target, weight: index === 0 ? 60 : 40 }));
  const edited = { ...service.value, spec: { ...service.value.spec, http: [{ ...route, route: targets }] } };
  assert.ok((await mesh.client.update(virtualServiceKind, edited)).ok);
  await phaseIs(mesh, "Paused");
  assert.match((await canary(mesh))?.status?.message ?? "", /are 60\/40, which this rollout did not write/);
  assert.equal(await weights(mesh), "60/40");
  await ask(mesh, "resume");
  await weightsAre(mesh, "90/10");
  await mesh.client.remove(canaryKind, AT);
  await weightsAre(mesh, "97/3");
  await until("its end", async () => (await canary(mesh)) === undefined, mesh);
});
