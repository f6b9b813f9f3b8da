// A provider that is defined nowhere: the Service of its name, else the local cluster's trace store.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceResource } from "../../../src/ingest/resources.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { resolveTracer } from "../../../src/model/trace-target.ts";

function service(name: string, port: number, labels: Readonly<Record<string, string>> = {}): [string, ServiceResource] {
  const metadata = { name, namespace: "istio-system", labels };
  return [`istio-system/${name}`, { apiVersion: "v1", kind: "Service", metadata, spec: { ports: [{ port }] } }];
}

const STORE = service("weft-traces", 4317, { "weft.dev/trace-store": "true" });

function resolved(name: string, services: readonly [string, ServiceResource][]): string {
  const found = resolveTracer(name, { mesh: defaultMeshConfig, resources: { services: new Map(services) } });
  return found.ok ? `${found.value.service} ${found.value.protocol}` : found.error;
}

test("the trace store stands in for a backend that is not there, and for no other name", () => {
  const nowhere = "the provider jaeger is defined nowhere, and there is no Service istio-system/jaeger";
  assert.equal(resolved("jaeger", []), nowhere);
  assert.equal(resolved("jaeger", [STORE]), "istio-system/weft-traces otlp-grpc");
  assert.equal(resolved("jaeger", [STORE, service("jaeger", 9411)]), "istio-system/jaeger zipkin");
  assert.equal(resolved("jaegar", [STORE]), nowhere.replaceAll("jaeger", "jaegar"));
});
