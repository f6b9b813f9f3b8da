// The trace store's Service, and the backends that it stands in for while there is none.

import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointSliceKind } from "../../../src/api/kubernetes/endpoint-slice.ts";
import { serviceKind } from "../../../src/api/kubernetes/service.ts";
import { keepTraceService } from "../../../src/cluster/trace-service.ts";
import { startTestServer } from "../apiserver/support/server.ts";

const ROOT = "istio-system";
const PORTS = { otlpGrpc: 14317, otlpHttp: 14318, zipkin: 19411, jaeger: 16831 };

test("it has a Service of its own, and stands in for a backend until a pod of that is there", async (context) => {
  const { api, call } = await startTestServer(context);
  const { client } = api;
  await call("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name: ROOT } });
  const warnings: string[] = [];
  const kept = keepTraceService({
    client,
    address: "10.0.0.1",
    ports: PORTS,
    warn: (message) => warnings.push(message),
  });
  context.after(() => kept.stop());
  const slices = async (service: string): Promise<readonly string[]> => {
    const labelSelector = `kubernetes.io/service-name=${service}`;
    const found = await client.list(endpointSliceKind, { namespace: ROOT, labelSelector });
    return found.ok ? found.value.map((slice) => JSON.stringify([slice.ports, slice.endpoints])) : [];
  };
  const until = async (service: string, holds: (found: readonly string[]) => boolean): Promise<readonly string[]> => {
    for (const over = Date.now() + 5_000; ; ) {
      const found = await slices(service);
      if (holds(found)) return found;
      assert.ok(Date.now() < over, `${service}: ${JSON.stringify(found)}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const [own = ""] = await until("weft-traces", (found) => found.length === 1);
  assert.match(own, /"port":14317.*"port":14318.*"port":19411.*"port":16831,"protocol":"UDP".*10\.0\.0\.1/);

  // The post's, without a pod that it would select.
  await client.create(serviceKind, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "jaeger", namespace: ROOT },
    spec: { selector: { app: "jaeger" }, ports: [{ port: 6831, protocol: "UDP", targetPort: 6831 }] },
  });
  const [standIn = ""] = await until("jaeger", (found) => found.length === 1);
  assert.equal(
    standIn,
    JSON.stringify([
      [{ name: "", port: 16831, protocol: "UDP" }],
      [{ addresses: ["10.0.0.1"], conditions: { ready: true } }],
    ]),
  );

  // A pod that is not ready yet is a backend already.
  const theirs = { "kubernetes.io/service-name": "jaeger" };
  await client.create(endpointSliceKind, {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "jaeger-abc", namespace: ROOT, labels: theirs },
    addressType: "IPv4",
    ports: [{ name: "", port: 6831, protocol: "UDP" }],
    endpoints: [{ addresses: ["10.1.0.9"], conditions: { ready: false } }],
  });
  const [left = ""] = await until("jaeger", (found) => found.length === 1 && found[0] !== standIn);
  assert.match(left, /10\.1\.0\.9/);
  await client.remove(endpointSliceKind, { namespace: ROOT, name: "jaeger-abc" });
  assert.deepEqual(await until("jaeger", (found) => found.length === 1), [standIn]);

  // A Service whose endpoints somebody else writes is none of its business; its own comes back.
  await client.create(serviceKind, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "zipkin", namespace: ROOT },
    spec: { ports: [{ port: 9411 }] },
  });
  await client.remove(serviceKind, { namespace: ROOT, name: "weft-traces" });
  for (
    const over = Date.now() + 5_000;
    !(await client.get(serviceKind, { namespace: ROOT, name: "weft-traces" })).ok;
  ) {
    assert.ok(Date.now() < over);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual(await slices("zipkin"), []);
  assert.deepEqual(warnings, []);
});
