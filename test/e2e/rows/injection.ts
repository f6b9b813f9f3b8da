// Sidecar injection, as the post has it and past its words.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isRecord } from "../../../src/base/json.ts";
import { deployment, documents, named, registerImages, service } from "../own.ts";
import type { Row, Walk } from "../row.ts";

export const INJECTION: readonly Row[] = [
  {
    name: "the post's namespace and the walk's own apps come up",
    sets: true,
    run: async ({ cluster, manifest }) => {
      await registerImages(cluster);
      await cluster.apply(manifest("Namespace", "production").yaml);
      await cluster.apply(
        documents(
          named("ServiceAccount", "frontend", "production"),
          named("ServiceAccount", "other", "production"),
          deployment({ name: "frontend", namespace: "production", serviceAccount: "frontend" }),
          deployment({ name: "other", namespace: "production", serviceAccount: "other" }),
          deployment({ name: "echo", namespace: "production" }),
          service("frontend", "production"),
          service("echo", "production"),
          deployment({ name: "bystander", namespace: "default" }),
        ),
      );
      for (const name of ["frontend", "other", "echo"]) await cluster.deploymentReady("production", name);
      await cluster.deploymentReady("default", "bystander");
    },
  },
  {
    name: "2/2 ready, as the post says",
    run: async ({ command }) => {
      const out = await command(/^kubectl get pods -n production$/);
      assert.match(out, /^NAME +READY +STATUS +RESTARTS +AGE$/m);
      assert.match(out, /^frontend-\S+ +2\/2 +Running +0 +\d+\w+$/m);
    },
  },
  {
    name: "the names of the containers, as the post prints them",
    run: async ({ cluster, command }) => {
      const pod = await cluster.pod("production", "app=frontend");
      assert.equal((await command(/jsonpath=/, { "pod-name": pod })).trim(), "app istio-proxy");
    },
  },
  {
    name: "without the label, 1/1",
    run: async ({ cluster }) => {
      assert.match(await cluster.kubectlOk(["get", "pods", "-n", "default"]), /^bystander-\S+ +1\/1 +Running/m);
    },
  },
  { name: "an injected pod has the post's shape", run: shape },
  { name: "the post's Pod, whose istio-proxy overrides the template, runs weft's proxy", run: postsPod },
  { name: "manual injection gives the same pod", run: manual },
  {
    name: "injection twice changes nothing",
    run: async ({ cluster }) => {
      writeFileSync(join(cluster.folder, "twice.yaml"), deployment({ name: "twice", namespace: "default" }), {
        mode: 0o644,
      });
      const once = await cluster.shell("istioctl kube-inject -f twice.yaml");
      const twice = await cluster.shell("istioctl kube-inject -f twice.yaml | istioctl kube-inject -f -");
      assert.equal(once.code, 0, once.stderr);
      assert.match(once.stdout, /istio-proxy/);
      assert.equal(twice.stdout, once.stdout);
    },
  },
];

async function shape({ cluster }: Walk): Promise<void> {
  const pod = await cluster.json(["get", "pod", await cluster.pod("production", "app=frontend"), "-n", "production"]);
  const sidecar = containers(pod)[1];
  assert.ok(isRecord(sidecar));
  assert.equal(sidecar["name"], "istio-proxy");
  assert.deepEqual(sidecar["resources"], {
    limits: { cpu: "200m", memory: "100Mi" },
    requests: { cpu: "100m", memory: "50Mi" },
  });
  assert.equal(environmentOf(sidecar)["ISTIO_META_WORKLOAD_NAME"], "frontend");
  const security = sidecar["securityContext"];
  assert.ok(isRecord(security));
  assert.deepEqual(
    [security["allowPrivilegeEscalation"], security["readOnlyRootFilesystem"], security["runAsNonRoot"]],
    [false, true, true],
  );
  assert.deepEqual(security["capabilities"], { drop: ["ALL"] });
  assert.match(JSON.stringify(sidecar["readinessProbe"]), /"\/healthz\/ready".*15021|15021.*"\/healthz\/ready"/);
}

async function postsPod({ cluster, manifest }: Walk): Promise<void> {
  await cluster.apply(manifest("Pod", "app-pod").yaml);
  await cluster.podReady("production", "app-pod");
  const pod = await cluster.json(["get", "pod", "app-pod", "-n", "production"]);
  assert.deepEqual(
    containers(pod).map((container) => isRecord(container) && container["name"]),
    ["app", "istio-proxy"],
  );
  const sidecar = containers(pod)[1];
  assert.ok(isRecord(sidecar));
  assert.equal(sidecar["image"], "istio/proxyv2:latest");
  assert.equal(environmentOf(sidecar)["ISTIO_META_WORKLOAD_NAME"], "app");
  assert.ok(
    environmentOf(sidecar)["POD_NAME"] !== undefined || JSON.stringify(sidecar["env"]).includes("POD_NAME"),
    "the template's environment is there too",
  );
  assert.match(await cluster.admin("production", "app-pod", "/server_info"), /LIVE/);
}

async function manual(walk: Walk): Promise<void> {
  const { cluster, command } = walk;
  await cluster.apply(named("Namespace", "manual"));
  await cluster.apply(named("Namespace", "automatic", undefined, "  labels:\n    istio-injection: enabled\n"));
  writeFileSync(join(cluster.folder, "deployment.yaml"), deployment({ name: "same", namespace: "manual" }), {
    mode: 0o644,
  });
  await command(/^istioctl kube-inject/);
  await cluster.apply(deployment({ name: "same", namespace: "automatic" }));
  for (const namespace of ["manual", "automatic"]) await cluster.deploymentReady(namespace, "same");
  const [byHand, byItself] = [await podText(walk, "manual"), await podText(walk, "automatic")];
  assert.equal(byHand, byItself);
  assert.match(byHand, /istio-proxy/);
}

/** The pod's labels, annotations and spec, without what differs from pod to pod. */
async function podText({ cluster }: Walk, namespace: string): Promise<string> {
  const name = await cluster.pod(namespace, "app=same");
  const pod = await cluster.json(["get", "pod", name, "-n", namespace]);
  assert.ok(isRecord(pod) && isRecord(pod["metadata"]));
  const { labels, annotations } = pod["metadata"];
  const text = JSON.stringify({ labels, annotations, spec: pod["spec"] }, sortKeys, 1);
  const hash = isRecord(labels) ? String(labels["pod-template-hash"]) : "";
  return text
    .replaceAll(name, "POD")
    .replaceAll(hash, "HASH")
    .replaceAll(namespace, "NAMESPACE")
    .replace(/kube-api-access-\w+/g, "kube-api-access-X");
}

function sortKeys(_key: string, value: unknown): unknown {
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function containers(pod: unknown): readonly unknown[] {
  const spec = isRecord(pod) ? pod["spec"] : undefined;
  const list = isRecord(spec) ? spec["containers"] : undefined;
  assert.ok(Array.isArray(list), "a pod has containers");
  return list;
}

function environmentOf(container: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const env = Array.isArray(container["env"]) ? container["env"] : [];
  return Object.fromEntries(env.filter(isRecord).map((entry) => [String(entry["name"]), entry["value"]]));
}
