// What is taken over from the former snapshot never changes what comes out: after each edit, the same as made afresh.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { seededRandom } from "../../../src/base/random.ts";
import { readManifests } from "../../../src/ingest/file.ts";
import type { ResourceName, ResourceSet } from "../../../src/ingest/resources.ts";
import { ResourceStore } from "../../../src/ingest/store.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { buildSnapshot, type MeshSnapshot } from "../../../src/model/snapshot.ts";
import { TranslationMemory, Translator } from "../../../src/translate/translate.ts";
import { API_WORKLOADS, apiProxy, gatewayProxy, proxyOf } from "./mesh.ts";

const rule = (subsets: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: api, namespace: production}
spec: {host: api, subsets: [${subsets}]}`;
const V1 = "{name: v1, labels: {version: v1}}";
const V2 = "{name: v2, labels: {version: v2}}";
const route = (subset: string, more = "") => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: production}
spec: {hosts: [api], http: [{${more}route: [{destination: {host: api, subset: ${subset}}}]}]}`;
const slice = (service: string, port: string, addresses: readonly string[]) => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${service}-1, namespace: production, labels: {kubernetes.io/service-name: ${service}}}
addressType: IPv4
ports: [${port}]
endpoints: [${addresses.map((each) => `{addresses: [${each}], conditions: {ready: true}}`).join(", ")}]`;
const service = (name: string, spec: string) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: production}
spec: {selector: {app: ${name}}, ${spec}}`;
const pod = (account: string, nodeName = "n1") => `
apiVersion: v1
kind: Pod
metadata: {name: api-v2-1, namespace: production, labels: {app: api, version: v2, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: ${account}, nodeName: ${nodeName}, containers: [{name: api, image: api}]}
status: {podIP: 10.244.0.12, phase: Running}`;
const policy = (mode: string) => `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: production}
spec: {mtls: {mode: ${mode}}}`;

const node = (name: string, zone: string) => `
apiVersion: v1
kind: Node
metadata: {name: ${name}, labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: ${zone}}}`;

const gateway = (name: string, server: string) => `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: ${name}, namespace: edge}
spec: {selector: {istio: ingressgateway}, servers: [{port: ${server}]}`;
const bound = (match: string) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bound, namespace: production}
spec: {hosts: [a.example.com], gateways: [edge/web], http: [{${match}route: [{destination: {host: api, subset: v1}}]}, {route: [{destination: {host: api}}]}]}`;
const inFront = (port: string) => `
apiVersion: v1
kind: Service
metadata: {name: front, namespace: edge}
spec: {selector: {istio: ingressgateway}, ports: [{port: 80, targetPort: ${port}}]}`;
const ingress = (port: number) => `
apiVersion: v1
kind: Pod
metadata: {name: ingress-1, namespace: edge, labels: {istio: ingressgateway}}
spec: {containers: [{name: istio-proxy, image: auto, ports: [{name: web, containerPort: ${port}}]}]}
status: {podIP: 10.244.0.30, phase: Running}`;
const secret = (bundle: string) => `
apiVersion: v1
kind: Secret
metadata: {name: web, namespace: edge}
data: {cacert: ${bundle}}`;
const HTTP = "{number: 80, name: http, protocol: HTTP}, hosts: [a.example.com]}";
const HTTPS = "{number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: MUTUAL, credentialName: web}}";

const API_PORT = '{name: "", port: 8080, protocol: TCP}';
const DB_PORT = "{name: tcp, port: 5432, protocol: TCP}";
const EDITS: readonly string[] = [
  rule(V1),
  rule(`${V1}, ${V2}`),
  rule(V2),
  route("v1"),
  route("v2"),
  route("v1", "match: [{sourceLabels: {app: frontend}}], "),
  slice("api", API_PORT, ["10.244.0.11"]),
  slice("api", API_PORT, ["10.244.0.11", "10.244.0.12"]),
  service("api", "clusterIP: 10.96.0.7, ports: [{port: 8080}]"),
  service("api", "clusterIP: 10.96.0.7, ports: [{name: http, port: 80, targetPort: 8080}]"),
  service("db", "clusterIP: None, ports: [{name: tcp, port: 5432}]"),
  slice("db", DB_PORT, ["10.244.0.21"]),
  slice("db", DB_PORT, ["10.244.0.21", "10.244.0.22"]),
  pod("api"),
  pod("other"),
  pod("api", "n2"),
  node("n1", "a"),
  node("n1", "b"),
  node("n2", "b"),
  rule(V1).replace("subsets:", "trafficPolicy: {outlierDetection: {consecutive5xxErrors: 5}}, subsets:"),
  service("api", "clusterIP: 10.96.0.7, trafficDistribution: PreferClose, ports: [{port: 8080}]"),
  gateway("web", HTTP),
  gateway("web", `${HTTP}, {port: ${HTTPS}`),
  gateway("a", HTTPS.replace("443", "80")),
  bound(""),
  bound("match: [{sourceLabels: {istio: ingressgateway}}], "),
  bound("match: [{gateways: [elsewhere]}], "),
  inFront("8080"),
  inFront("web"),
  ingress(9080),
  ingress(9090),
  secret("YQ=="),
  secret("Yg=="),
  policy("STRICT"),
  policy("PERMISSIVE"),
];

function apply(store: ResourceStore, manifests: string): void {
  const read = readManifests(manifests);
  assert.ok(read.ok, read.ok ? "" : read.error);
  const { resources } = read.value;
  putAll(store, "services", resources);
  putAll(store, "nodes", resources);
  putAll(store, "pods", resources);
  putAll(store, "endpointSlices", resources);
  putAll(store, "virtualServices", resources);
  putAll(store, "destinationRules", resources);
  putAll(store, "peerAuthentications", resources);
  putAll(store, "gateways", resources);
  putAll(store, "credentials", resources);
}

function putAll<K extends ResourceName>(store: ResourceStore, name: K, from: ResourceSet): void {
  for (const each of from[name].values()) store.put(name, each);
}

describe("translation that takes over what is equal", () => {
  for (const seed of [1, 2, 3]) {
    it(`gives what a fresh one gives, over 100 edits (seed ${seed})`, () => {
      const random = seededRandom(seed);
      const store = new ResourceStore();
      const memory = new TranslationMemory();
      const proxies = [proxyOf(), apiProxy, proxyOf({ mode: "NONE" }), gatewayProxy];
      let before: MeshSnapshot | undefined;
      apply(store, API_WORKLOADS);
      for (let i = 0; i < 100; i++) {
        const edit = EDITS[Math.floor(random() * EDITS.length)] ?? "";
        apply(store, edit);
        const resources = store.take();
        const learned = { forms: before?.goodForms ?? new Map(), keySets: new Map() };
        const grown: MeshSnapshot = buildSnapshot(resources, defaultMeshConfig, learned, before);
        const fresh = buildSnapshot(resources, defaultMeshConfig, learned);
        before = grown;
        const reusing = new Translator(grown, memory);
        const plain = new Translator(fresh);
        assert.deepEqual(grown.findings, fresh.findings);
        for (const proxy of proxies) {
          assert.deepEqual(reusing.translate(proxy), plain.translate(proxy), `edit ${i}: ${edit}`);
        }
      }
    });
  }
});
