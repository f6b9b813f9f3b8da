// The commands for machines without kubectl.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Cluster, startCluster, until } from "./cluster.ts";

let cluster: Cluster;

before(async () => {
  cluster = await startCluster();
});

after(() => cluster?.close());

const MANIFEST = `
apiVersion: v1
kind: Pod
metadata: {name: echo, labels: {app: echo}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: none, command: [sh, -c, 'echo here; exec sleep 1000']}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
data: {a: "1"}
`;

test("apply, get, logs, exec, patch, delete", async () => {
  const applied = await cluster.weft("apply -f -", { input: MANIFEST });
  assert.equal(applied.code, 0, applied.err);
  await until(() => cluster.weft("get pods"), /echo +1\/1 +Running/, "the pod");
  assert.match((await cluster.weft("get pods -A -l app=echo")).out, /^NAMESPACE +NAME +READY .*\ndefault +echo /);
  assert.match((await cluster.weft("get cm/words -o yaml")).out, /data:\n {2}a: "1"/);
  assert.equal((await cluster.weft("get cm words -o name")).out, "configmap/words\n");
  assert.equal((await cluster.weft("logs echo")).out, "here\n");
  const executed = await cluster.weft("exec echo -i -- sh -c", { more: ["cat; echo err >&2; exit 5"], input: "in" });
  assert.deepEqual([executed.code, executed.out, executed.err], [5, "in", "err\n"]);
  const patched = await cluster.weft("patch cm/words -p", { more: ['{"data":{"b":"2"}}'] });
  assert.equal(patched.code, 0, patched.err);
  assert.match((await cluster.weft("get cm words -o json")).out, /"b": "2"/);
  assert.equal((await cluster.weft("delete cm words")).out, "configmap/words deleted\n");
  const missing = await cluster.weft("get cm words");
  assert.equal(missing.code, 1);
  assert.match(missing.err, /configmaps "words" not found/);
  assert.match((await cluster.weft("get nonsense")).err, /the cluster has no kind "nonsense"/);
  assert.match((await cluster.weft("logs nobody")).err, /pods "nobody" not found/);
  assert.equal((await cluster.weft("delete -f -", { input: MANIFEST.split("---")[0] ?? "" })).code, 0);
});

test("ca status: the mesh's root, and each workload's certificate", async () => {
  const manifests = `
apiVersion: v1
kind: Namespace
metadata: {name: meshed, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: meshed}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: none, command: [sleep, "1000"]}]
`;
  assert.equal((await cluster.weft("apply -f -", { input: manifests })).code, 0);
  const shown = () => cluster.weft("ca status");
  await until(
    shown,
    /^meshed +web +20\S+ \S+ \(23 h \d+ min\) +spiffe:\/\/cluster\.local\/ns\/meshed\/sa\/default$/m,
    "its certificate",
  );
  const { out } = await shown();
  assert.match(
    out,
    /^the mesh's own root signs\n {2}root {4}O=cluster\.local {2}until 20.*\n {10}sha256 [0-9a-f]{64}$/m,
  );
});
