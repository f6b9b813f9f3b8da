import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { startTestServer, type TestServer } from "../../unit/apiserver/support/server.ts";
import { kubectl, kubectlAbsence } from "./kubectl.ts";

const skip = kubectlAbsence() ?? false;

const MANIFEST = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: "web:1.0", ports: [{containerPort: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: one, namespace: shop, labels: {app: one}}
spec:
  containers:
  - {name: app, image: "one:1"}
  - {name: side, image: "two:1"}
`;

async function shop(context: TestContext): Promise<TestServer> {
  const server = await startTestServer(context);
  const applied = await kubectl(server, "apply -f -", { input: MANIFEST });
  assert.equal(applied.code, 0, applied.err);
  assert.match(
    applied.out,
    /namespace\/shop created\ndeployment.apps\/web created\nservice\/web created\npod\/one created/,
  );
  return server;
}

test("apply: again is unchanged, a change is a change, a removed field goes", { skip }, async (context) => {
  const server = await shop(context);
  const again = await kubectl(server, "apply -f -", { input: MANIFEST });
  assert.match(again.out, /deployment.apps\/web unchanged\nservice\/web unchanged\npod\/one unchanged/);
  const changed = await kubectl(server, "apply -f -", {
    input: MANIFEST.replace("web:1.0", "web:2.0").replace("replicas: 2", ""),
  });
  assert.match(changed.out, /deployment.apps\/web configured/);
  const shown = await kubectl(
    server,
    "get deploy web -n shop -o jsonpath={.spec.template.spec.containers[0].image},{.spec.replicas}",
  );
  assert.equal(shown.out, "web:2.0,1");
  const diff = await kubectl(server, "diff -f -", { input: MANIFEST });
  assert.match(diff.out, /\+\s+- image: web:1.0|\+\s+image: web:1.0/);
  const dry = await kubectl(server, "apply --dry-run=server -f -", { input: MANIFEST });
  assert.match(dry.out, /deployment.apps\/web configured \(server dry run\)/);
});

test("get prints as Kubernetes prints", { skip }, async (context) => {
  const server = await shop(context);
  const table = async (words: string): Promise<string[][]> => {
    const { out } = await kubectl(server, words);
    return out
      .trimEnd()
      .split("\n")
      .map((line) => line.trim().split(/ {2,}/));
  };
  const status = {
    phase: "Running",
    podIP: "10.1.2.3",
    containerStatuses: ["app", "side"].map((name) => ({
      name,
      ready: true,
      restartCount: name === "app" ? 2 : 0,
      image: "i",
      imageID: "",
      state: { running: {} },
      ...(name === "app"
        ? { lastState: { terminated: { exitCode: 1, finishedAt: new Date(Date.now() - 65_000).toISOString() } } }
        : {}),
    })),
  } as const;
  const ref = { namespace: "shop", name: "one" };
  assert.ok((await server.api.client.mergePatch(podKind, ref, { body: { status }, subresource: "status" })).ok);
  const [header, row] = await table("get pods -n shop");
  assert.deepEqual(header, ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]);
  assert.match(row?.join("|") ?? "", /^one\|2\/2\|Running\|2 \(6\ds ago\)\|\d+s$/);
  const [wideHeader, wide] = await table("get pods -A -o wide");
  assert.deepEqual(wideHeader?.slice(-4), ["IP", "NODE", "NOMINATED NODE", "READINESS GATES"]);
  assert.deepEqual([wide?.[0], wide?.[6], wide?.[7]], ["shop", "10.1.2.3", "<none>"]);
  assert.deepEqual((await table("get deploy -n shop -o wide"))[0], [
    "NAME",
    "READY",
    "UP-TO-DATE",
    "AVAILABLE",
    "AGE",
    "CONTAINERS",
    "IMAGES",
    "SELECTOR",
  ]);
  const [serviceHeader, service] = await table("get svc -n shop");
  assert.deepEqual(serviceHeader, ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]);
  assert.deepEqual([service?.[1], service?.[3], service?.[4]], ["ClusterIP", "<none>", "80/TCP"]);
  assert.equal((await kubectl(server, "get pods,svc -n shop -o name")).out, "pod/one\nservice/web\n");
  assert.equal((await kubectl(server, "get pod one -n shop -o jsonpath={.spec.containers[*].name}")).out, "app side");
  assert.match((await kubectl(server, "get pod one -n shop -o yaml")).out, /^apiVersion: v1\nkind: Pod\n/);
  assert.equal(JSON.parse((await kubectl(server, "get pods -n shop -o json")).out).items[0].kind, "Pod");
  assert.match((await kubectl(server, "get pods -n shop -l app=none")).err, /No resources found in shop namespace/);
  assert.match((await kubectl(server, "get pods -n shop -l app=one")).out, /^one /m);
  assert.match(
    (await kubectl(server, "get all -n shop")).out,
    /pod\/one[\s\S]*service\/web[\s\S]*deployment.apps\/web/,
  );
  assert.match(
    (await kubectl(server, "get pod zz -n shop")).err,
    /Error from server \(NotFound\): pods "zz" not found/,
  );
});

test("get -w follows and wait waits", { skip }, async (context) => {
  const server = await shop(context);
  const watching = kubectl(server, "get pod one -n shop -w -o name --request-timeout=4s");
  const waiting = kubectl(server, "wait pod/one -n shop --for=condition=Ready --timeout=20s");
  const deleted = kubectl(server, "wait pod/one -n shop --for=delete --timeout=20s");
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const body = { status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] } };
  const ref = { namespace: "shop", name: "one" };
  assert.ok((await server.api.client.mergePatch(podKind, ref, { body, subresource: "status" })).ok);
  assert.equal((await waiting).out, "pod/one condition met\n");
  // From 1.34 on kubectl adds the namespace.
  assert.match((await kubectl(server, "delete pod one -n shop")).out, /^pod "one" deleted( from shop namespace)?\n$/);
  assert.equal((await deleted).code, 0);
  assert.equal((await watching).out, "pod/one\npod/one\npod/one\n");
});

test("create, label, annotate, patch in three ways, scale, set, expose, delete", { skip }, async (context) => {
  const server = await shop(context);
  const cases: [string, RegExp][] = [
    ["create namespace other", /namespace\/other created/],
    ["create configmap c -n other --from-literal=a=b", /configmap\/c created/],
    ["create secret generic s -n other --from-literal=a=b", /secret\/s created/],
    ["create serviceaccount x -n other", /serviceaccount\/x created/],
    ["create token x -n other", /^ey/],
    ["create deployment d -n other --image=d:1 --port=80 --replicas=3", /deployment.apps\/d created/],
    ["create service clusterip d -n other --tcp=80:8080", /service\/d created/],
    ["run r -n other --image=r:1 --env=A=b", /pod\/r created/],
    ["label ns other istio-injection=enabled", /namespace\/other labeled/],
    ["annotate deploy web -n shop a=b", /deployment.apps\/web annotated/],
    ["scale deploy web -n shop --replicas=5", /deployment.apps\/web scaled/],
    ["scale deploy web -n shop --replicas=6 --current-replicas=5", /deployment.apps\/web scaled/],
    ["set image deploy/web -n shop web=web:9", /deployment.apps\/web image updated/],
    ["rollout restart deploy/web -n shop", /deployment.apps\/web restarted/],
    ["expose deploy web -n shop --port=81 --name=extra", /service\/extra exposed/],
    ['patch deploy web -n shop --type=json -p=[{"op":"replace","path":"/spec/replicas","value":1}]', /patched/],
    ['patch deploy web -n shop --type=merge -p={"spec":{"minReadySeconds":3}}', /patched/],
    [
      'patch deploy web -n shop -p={"spec":{"template":{"spec":{"containers":[{"name":"web","workingDir":"/x"}]}}}}',
      /patched/,
    ],
  ];
  for (const [words, wanted] of cases) {
    const { out, err } = await kubectl(server, words);
    assert.match(out, wanted, `${words}: ${err}`);
  }
  const path =
    "{.spec.replicas},{.spec.minReadySeconds},{.spec.template.spec.containers[0].image},{.spec.template.spec.containers[0].workingDir}";
  assert.equal((await kubectl(server, `get deploy web -n shop -o jsonpath=${path}`)).out, "1,3,web:9,/x");
  assert.match(
    (await kubectl(server, "delete svc --all -n shop")).out,
    /service "extra" deleted( from shop namespace)?\nservice "web" deleted/,
  );
  assert.match(
    (await kubectl(server, "delete deploy web -n shop --cascade=foreground")).out,
    /deployment.apps "web" deleted/,
  );
  assert.match((await kubectl(server, "delete -f -", { input: MANIFEST, more: ["--wait=false"] })).err, /NotFound/);
  assert.match((await kubectl(server, "get ns shop")).out, /shop +Terminating/);
});

test("custom resources: all versions are one kind, and a strategic patch is refused", { skip }, async (context) => {
  const server = await shop(context);
  const input = `
apiVersion: networking.istio.io/v1beta1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec: {hosts: [api], http: [{route: [{destination: {host: api}}]}]}
`;
  assert.match((await kubectl(server, "apply -f -", { input })).out, /virtualservice.networking.istio.io\/api created/);
  assert.match((await kubectl(server, "get vs -n shop")).out, /^NAME +GATEWAYS +HOSTS +AGE\napi +\["api"\] +\d+s/);
  const merged = await kubectl(server, 'patch virtualservice api -n shop --type merge -p={"spec":{"hosts":["b"]}}');
  assert.match(merged.out, /patched/);
  const strategic = await kubectl(server, 'patch virtualservice api -n shop -p={"spec":{}}');
  assert.match(strategic.err, /application\/strategic-merge-patch\+json is not supported/);
});

test("bad manifests are refused with the field and the reason", { skip }, async (context) => {
  const server = await shop(context);
  const cases: [string, RegExp][] = [
    [MANIFEST.replace("replicas: 2", "replicsa: 2"), /strict decoding error: unknown field "spec.replicsa"/],
    [
      MANIFEST.replace('image: "web:1.0"', 'imgae: "web:1.0"'),
      /unknown field "spec.template.spec.containers\[0\].imgae"/,
    ],
    [MANIFEST.replace("replicas: 2", "replicas: two"), /spec.replicas: expected int32, got string/],
    [
      MANIFEST.replace("{app: web}}\n  template", "{app: other}}\n  template"),
      /spec.selector: Invalid value.*field is immutable/,
    ],
    [
      MANIFEST.replace("kind: Deployment", "kind: Deploymnet"),
      /no matches for kind "Deploymnet" in version "apps\/v1"/,
    ],
    ["a: [", /error converting YAML to JSON/],
  ];
  for (const [input, wanted] of cases) {
    const { code, err } = await kubectl(server, "apply -f -", { input });
    assert.equal(code, 1);
    assert.match(err, wanted);
  }
  const lenient = await kubectl(server, "apply --validate=warn -f -", {
    input: MANIFEST.replace("replicas: 2", "replicsa: 2"),
  });
  assert.equal(lenient.code, 0);
  assert.match(lenient.err, /Warning: unknown field "spec.replicsa"/);
});

test("describe, api-resources, api-versions, explain, version, auth, events", { skip }, async (context) => {
  const server = await shop(context);
  const cases: [string, RegExp][] = [
    ["describe pod one -n shop", /Name: +one[\s\S]*Containers:\n {2}app:[\s\S]*QoS Class: +BestEffort/],
    ["describe deploy web -n shop", /StrategyType: +RollingUpdate[\s\S]*25% max unavailable, 25% max surge/],
    ["describe svc web -n shop", /IP: +10\.96\./],
    ["describe ns shop", /Status: +Active/],
    ["api-resources", /deployments +deploy +apps\/v1 +true +Deployment/],
    ["api-resources --namespaced=false -o name", /namespaces\nnodes\n/],
    ["api-versions", /apps\/v1\n/],
    ["version", /Server Version: v1\.32/],
    ["auth can-i create pods", /^yes/],
    ["events -n shop", /^$/],
    ["get --raw /readyz", /^ok/],
    ["cluster-info", /Kubernetes control plane.* is running/],
  ];
  for (const [words, wanted] of cases) {
    const { out, err } = await kubectl(server, words);
    assert.match(out, wanted, `${words}: ${err}`);
  }
});

test("logs and exec reach the container that was meant", { skip }, async (context) => {
  const server = await shop(context);
  assert.equal((await kubectl(server, "logs one -n shop -c side --tail=1")).out, "side says two\n");
  assert.match((await kubectl(server, "logs one -n shop")).err, /Defaulted container "app" out of: app, side/);
  const script = "echo out; echo err >&2; exit 3";
  const ran = await kubectl(server, "exec one -n shop -c app -- sh -c", { more: [script] });
  assert.deepEqual([ran.code, ran.out, ran.err], [3, "out\n", "err\ncommand terminated with exit code 3\n"]);
  const piped = await kubectl(server, "exec -i one -n shop -c side -- cat", { input: "data" });
  assert.equal(piped.out, "data");
  assert.match((await kubectl(server, "exec one -n shop -c zz -- ls")).err, /container zz is not valid for pod one/);
});
