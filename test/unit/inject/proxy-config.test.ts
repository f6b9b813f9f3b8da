// How the proxies of pods are told to run: the mesh's word, the namespace's, the workload's, the pod's own.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJson } from "../../../src/base/json.ts";
import { injectText } from "../../../src/inject/documents.ts";
import { DEFAULT_INJECT_OPTIONS } from "../../../src/inject/options.ts";
import { injectPod } from "../../../src/inject/pod.ts";
import { imageOfType, type ProxyConfigWorld, proxySettings } from "../../../src/inject/proxy-config.ts";
import { type Json, recordAt, recordsAt, stringAt } from "../../../src/inject/shape.ts";
import { proxyConfigFindings } from "../../../src/model/proxy-config.ts";

function resource(name: string, namespace: string, spec: object, age = "2026-01-01T00:00:00Z") {
  const metadata = { name, namespace, creationTimestamp: age };
  return { apiVersion: "networking.istio.io/v1beta1", kind: "ProxyConfig", metadata, spec };
}

const WORLD: ProxyConfigWorld = {
  mesh: { concurrency: 2, proxyMetadata: { A: "mesh", B: "mesh" }, terminationDrainDuration: "7s" },
  rootNamespace: "istio-system",
  proxyConfigs: [
    resource("later", "production", { environmentVariables: { B: "later" } }, "2026-02-01T00:00:00Z"),
    resource("all", "istio-system", { concurrency: 3, environmentVariables: { B: "root", C: "root" } }),
    resource("own", "production", { environmentVariables: { C: "namespace", D: "namespace" } }),
    resource("api", "production", { selector: { matchLabels: { app: "api" } }, image: { imageType: "debug" } }),
    resource("other", "staging", { concurrency: 9 }),
  ],
};

test("each level goes over the one before, variables one by one; of two alike the oldest wins", () => {
  assert.deepEqual(proxySettings(WORLD, { namespace: "production", labels: { app: "api" } }), {
    concurrency: 3,
    proxyMetadata: { A: "mesh", B: "root", C: "namespace", D: "namespace" },
    terminationDrainDuration: "7s",
    image: { imageType: "debug" },
  });
  assert.equal(proxySettings(WORLD, { namespace: "production", labels: { app: "web" } }).image, undefined);
  assert.equal(proxySettings(WORLD, { namespace: "staging", labels: {} }).concurrency, 9);
});

test("a second one for the same pods is a conflict, whose winner is named", () => {
  const [finding, ...more] = proxyConfigFindings(WORLD.proxyConfigs);
  assert.deepEqual(more, []);
  assert.equal(finding?.resource.name, "later");
  assert.match(finding?.message ?? "", /ProxyConfig production\/own already covers the whole namespace/);
});

function inject(annotations: Readonly<Record<string, string>>, settings = {}) {
  const pod = {
    metadata: { name: "api", annotations },
    spec: { containers: [{ name: "api", image: "api" }] },
  };
  const options = { ...DEFAULT_INJECT_OPTIONS, proxySettings: settings };
  return injectPod(pod, { name: "api", owner: undefined }, options);
}

const containers = (pod: Json) => recordsAt(recordAt(pod, "spec"), "containers");
const proxyOf = (pod: Json) => containers(pod).find((each) => each["name"] === "istio-proxy") ?? {};
const variables = (pod: Json) =>
  Object.fromEntries(recordsAt(proxyOf(pod), "env").map((entry) => [stringAt(entry, "name"), entry["value"]]));

test("the annotation goes over all: variables, interception, drain, order of containers, image", () => {
  const annotation = `
proxyMetadata: {ISTIO_META_DNS_CAPTURE: "true", ISTIO_META_MESH_ID: own}
terminationDrainDuration: 20s
holdApplicationUntilProxyStarts: true
interceptionMode: NONE
image: {imageType: distroless}
`;
  const { pod, issues } = inject({ "proxy.istio.io/config": annotation }, { proxyMetadata: { FROM_MESH: "yes" } });
  assert.deepEqual(issues, []);
  const env = variables(pod);
  assert.equal(env["ISTIO_META_DNS_CAPTURE"], "true");
  assert.equal(env["ISTIO_META_MESH_ID"], "own");
  assert.equal(env["FROM_MESH"], "yes");
  assert.equal(env["ISTIO_META_INTERCEPTION_MODE"], "NONE");
  assert.equal(proxyOf(pod)["image"], "weft/proxy:distroless");
  assert.deepEqual(
    containers(pod).map((each) => each["name"]),
    ["istio-proxy", "api"],
  );
  const config = parseJson(String(env["PROXY_CONFIG"]));
  assert.ok(config.ok);
  assert.equal(stringAt(config.value, "terminationDrainDuration"), "20s");
  assert.equal(stringAt(config.value, "discoveryAddress"), "istiod.istio-system.svc:15012");
  const again = injectPod(pod, { name: "api", owner: undefined }, DEFAULT_INJECT_OPTIONS).pod;
  assert.equal(variables(again)["PROXY_CONFIG"], env["PROXY_CONFIG"], "what was injected keeps its own");
});

test("what is wrong in the annotation refuses the pod, and what has no effect is said", () => {
  const at = "metadata.annotations[proxy.istio.io/config]";
  const wrong = inject({ "proxy.istio.io/config": "concurrency: many" });
  assert.deepEqual(
    wrong.issues.filter(({ severity }) => severity === "error").map(({ path }) => path),
    [`${at}.concurrency`],
  );
  const without = inject({ "proxy.istio.io/config": "{drainDuration: 45s, nonsense: 1, interceptionMode: TPROXY}" });
  assert.deepEqual(
    without.issues.map(({ severity, path }) => [severity, path]),
    [
      ["warning", `${at}.nonsense`],
      ["warning", `${at}.drainDuration`],
      ["warning", `${at}.interceptionMode`],
    ],
  );
});

test("an image's type is the end of its tag", () => {
  assert.equal(imageOfType("weft/proxy", undefined), "weft/proxy");
  assert.equal(imageOfType("localhost:5000/weft/proxy", "debug"), "localhost:5000/weft/proxy:debug");
  assert.equal(imageOfType("weft/proxy:1.0", "distroless"), "weft/proxy:1.0-distroless");
  assert.equal(imageOfType("weft/proxy:1.0-distroless", "default"), "weft/proxy:1.0");
});

test("offline, ProxyConfigs of the same text count", () => {
  const text = `apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {name: own, namespace: production}
spec: {environmentVariables: {LEVEL: high}}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: production}
spec: {containers: [{name: api, image: api}]}
`;
  const result = injectText(text, DEFAULT_INJECT_OPTIONS);
  assert.ok(result.ok);
  assert.match(result.value.text, /name: LEVEL\n +value: high/);
});
