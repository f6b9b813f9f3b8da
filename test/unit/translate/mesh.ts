// Small meshes from manifests, and the proxies that look at them.

import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { readManifests } from "../../../src/ingest/file.ts";
import { defaultMeshConfig, type MeshConfig } from "../../../src/model/mesh-config.ts";
import { buildSnapshot, type MeshSnapshot } from "../../../src/model/snapshot.ts";
import type { ProxyNode } from "../../../src/translate/proxy.ts";

export function snapshotOf(manifests: string, mesh: Partial<MeshConfig> = {}): MeshSnapshot {
  const read = readManifests(manifests);
  assert.ok(read.ok, read.ok ? "" : read.error);
  return buildSnapshot(read.value.resources, { ...defaultMeshConfig, ...mesh });
}

export function proxyOf(overrides: Partial<ProxyNode> = {}): ProxyNode {
  const pod = overrides.pod ?? "frontend-1";
  const namespace = overrides.namespace ?? "production";
  const address = overrides.address ?? "10.244.0.9";
  return {
    type: "sidecar",
    verified: true,
    topology: { numTrustedProxies: 0, forwardClientCertDetails: undefined },
    id: `sidecar~${address}~${pod}.${namespace}~${namespace}.svc.cluster.local`,
    address,
    pod,
    namespace,
    serviceAccount: "frontend",
    labels: { app: "frontend" },
    locality: "",
    mode: "REDIRECT",
    engine: "weft",
    dnsCapture: false,
    virtualHosts: "inline",
    ...overrides,
  };
}

/** Two ready pods of `api`, v1 and v2, behind the Service whose port has no name, and the caller `frontend`. */
export const API_WORKLOADS = `
apiVersion: v1
kind: Pod
metadata: {name: api-v1-1, namespace: production, labels: {app: api, version: v1, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: api, containers: [{name: api, image: api}]}
status: {podIP: 10.244.0.11, phase: Running}
---
apiVersion: v1
kind: Pod
metadata: {name: api-v2-1, namespace: production, labels: {app: api, version: v2, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: api, containers: [{name: api, image: api}]}
status: {podIP: 10.244.0.12, phase: Running}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: production}
spec: {selector: {app: api}, clusterIP: 10.96.0.7, ports: [{port: 8080, targetPort: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: api-1, namespace: production, labels: {kubernetes.io/service-name: api}}
addressType: IPv4
ports: [{name: "", port: 8080, protocol: TCP}]
endpoints:
- {addresses: [10.244.0.11], conditions: {ready: true}, targetRef: {kind: Pod, name: api-v1-1, namespace: production}}
- {addresses: [10.244.0.12], conditions: {ready: true}, targetRef: {kind: Pod, name: api-v2-1, namespace: production}}
`;

export const apiProxy = proxyOf({
  pod: "api-v1-1",
  address: "10.244.0.11",
  serviceAccount: "api",
  labels: { app: "api", version: "v1" },
});

export const gatewayProxy = proxyOf({
  type: "router",
  pod: "ingress-1",
  namespace: "edge",
  address: "10.244.0.30",
  serviceAccount: "ingress",
  labels: { istio: "ingressgateway" },
});

/** The mesh manifests of the post, taken from its text; undefined where it isn't there. */
export function postManifests(): string | undefined {
  const seed = process.env["WEFT_SEED"] ?? path.join(import.meta.dirname, "../../../../shared/seed");
  if (!fs.existsSync(seed)) return undefined;
  const file = fs.readdirSync(seed).find((name) => name.endsWith(".txt"));
  if (file === undefined) return undefined;
  const kinds = /^kind: (PeerAuthentication|DestinationRule|AuthorizationPolicy|VirtualService|Telemetry)$/m;
  return documentsOf(fs.readFileSync(path.join(seed, file), "utf8"))
    .filter((text) => kinds.test(text))
    .join("\n---\n");
}

/** From `apiVersion:` to the next separator, or to what doesn't look like YAML any more. */
function documentsOf(text: string): readonly string[] {
  const documents: string[] = [];
  let lines: string[] | undefined;
  for (const line of text.split("\n")) {
    const ends = line.startsWith("---") || /^[A-Za-z#]/.test(line.replace(/^(kind|metadata|spec|status):.*/, ""));
    if (line.startsWith("apiVersion:")) {
      if (lines !== undefined) documents.push(lines.join("\n"));
      lines = [line];
    } else if (lines !== undefined && ends) {
      documents.push(lines.join("\n"));
      lines = undefined;
    } else lines?.push(line);
  }
  if (lines !== undefined) documents.push(lines.join("\n"));
  return documents;
}
