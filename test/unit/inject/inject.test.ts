// Injection: the post's shape, the pod's own wishes, and that doing it twice changes nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseJson, parseYamlDocuments } from "../../../src/base/json.ts";
import { decideInjection } from "../../../src/inject/decide.ts";
import { injectText } from "../../../src/inject/documents.ts";
import { DEFAULT_INJECT_OPTIONS } from "../../../src/inject/options.ts";
import { injectPod, workloadOfPod } from "../../../src/inject/pod.ts";
import { type Json, recordAt, recordsAt, stringAt, stringsAt } from "../../../src/inject/shape.ts";

const options = DEFAULT_INJECT_OPTIONS;

function pod(spec: Json, metadata: Json = { name: "app", labels: { app: "api", version: "v1" } }): Json {
  return { apiVersion: "v1", kind: "Pod", metadata, spec };
}

function inject(input: Json): Json {
  const result = injectPod(input, workloadOfPod(input, "production"), options);
  assert.deepEqual(
    result.issues.filter((issue) => issue.severity === "error"),
    [],
  );
  return result.pod;
}

function proxyOf(input: Json): Json {
  const found = recordsAt(recordAt(input, "spec"), "containers").find((entry) => entry["name"] === "istio-proxy");
  assert.ok(found);
  return found;
}

function envOf(container: Json, name: string): string | undefined {
  return stringAt(
    recordsAt(container, "env").find((entry) => entry["name"] === name),
    "value",
  );
}

test("a pod gets the proxy after its containers, hardened and sized as the post has it", () => {
  const result = inject(pod({ containers: [{ name: "api", image: "myapi:1.0", ports: [{ containerPort: 8080 }] }] }));
  const names = recordsAt(recordAt(result, "spec"), "containers").map((entry) => entry["name"]);
  assert.deepEqual(names, ["api", "istio-proxy"]);
  const proxy = proxyOf(result);
  assert.deepEqual(proxy["resources"], {
    requests: { cpu: "100m", memory: "50Mi" },
    limits: { cpu: "200m", memory: "100Mi" },
  });
  const security = recordAt(proxy, "securityContext");
  assert.equal(security["allowPrivilegeEscalation"], false);
  assert.equal(security["readOnlyRootFilesystem"], true);
  assert.equal(security["runAsNonRoot"], true);
  assert.deepEqual(security["capabilities"], { drop: ["ALL"] });
  assert.deepEqual(recordAt(recordAt(proxy, "readinessProbe"), "httpGet"), { path: "/healthz/ready", port: 15021 });
  assert.equal(envOf(proxy, "ISTIO_META_WORKLOAD_NAME"), "app");
  assert.equal(envOf(proxy, "ISTIO_META_POD_PORTS"), '[{"containerPort":8080,"protocol":"TCP"}]');
  const labels = stringsAt(recordAt(result, "metadata"), "labels");
  assert.equal(labels["service.istio.io/canonical-name"], "api");
  assert.equal(labels["service.istio.io/canonical-revision"], "v1");
  assert.equal(labels["security.istio.io/tlsMode"], "istio");
  const annotations = stringsAt(recordAt(result, "metadata"), "annotations");
  const status = parseJson(annotations["sidecar.istio.io/status"] ?? "");
  assert.ok(status.ok);
  assert.deepEqual(recordAt(status, "value")["containers"], ["istio-proxy"]);
  const token = recordsAt(recordAt(result, "spec"), "volumes").find((volume) => volume["name"] === "istio-token");
  assert.equal(
    stringAt(recordAt(recordsAt(recordAt(token, "projected"), "sources")[0], "serviceAccountToken"), "audience"),
    "istio-ca",
  );
});

test("the post's own istio-proxy container overrides the template field by field", () => {
  const result = inject(
    pod({
      containers: [
        {
          name: "istio-proxy",
          image: "istio/proxyv2:latest",
          resources: { limits: { cpu: "300m" } },
          env: [
            { name: "ISTIO_META_WORKLOAD_NAME", value: "special" },
            { name: "EXTRA", value: "1" },
          ],
        },
        { name: "app", image: "myapp:latest" },
      ],
    }),
  );
  const proxy = proxyOf(result);
  assert.equal(proxy["image"], "istio/proxyv2:latest");
  assert.equal(envOf(proxy, "ISTIO_META_WORKLOAD_NAME"), "special");
  assert.equal(envOf(proxy, "EXTRA"), "1");
  assert.equal(envOf(proxy, "CA_ADDR"), options.discoveryAddress);
  assert.deepEqual(recordAt(proxy, "resources")["limits"], { cpu: "300m", memory: "100Mi" });
  assert.deepEqual(
    recordsAt(recordAt(result, "spec"), "containers").map((entry) => entry["name"]),
    ["app", "istio-proxy"],
  );
});

test("probes and hooks are asked through 15020, by the port's number", () => {
  const result = inject(
    pod({
      containers: [
        {
          name: "api",
          ports: [{ name: "http", containerPort: 8080 }],
          readinessProbe: { httpGet: { path: "/ready", port: "http" }, periodSeconds: 3 },
          livenessProbe: { tcpSocket: { port: 8080 }, timeoutSeconds: 2 },
          startupProbe: { exec: { command: ["true"] } },
          lifecycle: { preStop: { httpGet: { path: "/bye", port: 8080 } } },
        },
      ],
    }),
  );
  const app = recordsAt(recordAt(result, "spec"), "containers")[0] ?? {};
  assert.deepEqual(app["readinessProbe"], {
    periodSeconds: 3,
    httpGet: { path: "/app-health/api/readyz", port: 15020 },
  });
  assert.deepEqual(app["startupProbe"], { exec: { command: ["true"] } });
  const probers = parseJson(envOf(proxyOf(result), "ISTIO_KUBE_APP_PROBERS") ?? "");
  assert.ok(probers.ok);
  assert.deepEqual(probers.value, {
    "/app-health/api/readyz": { httpGet: { path: "/ready", port: 8080 }, timeoutSeconds: 1 },
    "/app-health/api/livez": { tcpSocket: { port: 8080 }, timeoutSeconds: 2 },
    "/app-lifecycle/api/prestopz": { httpGet: { path: "/bye", port: 8080 } },
  });
});

test("annotations change the template; a bad value is refused with its path", () => {
  const annotations = {
    "sidecar.istio.io/proxyCPU": "20m",
    "sidecar.istio.io/proxyMemoryLimit": "64Mi",
    "sidecar.istio.io/proxyImage": "own/proxy:1",
    "sidecar.istio.io/rewriteAppHTTPProbers": "false",
    "traffic.sidecar.istio.io/excludeOutboundPorts": "5432",
  };
  const input = pod(
    { containers: [{ name: "a", readinessProbe: { httpGet: { path: "/", port: 80 } } }] },
    { name: "a", annotations },
  );
  const result = injectPod(input, workloadOfPod(input, "x"), options);
  const proxy = proxyOf(result.pod);
  assert.equal(proxy["image"], "own/proxy:1");
  assert.deepEqual(proxy["resources"], {
    requests: { cpu: "20m", memory: "50Mi" },
    limits: { cpu: "200m", memory: "64Mi" },
  });
  assert.equal(envOf(proxy, "ISTIO_KUBE_APP_PROBERS"), undefined);
  assert.equal(result.issues[0]?.severity, "warning");
  assert.match(result.issues[0]?.path ?? "", /excludeOutboundPorts/);

  const bad = pod({ containers: [{ name: "a" }] }, { name: "a", annotations: { "sidecar.istio.io/proxyCPU": "lots" } });
  const refused = injectPod(bad, workloadOfPod(bad, "x"), options);
  assert.equal(refused.pod, bad);
  assert.equal(refused.issues[0]?.path, "metadata.annotations[sidecar.istio.io/proxyCPU]");
});

test("who gets a sidecar", () => {
  const plain = pod({ containers: [{ name: "a" }] }, { name: "a" });
  const labelled = (value: string): Json =>
    pod({ containers: [] }, { name: "a", labels: { "sidecar.istio.io/inject": value } });
  const annotated = pod({ containers: [] }, { name: "a", annotations: { "sidecar.istio.io/inject": "false" } });
  const host = pod({ containers: [], hostNetwork: true }, { name: "a" });
  const decide = (input: Json, label: string | undefined, name = "shop"): boolean =>
    decideInjection(input, { name, labels: label === undefined ? {} : { "istio-injection": label } }).inject;
  assert.equal(decide(plain, "enabled"), true);
  assert.equal(decide(plain, undefined), false);
  assert.equal(decide(plain, "enabled", "kube-system"), false);
  assert.equal(decide(labelled("true"), undefined), true);
  assert.equal(decide(labelled("true"), "disabled"), false);
  assert.equal(decide(labelled("false"), "enabled"), false);
  assert.equal(decide(annotated, "enabled"), false);
  assert.equal(decide(host, "enabled"), false);
});

test("a pod of a Deployment is named after it", () => {
  const owned = pod(
    { containers: [] },
    {
      generateName: "api-v1-6d5f9-",
      labels: { "pod-template-hash": "6d5f9" },
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "ReplicaSet", name: "api-v1-6d5f9", uid: "1", controller: true },
      ],
    },
  );
  assert.deepEqual(workloadOfPod(owned, "production"), {
    name: "api-v1",
    owner: "kubernetes://apis/apps/v1/namespaces/production/deployments/api-v1",
  });
});

test("injecting twice is injecting once", () => {
  const name = fc.stringMatching(/^[a-z]{1,8}$/);
  const port = fc.integer({ min: 1, max: 65_535 });
  const probe = fc.oneof(
    fc.record({ httpGet: fc.record({ path: fc.constant("/x"), port }) }),
    fc.record({ tcpSocket: fc.record({ port }) }),
    fc.record({ exec: fc.constant({ command: ["true"] }) }),
  );
  const container = fc.record(
    { name, image: name, ports: fc.array(fc.record({ containerPort: port }), { maxLength: 3 }), readinessProbe: probe },
    { requiredKeys: ["name"] },
  );
  const override = fc.record(
    {
      name: fc.constant("istio-proxy"),
      image: fc.constantFrom("auto", "istio/proxyv2:1"),
      env: fc.array(fc.record({ name, value: name }), { maxLength: 2 }),
    },
    { requiredKeys: ["name"] },
  );
  const pods = fc.record({
    labels: fc.dictionary(name, name),
    annotations: fc.dictionary(name, name),
    containers: fc.tuple(fc.array(container, { minLength: 1, maxLength: 3 }), fc.option(override)),
    volumes: fc.array(fc.record({ name }), { maxLength: 2 }),
  });
  fc.assert(
    fc.property(pods, ({ labels, annotations, containers: [own, proxy], volumes }) => {
      const containers = proxy === null ? own : [...own, proxy];
      const once = inject(pod({ containers, volumes }, { name: "p", labels, annotations }));
      assert.deepEqual(inject(once), once);
      assert.equal(recordsAt(recordAt(once, "spec"), "containers").at(-1)?.["name"], "istio-proxy");
    }),
    { numRuns: 200 },
  );
});

test("offline: workloads change, other documents stay byte for byte", () => {
  const text = [
    "# the service\napiVersion: v1\nkind: Service # keep me\nmetadata: {name: api}\n",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: api\nspec:\n  template:\n    metadata:\n      labels: {app: api}\n    spec:\n      containers:\n      - name: app\n        image: a\n",
    "# only a comment\n",
  ].join("---\n");
  const result = injectText(text, options);
  assert.ok(result.ok);
  assert.ok(result.value.text.startsWith("# the service\napiVersion: v1\nkind: Service # keep me\n"));
  assert.ok(result.value.text.endsWith("---\n# only a comment\n"));
  const documents = parseYamlDocuments(result.value.text);
  assert.ok(documents.ok);
  const template = recordAt(recordAt(documents.value[1]?.value, "spec"), "template");
  assert.equal(envOf(proxyOf(template), "ISTIO_META_WORKLOAD_NAME"), "api");
  const again = injectText(result.value.text, options);
  assert.ok(again.ok);
  assert.equal(again.value.text, result.value.text);
});

test("offline: the items of a List, and a syntax error with its line", () => {
  const list = injectText(
    '{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a"}]}}]}',
    options,
  );
  assert.ok(list.ok);
  assert.match(list.value.text, /istio-proxy/);
  const broken = injectText("a: 1\nb: [\n", options);
  assert.ok(!broken.ok);
  assert.match(broken.error, /line \d+/);
});

test("a pod injected for one cluster is fitted to the one it meets, and back", () => {
  const once = inject(pod({ containers: [{ name: "a" }] }));
  const explicit = { ...options, interceptionMode: "NONE", discoveryAddress: "127.0.0.1:4000" } as const;
  const there = injectPod(once, workloadOfPod(once, "production"), explicit).pod;
  assert.equal(envOf(proxyOf(there), "ISTIO_META_INTERCEPTION_MODE"), "NONE");
  assert.equal(envOf(proxyOf(there), "CA_ADDR"), "127.0.0.1:4000");
  assert.equal(envOf(proxyOf(there), "PROXY_CONFIG"), '{"discoveryAddress":"127.0.0.1:4000"}');
  assert.deepEqual(inject(there), once);
});

test("the gateway template makes the pod's own container the proxy of the mesh's edge", () => {
  const annotations = {
    "inject.istio.io/templates": "gateway",
    "proxy.istio.io/config": "gatewayTopology: {numTrustedProxies: 2}\nconcurrency: 4\n",
  };
  const input = pod(
    { containers: [{ name: "istio-proxy", image: "auto", ports: [{ containerPort: 8443 }] }] },
    { name: "ingress", labels: { istio: "ingressgateway" }, annotations },
  );
  const { pod: result, issues } = injectPod(input, workloadOfPod(input, "edge"), options);
  assert.deepEqual(
    issues.map(({ message }) => message),
    ["accepted, but a sidecar of weft serves with one thread"],
  );
  const proxy = proxyOf(result);
  assert.deepEqual(recordsAt(recordAt(result, "spec"), "containers").length, 1);
  assert.deepEqual(Object(proxy["args"]).slice(0, 2), ["proxy", "router"]);
  assert.equal(proxy["image"], options.image);
  assert.deepEqual(recordsAt(proxy, "ports").at(-1), { containerPort: 8443 });
  assert.match(envOf(proxy, "PROXY_CONFIG") ?? "", /"gatewayTopology":\{"numTrustedProxies":2\}/);
  const labels = stringsAt(recordAt(result, "metadata"), "labels");
  assert.equal(labels["security.istio.io/tlsMode"], undefined);
  assert.equal(labels["istio"], "ingressgateway");
  assert.equal(
    envOf(
      proxyOf(injectPod(result, workloadOfPod(result, "edge"), { ...options, discoveryAddress: "a:1" }).pod),
      "PROXY_CONFIG",
    ),
    '{"concurrency":4,"discoveryAddress":"a:1","gatewayTopology":{"numTrustedProxies":2}}',
  );
});
