// Injection as the API server's admission: what MeshConfig and ProxyConfigs say is in the pods that are made afterwards.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { KubeClient } from "../../../src/api/client.ts";
import { injectionPlugin } from "../../../src/cluster/injection.ts";
import { DEFAULT_INJECT_OPTIONS } from "../../../src/inject/options.ts";
import { recordAt, recordsAt, stringAt } from "../../../src/inject/shape.ts";
import { startTestServer } from "../apiserver/support/server.ts";

const NETWORKING = "/apis/networking.istio.io/v1beta1/namespaces";

test("MeshConfig, ProxyConfigs and the pod's annotation are in the environment of its proxy", async (context) => {
  const given: { client?: KubeClient } = {};
  const client = (): KubeClient => {
    assert.ok(given.client);
    return given.client;
  };
  const server = await startTestServer(context, { admission: [injectionPlugin(client, DEFAULT_INJECT_OPTIONS)] });
  given.client = server.api.client;
  const made = async (url: string, body: object) => {
    const answer = await server.call("POST", url, body);
    assert.equal(answer.code, 201, JSON.stringify(answer.body));
    return answer;
  };
  for (const [name, labels] of [
    ["istio-system", {}],
    ["production", { "istio-injection": "enabled" }],
  ] as const) {
    await made("/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  }
  const mesh = "defaultConfig: {terminationDrainDuration: 9s, proxyMetadata: {FROM: mesh, MESH: 'yes'}}";
  await made("/api/v1/namespaces/istio-system/configmaps", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "istio" },
    data: { mesh },
  });
  const proxyConfig = (name: string, spec: object) => ({
    apiVersion: "networking.istio.io/v1beta1",
    kind: "ProxyConfig",
    metadata: { name },
    spec,
  });
  const ofApi = { selector: { matchLabels: { app: "api" } }, environmentVariables: { FROM: "workload" } };
  await made(`${NETWORKING}/production/proxyconfigs`, proxyConfig("api", ofApi));
  await made(`${NETWORKING}/production/proxyconfigs`, proxyConfig("image", { image: { imageType: "debug" } }));
  const proxyOf = async (name: string, annotations: Readonly<Record<string, string>> = {}) => {
    const { body } = await made("/api/v1/namespaces/production/pods", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { app: name }, annotations },
      spec: { containers: [{ name: "app", image: "app" }] },
    });
    const proxy = recordsAt(recordAt(body, "spec"), "containers").find((each) => each["name"] === "istio-proxy");
    assert.ok(proxy);
    const env = recordsAt(proxy, "env").map((entry) => [stringAt(entry, "name"), stringAt(entry, "value")]);
    return { image: proxy["image"], env: Object.fromEntries(env) };
  };
  const api = await proxyOf("api", { "proxy.istio.io/config": "{proxyMetadata: {OWN: 'yes'}}" });
  assert.equal(api.env["FROM"], "workload");
  assert.equal(api.env["MESH"], "yes");
  assert.equal(api.env["OWN"], "yes");
  assert.match(api.env["PROXY_CONFIG"], /"terminationDrainDuration":"9s"/);
  assert.equal(api.image, "weft/proxy:debug");
  const web = await proxyOf("web");
  assert.equal(web.env["FROM"], "mesh");
});
