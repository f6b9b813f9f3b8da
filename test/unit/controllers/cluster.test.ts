// Controllers on a real store, without a node: pods' states are written by the test.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { KubeClient } from "../../../src/api/client.ts";
import type { Kind } from "../../../src/api/kind.ts";
import { configMapKind } from "../../../src/api/kubernetes/config-map.ts";
import { type Deployment, deploymentKind } from "../../../src/api/kubernetes/deployment.ts";
import { endpointSliceKind } from "../../../src/api/kubernetes/endpoint-slice.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import { namespaceKind } from "../../../src/api/kubernetes/namespace.ts";
import { type Pod, podKind } from "../../../src/api/kubernetes/pod.ts";
import { replicaSetKind } from "../../../src/api/kubernetes/replica-set.ts";
import { serviceKind } from "../../../src/api/kubernetes/service.ts";
import { serviceAccountKind } from "../../../src/api/kubernetes/service-account.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { LocalClient } from "../../../src/apiserver/client.ts";
import { Resources } from "../../../src/apiserver/resources.ts";
import { openStore, type Store } from "../../../src/apiserver/store.ts";
import { makeTokenKeyPem, Tokens } from "../../../src/apiserver/tokens.ts";
import { systemClock, VirtualClock } from "../../../src/base/clock.ts";
import type { Result } from "../../../src/base/result.ts";
import { type Controllers, startControllers } from "../../../src/controllers/start.ts";

const directory = mkdtempSync(join(tmpdir(), "weft-controllers-"));
const clock = new VirtualClock(Date.UTC(2026, 0, 1));
let store: Store;
let client: KubeClient;
let controllers: Controllers;

before(() => {
  store = value(openStore(join(directory, "state.db")));
  const resources = new Resources({ store, registry: { kinds: kubernetesKinds }, admission: [], clock });
  client = new LocalClient(resources, new Tokens({ store, clock: systemClock, keyPem: makeTokenKeyPem() }));
  controllers = startControllers({ client, clock, nodeName: "local" });
});

after(async () => {
  await controllers.close();
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

function value<T, E>(result: Result<T, E>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** Looks until it holds, letting retries of the controllers fall due. */
async function eventually<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadlineMs = Date.now() + 10_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadlineMs) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    clock.advance(50);
  }
}

async function makeNamespace(name: string): Promise<void> {
  value(await client.create(namespaceKind, { apiVersion: "v1", kind: "Namespace", metadata: { name } }));
}

async function list<T extends KubeObject>(kind: Kind<T>, namespace: string): Promise<readonly T[]> {
  return value(await client.list(kind, { namespace }));
}

async function count(kind: Kind, namespace: string, wanted: number): Promise<true | undefined> {
  return (await list(kind, namespace)).length === wanted ? true : undefined;
}

function deployment(namespace: string, change: Partial<Deployment["spec"]>): Deployment {
  const labels = { app: "web" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "web", image: "web:1" }] } };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace },
    spec: { selector: { matchLabels: labels }, template, ...change },
  };
}

let addresses = 0;

async function setReady(pod: Pod, status: "True" | "False"): Promise<void> {
  addresses += 1;
  const body = {
    status: {
      phase: "Running",
      podIP: pod.status?.podIP ?? `10.0.0.${addresses}`,
      conditions: [{ type: "Ready", status, lastTransitionTime: new Date(clock.wallMs()).toISOString() }],
    },
  };
  const ref = { namespace: pod.metadata.namespace ?? "", name: pod.metadata.name };
  value(await client.mergePatch(podKind, ref, { body, subresource: "status" }));
}

test("a namespace gets its default account and, deleted, is emptied before it goes", async () => {
  await makeNamespace("brief");
  const account = { namespace: "brief", name: "default" };
  await eventually(async () => ((await client.get(serviceAccountKind, account)).ok ? true : undefined), "the account");
  value(
    await client.create(configMapKind, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "c", namespace: "brief" },
    }),
  );
  value(await client.create(deploymentKind, deployment("brief", { replicas: 2 })));
  await eventually(() => count(podKind, "brief", 2), "two pods");
  value(await client.remove(namespaceKind, { name: "brief" }));
  // In the node's place: what was scheduled is ended.
  await eventually(async () => {
    for (const pod of await list(podKind, "brief")) {
      if (pod.metadata.deletionTimestamp === undefined) continue;
      await client.remove(podKind, { namespace: "brief", name: pod.metadata.name }, { gracePeriodSeconds: 0 });
    }
    return (await client.get(namespaceKind, { name: "brief" })).ok ? undefined : true;
  }, "the namespace's end");
  assert.deepEqual(await list(configMapKind, "brief"), []);
});

test("endpoints follow readiness, named ports, and deletion", async () => {
  await makeNamespace("net");
  const pod = (name: string, port: number): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "net", labels: { app: "web" } },
    spec: { containers: [{ name: "web", image: "x", ports: [{ name: "http", containerPort: port }] }] },
  });
  value(
    await client.create(serviceKind, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace: "net" },
      spec: { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: "http" }] },
    }),
  );
  const a = value(await client.create(podKind, pod("a", 8080)));
  const b = value(await client.create(podKind, pod("b", 9090)));
  await setReady(a, "True");
  await setReady(b, "False");
  const slices = await eventually(async () => {
    const found = await list(endpointSliceKind, "net");
    return found.length === 2 && found.every((slice) => slice.endpoints.length === 1) ? found : undefined;
  }, "a slice for each port");
  const summary = slices.flatMap((slice) =>
    slice.endpoints.map(({ targetRef, conditions, nodeName }) => [
      targetRef?.name,
      slice.ports?.[0]?.port,
      conditions?.ready,
      nodeName,
    ]),
  );
  assert.deepEqual(
    summary.sort(([x], [y]) => String(x).localeCompare(String(y))),
    [
      ["a", 8080, true, "local"],
      ["b", 9090, false, "local"],
    ],
  );
  value(await client.remove(podKind, { namespace: "net", name: "a" }));
  await eventually(async () => {
    const [entry] = (await list(endpointSliceKind, "net"))
      .flatMap((slice) => slice.endpoints)
      .filter(({ targetRef }) => targetRef?.name === "a");
    const { ready, serving, terminating } = entry?.conditions ?? {};
    return ready === false && serving === true && terminating === true ? true : undefined;
  }, "a terminating endpoint");
  value(await client.remove(serviceKind, { namespace: "net", name: "web" }));
  await eventually(() => count(endpointSliceKind, "net", 0), "the slices' end");
});

test("scaling down removes pods that are not ready first; a rollout that makes no progress says so", async () => {
  await makeNamespace("scale");
  value(await client.create(deploymentKind, deployment("scale", { replicas: 3, progressDeadlineSeconds: 5 })));
  await eventually(() => count(podKind, "scale", 3), "three pods");
  const [first, second] = await eventually(async () => {
    const pods = await list(podKind, "scale");
    return pods.every((pod) => pod.spec.nodeName === "local") ? pods : undefined;
  }, "their node");
  assert.ok(first !== undefined && second !== undefined);
  await setReady(first, "True");
  await setReady(second, "True");
  await eventually(async () => {
    const { status } = value(await client.get(deploymentKind, { namespace: "scale", name: "web" }));
    const progressing = status?.conditions?.find((condition) => condition.type === "Progressing");
    return progressing?.reason === "ProgressDeadlineExceeded" && progressing.status === "False" ? true : undefined;
  }, "the deadline");
  const body = { spec: { replicas: 2 } };
  value(await client.mergePatch(deploymentKind, { namespace: "scale", name: "web" }, { body }));
  const ending = await eventually(async () => {
    const found = (await list(podKind, "scale")).filter((pod) => pod.metadata.deletionTimestamp !== undefined);
    return found.length === 1 ? found[0] : undefined;
  }, "a pod that ends");
  assert.ok(![first.metadata.name, second.metadata.name].includes(ending.metadata.name));
  await eventually(async () => {
    const { status } = value(await client.get(deploymentKind, { namespace: "scale", name: "web" }));
    return status?.availableReplicas === 2 && status.replicas === 2 ? true : undefined;
  }, "the status");
});

test("going back to an earlier template reuses its ReplicaSet with a new revision", async () => {
  await makeNamespace("back");
  const ref = { namespace: "back", name: "web" };
  value(await client.create(deploymentKind, deployment("back", { replicas: 0 })));
  await eventually(() => count(replicaSetKind, "back", 1), "the first version");
  const setImage = async (image: string) => {
    const template = { spec: { containers: [{ name: "web", image }] } };
    value(await client.mergePatch(deploymentKind, ref, { body: { spec: { template } } }));
  };
  await setImage("web:2");
  await eventually(() => count(replicaSetKind, "back", 2), "the second version");
  await setImage("web:1");
  const revisions = await eventually(async () => {
    const sets = await list(replicaSetKind, "back");
    const found = sets.map((set) => [
      set.spec.template.spec?.containers[0]?.image,
      set.metadata.annotations?.["deployment.kubernetes.io/revision"],
    ]);
    return found.some(([, revision]) => revision === "3") ? found : undefined;
  }, "the third revision");
  assert.deepEqual(revisions.sort(), [
    ["web:1", "3"],
    ["web:2", "2"],
  ]);
});
