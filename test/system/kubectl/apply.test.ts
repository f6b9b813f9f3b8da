import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestServer } from "../../unit/apiserver/support/server.ts";
import { kubectl, kubectlAbsence } from "./kubectl.ts";

const skip = kubectlAbsence() ?? false;

const WEB = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default, labels: {team: a}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: "web:1"
        ports: [{containerPort: 80}]
        livenessProbe: {httpGet: {port: 80}}
`;

test("apply --server-side tells of another's fields, and takes them when it is told to", { skip }, async (context) => {
  const server = await startTestServer(context);
  const apply = (more: string, input: string) => kubectl(server, `apply --server-side ${more}-f -`, { input });
  assert.match((await apply("", WEB)).out, /deployment.apps\/web serverside-applied/);
  assert.equal((await kubectl(server, "scale deploy/web --replicas=4")).code, 0);
  const refused = await apply("", WEB.replace("replicas: 1", "replicas: 2"));
  assert.equal(refused.code, 1);
  assert.match(refused.err, /Apply failed with 1 conflict: conflict with "kubectl".*: \.spec\.replicas/);
  // Without the field, or with the other's value, there is nothing to fight about.
  assert.equal((await apply("", WEB.replace("replicas: 1\n", "\n"))).code, 0);
  const replicas = () => kubectl(server, "get deploy web -o jsonpath={.spec.replicas}");
  assert.equal((await replicas()).out, "4");
  assert.equal((await apply("--force-conflicts ", WEB)).code, 0);
  assert.equal((await replicas()).out, "1");
});

test("what an applier no longer declares goes, what another one owns stays", { skip }, async (context) => {
  const server = await startTestServer(context);
  const apply = (manager: string, input: string) =>
    kubectl(server, `apply --server-side --field-manager ${manager} -f -`, { input });
  assert.equal((await apply("one", WEB)).code, 0);
  const shared = await apply(
    "two",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default, labels: {team: a, tier: b}}\n",
  );
  assert.equal(shared.code, 0, shared.err);
  const less = WEB.replace(", labels: {team: a}", "").replace("        livenessProbe: {httpGet: {port: 80}}\n", "");
  const done = await apply("one", less);
  assert.equal(done.code, 0, done.err);
  const { out } = await kubectl(server, "get deploy web -o json");
  const object = JSON.parse(out);
  assert.deepEqual(object.metadata.labels, { team: "a", tier: "b" });
  const [container] = object.spec.template.spec.containers;
  assert.equal(container.livenessProbe, undefined);
  assert.deepEqual(container.ports, [{ containerPort: 80, protocol: "TCP" }]);
});

test("from client-side to server-side apply the fields move with their owner", { skip }, async (context) => {
  const server = await startTestServer(context);
  assert.equal((await kubectl(server, "apply -f -", { input: WEB })).code, 0);
  const moved = await kubectl(server, "apply --server-side -f -", { input: WEB.replace("web:1", "web:2") });
  assert.equal(moved.code, 0, moved.err);
  const shown = await kubectl(server, "get deploy web -o json --show-managed-fields");
  const entries: { manager: string; operation: string }[] = JSON.parse(shown.out).metadata.managedFields;
  assert.deepEqual(
    entries.map(({ manager, operation }) => `${manager} ${operation}`),
    // kubectl itself keeps the annotation of client-side apply up under a name of its own.
    ["kubectl Apply", "kubectl-last-applied Apply"],
  );
  // The image is the applier's alone now: leaving out the port takes it away.
  const less = WEB.replace("web:1", "web:2").replace("        ports: [{containerPort: 80}]\n", "");
  const fewer = await kubectl(server, "apply --server-side -f -", { input: less });
  assert.equal(fewer.code, 0, fewer.err);
  const ports = await kubectl(server, "get deploy web -o jsonpath={.spec.template.spec.containers[0].ports}");
  assert.equal(ports.out, "");
});

test("explain knows the fields of built-in and custom kinds", { skip }, async (context) => {
  const server = await startTestServer(context);
  const strategy = await kubectl(server, "explain deploy.spec.strategy");
  assert.match(strategy.out, /KIND: +Deployment\nVERSION: +v1/);
  assert.match(strategy.out, /rollingUpdate\t<Object>/);
  assert.match(strategy.out, /enum: RollingUpdate, Recreate/);
  assert.match((await kubectl(server, "explain pod.spec.containers.env.valueFrom")).out, /configMapKeyRef\t<Object>/);
  const route = await kubectl(server, "explain virtualservice.spec.http.retries");
  assert.match(route.out, /attempts\t<integer>/);
  assert.match((await kubectl(server, "explain deploy --recursive")).out, /revisionHistoryLimit\t<integer>/);
});
