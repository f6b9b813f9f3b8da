// A Deployment from apply to the last pod's end, with real processes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Deployment, deploymentKind } from "../../../src/api/kubernetes/deployment.ts";
import { endpointSliceKind } from "../../../src/api/kubernetes/endpoint-slice.ts";
import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { replicaSetKind } from "../../../src/api/kubernetes/replica-set.ts";
import { serviceKind } from "../../../src/api/kubernetes/service.ts";
import {
  all,
  deploymentStatus,
  eventually,
  isReady,
  NAMESPACE,
  openWorld,
  removeDirectory,
  server,
  temporaryDirectory,
  value,
  type World,
} from "./world.ts";

let world: World;
const dataDir = temporaryDirectory();

before(async () => {
  world = await openWorld({ dataDir });
});

after(async () => {
  await world.close();
  removeDirectory(dataDir);
});

function deployment(image: string): Deployment {
  const labels = { app: "api" };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "api", namespace: NAMESPACE },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 2,
          containers: [
            {
              name: "api",
              image,
              ports: [{ containerPort: 8080, name: "http" }],
              readinessProbe: { httpGet: { port: "http", path: "/" } },
            },
          ],
        },
      },
    },
  };
}

/** How long after a change the caller goes on as before. */
const LATE_MS = 250;

async function readyAddresses(): Promise<readonly string[]> {
  const slices = await all(world, endpointSliceKind);
  return slices
    .flatMap((slice) => slice.endpoints.filter((entry) => entry.conditions?.ready === true))
    .flatMap(({ addresses }) => addresses);
}

async function answers(): Promise<readonly string[]> {
  const addresses = await readyAddresses();
  return Promise.all(addresses.map(async (ip) => (await fetch(`http://${ip}:8080/`)).text()));
}

async function complete(): Promise<void> {
  await eventually(async () => {
    const status = await deploymentStatus(world, "api");
    const object = value(await world.client.get(deploymentKind, { namespace: NAMESPACE, name: "api" }));
    const wanted = object.spec.replicas;
    const current = status.observedGeneration === object.metadata.generation;
    const done = status.updatedReplicas === wanted && status.replicas === wanted && status.availableReplicas === wanted;
    return current && done ? true : undefined;
  }, "the rollout");
}

test("a deployment rolls out, is reached through its endpoints, changes version without a gap, scales and goes", async () => {
  value(world.images.set("api:1", { command: server("one"), args: [], workingDirectory: undefined }));
  value(world.images.set("api:2", { command: server("two"), args: [], workingDirectory: undefined }));
  value(await world.client.create(deploymentKind, deployment("api:1")));
  value(
    await world.client.create(serviceKind, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "api", namespace: NAMESPACE },
      spec: { selector: { app: "api" }, ports: [{ port: 80, targetPort: "http" }] },
    }),
  );
  await complete();
  await eventually(async () => ((await answers()).length === 2 ? true : undefined), "two endpoints");
  assert.deepEqual(await answers(), ["one", "one"]);

  let gaps = 0;
  let watching = true;
  const watcher = (async () => {
    while (watching) {
      if ((await all(world, podKind)).filter(isReady).length < 2) gaps += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  // A caller learns late which endpoints there are, as any proxy does: none that it still calls may be closed.
  const refused: string[] = [];
  const caller = (async () => {
    while (watching) {
      const known = await readyAddresses();
      for (const endMs = Date.now() + LATE_MS; Date.now() < endMs; ) {
        await Promise.all(known.map((ip) => fetch(`http://${ip}:8080/`).catch(() => refused.push(ip))));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  })();
  const template = deployment("api:2").spec.template;
  value(
    await world.client.mergePatch(
      deploymentKind,
      { namespace: NAMESPACE, name: "api" },
      { body: { spec: { template } } },
    ),
  );
  await complete();
  await eventually(
    async () => ((await answers().catch(() => [])).join() === "two,two" ? true : undefined),
    "the new version's answers",
  );
  watching = false;
  await watcher;
  await caller;
  assert.equal(gaps, 0);
  assert.deepEqual(refused, []);

  const status = await deploymentStatus(world, "api");
  assert.deepEqual(
    status.conditions?.map(({ type, status: state, reason }) => `${type} ${state} ${reason}`),
    ["Available True MinimumReplicasAvailable", "Progressing True NewReplicaSetAvailable"],
  );
  const sets = await all(world, replicaSetKind);
  assert.deepEqual(sets.map((set) => set.spec.replicas).sort(), [0, 2]);
  assert.deepEqual(sets.map((set) => set.metadata.annotations?.["deployment.kubernetes.io/revision"]).sort(), [
    "1",
    "2",
  ]);

  await world.client.mergePatch(
    deploymentKind,
    { namespace: NAMESPACE, name: "api" },
    { body: { spec: { replicas: 3 } } },
  );
  await complete();
  value(await world.client.remove(deploymentKind, { namespace: NAMESPACE, name: "api" }));
  await eventually(async () => ((await all(world, podKind)).length === 0 ? true : undefined), "the pods' end");
  assert.deepEqual(await all(world, replicaSetKind), []);
  assert.deepEqual(world.failures, []);
});
