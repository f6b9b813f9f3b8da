// What a pod may be made of: init containers, sidecars, probes, volumes, and what it leaves behind.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Cluster, startCluster, until } from "./cluster.ts";
import { kubectlAbsence } from "./kubectl.ts";

const skip = kubectlAbsence() ?? false;
let cluster: Cluster;

before(async () => {
  if (skip === false) cluster = await startCluster();
});

after(() => cluster?.close());

async function apply(manifest: string): Promise<void> {
  const { code, err } = await cluster.kubectl("apply -f -", { input: manifest });
  assert.equal(code, 0, err);
}

test("init containers run in order, a sidecar beside the application until it ends", { skip }, async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: {name: ordered, labels: {tier: front}, annotations: {note: 'a b'}}
spec:
  restartPolicy: Never
  initContainers:
  - {name: first, image: none, command: [sh, -c, 'echo first >> $WEFT_FILES_ROOT/shared/log'], volumeMounts: [&shared {name: shared, mountPath: /shared}]}
  - name: helper
    image: none
    restartPolicy: Always
    startupProbe: {exec: {command: [sh, -c, 'grep helper $WEFT_FILES_ROOT/shared/log']}, periodSeconds: 1}
    command: [sh, -c, 'trap "exit 0" TERM; echo helper >> $WEFT_FILES_ROOT/shared/log; while :; do sleep 0.1; done']
    volumeMounts: [*shared]
  - {name: second, image: none, command: [sh, -c, 'echo second >> $WEFT_FILES_ROOT/shared/log'], volumeMounts: [*shared]}
  containers:
  - name: main
    image: none
    command: [sh, -c, 'cat $WEFT_FILES_ROOT/shared/log; cat $WEFT_FILES_ROOT/all/labels $WEFT_FILES_ROOT/all/cm/key $WEFT_FILES_ROOT/all/name; sleep 1']
    volumeMounts: [*shared, {name: all, mountPath: /all}]
  volumes:
  - {name: shared, emptyDir: {}}
  - name: all
    projected:
      sources:
      - downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: name, fieldRef: {fieldPath: metadata.name}}]}
      - configMap: {name: words, items: [{key: key, path: cm/key}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
data: {key: "=words="}
`);
  await until(() => cluster.kubectl("get pod ordered -o jsonpath={.status.phase}"), /Succeeded/, "the pod's end");
  const logs = await cluster.kubectl("logs ordered -c main");
  assert.equal(logs.out, 'first\nhelper\nsecond\ntier="front"=words=ordered');
  assert.match((await cluster.kubectl("get pod ordered --no-headers")).out, /ordered +0\/2 +Completed/);
});

test("a container's last words are in its status, its last run's log is kept", { skip }, async () => {
  await apply(`
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  restartPolicy: Never
  containers:
  - {name: file, image: none, terminationMessagePath: /last/words, command: [sh, -c, 'printf farewell > $WEFT_FILES_ROOT/last/words']}
  - {name: log, image: none, terminationMessagePolicy: FallbackToLogsOnError, command: [sh, -c, 'echo it broke; exit 3']}
---
apiVersion: v1
kind: Pod
metadata: {name: again}
spec:
  containers:
  - {name: main, image: none, command: [sh, -c, 'echo ran; sleep 0.5; exit 1']}
`);
  await until(() => cluster.kubectl("get pod talker -o jsonpath={.status.phase}"), /Failed/, "the pod's end");
  const messages = await cluster.kubectl(
    "get pod talker -o jsonpath={.status.containerStatuses[*].state.terminated.message}",
  );
  assert.equal(messages.out, "farewell it broke\n");
  await until(
    () => cluster.kubectl("get pod again -o jsonpath={.status.containerStatuses[0].restartCount}"),
    /[1-9]/,
    "a restart",
  );
  const previous = await cluster.kubectl("logs again --previous");
  assert.match(previous.out, /^ran\n$/);
  assert.equal((await cluster.kubectl("delete pod again --now")).code, 0);
});

test("a pod that the node can't have waits, and says why; debug is refused with the reason", { skip }, async () => {
  const pod = (name: string, more: string): string =>
    `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec:\n  terminationGracePeriodSeconds: 1\n  ${more}\n  containers: [{name: main, image: none, command: [sleep, '1000']}]\n`;
  await apply(pod("elsewhere", "nodeSelector: {disk: ssd}"));
  await until(() => cluster.kubectl("get events"), /0\/1 nodes are available.*node selector/, "the event");
  assert.equal((await cluster.kubectl("label node weft disk=ssd")).code, 0);
  assert.equal((await cluster.kubectl("wait --for=condition=ready pod/elsewhere --timeout=60s")).code, 0);
  const debug = await cluster.kubectl("debug elsewhere --image=none --profile=general");
  assert.match(debug.err, /ephemeral containers are not available on the local cluster/);
});

const GRPC = `
const grpc = require("@grpc/grpc-js");
const server = new grpc.Server();
const path = "/grpc.health.v1.Health/Check";
const raw = (bytes) => bytes;
const method = { path, requestStream: false, responseStream: false, requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };
let asked = 0;
server.addService({ check: method }, { check: (call, reply) => reply(null, Buffer.from([8, ++asked < 3 ? 2 : 1])) });
server.bindAsync((process.env.HOST || "0.0.0.0") + ":9090", grpc.ServerCredentials.createInsecure(), () => {});
`;

test("a gRPC probe asks the standard health service", { skip }, async () => {
  const program = JSON.stringify(["node", "-e", GRPC]);
  await apply(`
apiVersion: v1
kind: Pod
metadata: {name: health}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: none
    workingDir: ${JSON.stringify(process.cwd())}
    command: ${program}
    startupProbe: {grpc: {port: 9090}, periodSeconds: 1, failureThreshold: 30}
    readinessProbe: {grpc: {port: 9090, service: shop}, periodSeconds: 1}
`);
  const ready = await cluster.kubectl("wait --for=condition=ready pod/health --timeout=60s");
  assert.equal(ready.code, 0, ready.err);
});
