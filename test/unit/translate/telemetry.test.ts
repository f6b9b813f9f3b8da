// How much is traced where: a Telemetry, else the proxy's own ProxyConfig, else the mesh's, else Istio's one percent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Node } from "../../../src/proto/gen/envoy/config/core/v3/base.ts";
import { readNode } from "../../../src/translate/proxy.ts";
import { telemetryOf } from "../../../src/translate/telemetry.ts";
import { snapshotOf } from "./mesh.ts";

const ZIPKIN = `apiVersion: v1
kind: Service
metadata: {name: zipkin, namespace: istio-system}
spec: {clusterIP: 10.96.0.32, ports: [{name: http, port: 9411}]}
`;

function mesh(sampling: string): string {
  return `---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "defaultProviders: {tracing: [zipkin]}\\n${sampling}"}
`;
}

function sampled(manifests: string, proxyConfig?: Record<string, unknown>): number | undefined {
  const id = "sidecar~10.0.0.1~api.production~production.svc.cluster.local";
  const metadata = proxyConfig === undefined ? {} : { PROXY_CONFIG: proxyConfig };
  const proxy = readNode(Node.fromPartial({ id, metadata, userAgentName: "weft" }));
  assert.ok(proxy.ok);
  return telemetryOf(snapshotOf(ZIPKIN + manifests), proxy.value).server?.samplingPercent;
}

test("the nearest word holds", () => {
  const fifty = mesh("defaultConfig: {tracing: {sampling: 50}}");
  const telemetry = `---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: t, namespace: production}
spec: {tracing: [{randomSamplingPercentage: 5}]}
`;
  assert.equal(sampled(""), undefined);
  assert.equal(sampled(mesh("")), 1);
  assert.equal(sampled(fifty), 50);
  assert.equal(sampled(fifty, { tracing: { sampling: 20 } }), 20);
  assert.equal(sampled(fifty, { tracing: { sampling: "much" } }), 50);
  assert.equal(sampled(fifty + telemetry, { tracing: { sampling: 20 } }), 5);
});
