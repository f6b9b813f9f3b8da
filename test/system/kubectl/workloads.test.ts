// Kinds that make pods, on a whole cluster.

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

function job(name: string, spec: string, command: string): string {
  return `
apiVersion: batch/v1
kind: Job
metadata: {name: ${name}}
spec:
  ${spec}
  template:
    spec:
      restartPolicy: Never
      containers:
      - {name: main, image: none, command: [sh, -c, '${command}']}
`;
}

test("a Job ends with its pods, one of an index each, and with their failure", { skip }, async () => {
  const spec = "completions: 3\n  parallelism: 2\n  completionMode: Indexed";
  await apply(job("indexed", spec, "echo index $JOB_COMPLETION_INDEX of $HOSTNAME"));
  await apply(job("broken", "backoffLimit: 0", "exit 3"));
  assert.equal((await cluster.kubectl("wait --for=condition=complete job/indexed --timeout=60s")).code, 0);
  assert.equal((await cluster.kubectl("wait --for=condition=failed job/broken --timeout=60s")).code, 0);
  const logs = await cluster.kubectl("logs -l job-name=indexed --prefix=false");
  assert.deepEqual(
    logs.out.trim().split("\n").sort(),
    [0, 1, 2].map((index) => `index ${index} of indexed-${index}`),
  );
  const shown = await cluster.kubectl("get jobs --no-headers");
  assert.match(shown.out, /broken +Failed +0\/1/);
  assert.match(shown.out, /indexed +Complete +3\/3/);
  // Its pods go with it.
  assert.equal((await cluster.kubectl("delete job indexed")).code, 0);
  await until(() => cluster.kubectl("get pods -l job-name=indexed -o name"), /^$/, "the pods to go");
});

test("a Job in the mesh ends though its sidecar would go on", { skip }, async () => {
  await apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: mesh, labels: {istio-injection: enabled}}\n");
  await apply(job("short", "backoffLimit: 0", "echo done").replace("{name: short}", "{name: short, namespace: mesh}"));
  const done = await cluster.kubectl("wait --for=condition=complete job/short -n mesh --timeout=60s");
  assert.equal(done.code, 0, done.err);
  const names = await cluster.kubectl(
    "get pods -n mesh -o jsonpath={.items[0].spec.containers[*].name}{.items[0].spec.initContainers[*].name}",
  );
  assert.match(names.out, /istio-proxy/);
});

test("a CronJob makes a Job in its minute", { skip }, async () => {
  await apply(`
apiVersion: batch/v1
kind: CronJob
metadata: {name: tick}
spec:
  schedule: "* * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: main, image: none, command: [date]}]
`);
  const made = await cluster.kubectl("create job --from=cronjob/tick now");
  assert.equal(made.code, 0, made.err);
  assert.equal((await cluster.kubectl("wait --for=condition=complete job/now --timeout=60s")).code, 0);
  await until(() => cluster.kubectl("get cronjob tick -o jsonpath={.status.lastScheduleTime}"), /\d:00Z/, "a tick");
  assert.match((await cluster.kubectl("get jobs -o name")).out, /job.batch\/tick-\d+/);
});

const DATABASE = `
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: none
        command: [sh, -c, 'echo "$HOSTNAME $VERSION" >> "$WEFT_FILES_ROOT/data/log"; exec sleep 1000']
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
`;

test("a StatefulSet keeps names, order and storage, and rolls back", { skip }, async () => {
  await apply(DATABASE);
  const rolled = () => cluster.kubectl("rollout status sts/db --timeout=60s");
  assert.equal((await rolled()).code, 0);
  const times = await cluster.kubectl("get pods -l app=db -o jsonpath={.items[*].metadata.name}");
  assert.equal(times.out, "db-0 db-1");
  assert.equal((await cluster.kubectl("set env sts/db VERSION=2")).code, 0);
  assert.equal((await rolled()).code, 0);
  assert.equal((await cluster.kubectl("rollout undo sts/db")).code, 0);
  assert.equal((await rolled()).code, 0);
  const log = await cluster.kubectl("exec db-1 -- sh -c", { more: ['cat "$WEFT_FILES_ROOT/data/log"'] });
  assert.equal(log.out, "db-1 \ndb-1 2\ndb-1 \n");
  assert.equal((await cluster.kubectl("scale sts/db --replicas=0")).code, 0);
  await until(() => cluster.kubectl("get pods -l app=db -o name"), /^$/, "the pods to go");
  assert.match((await cluster.kubectl("get pvc --no-headers")).out, /data-db-0 +Bound[\s\S]*data-db-1 +Bound/);
});

test("a DaemonSet has one pod on the node, and follows its template", { skip }, async () => {
  const manifest = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: main, image: none, command: [sleep, '1000']}]
`;
  await apply(manifest);
  assert.equal((await cluster.kubectl("rollout status ds/agent --timeout=60s")).code, 0);
  await apply(manifest.replace("1000", "1001"));
  assert.equal((await cluster.kubectl("rollout status ds/agent --timeout=60s")).code, 0);
  const shown = await cluster.kubectl("get ds agent --no-headers");
  assert.match(shown.out, /agent +1 +1 +1 +1 +1 +<none>/);
});

test("top tells what pods use", { skip }, async () => {
  const busy = `
apiVersion: v1
kind: Pod
metadata: {name: busy}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: main, image: none, command: [sh, -c, 'while :; do :; done']}]
`;
  await apply(busy);
  assert.equal((await cluster.kubectl("wait --for=condition=ready pod/busy --timeout=60s")).code, 0);
  await cluster.kubectl("top pod busy");
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  const { out, err } = await cluster.kubectl("top pod busy --no-headers");
  const millis = Number(/busy +(\d+)m +(\d+)/.exec(out)?.[1]);
  assert.ok(millis > 100, `${out}${err}`);
  assert.equal((await cluster.kubectl("delete pod busy")).code, 0);
  assert.equal((await cluster.kubectl("top nodes")).code, 0);
});
