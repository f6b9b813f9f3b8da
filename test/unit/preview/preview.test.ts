// `weft preview`: what a cluster would make of manifests, and the configuration of one pod as protobuf JSON.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { describe, it, test } from "node:test";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { makeRegistry } from "../../../src/api/registry.ts";
import { isRecord } from "../../../src/base/json.ts";
import { checkText } from "../../../src/cluster/manifests.ts";
import { DEFAULT_INJECT_OPTIONS } from "../../../src/inject/options.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { deriveWorld } from "../../../src/preview/derive.ts";
import { type Preview, preview } from "../../../src/preview/preview.ts";
import { Cluster } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { Listener } from "../../../src/proto/gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "../../../src/proto/gen/envoy/config/route/v3/route.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { bytesToJson, canonicalMessage } from "../../../src/proto/proto3-json.ts";
import { TYPE_URLS } from "../../../src/serve/resource.ts";
import { Translator } from "../../../src/translate/translate.ts";
import { API_WORKLOADS, apiProxy, proxyOf, snapshotOf } from "../translate/mesh.ts";

const SHOP = `
apiVersion: v1
kind: Namespace
metadata: {name: production, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: production}
spec:
  replicas: 2
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api, version: v1}}
    spec: {serviceAccountName: api, containers: [{name: api, image: api, ports: [{name: web, containerPort: 9000}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, namespace: production}
spec: {selector: {app: api}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: production}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: db}]}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: production}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: v1
kind: Pod
metadata: {name: frontend, namespace: production, labels: {app: frontend}}
spec: {containers: [{name: frontend, image: frontend}]}
`;

describe("the pods and endpoints that manifests stand for", () => {
  it("are those of every workload, with sidecars, names and addresses that stay as more is added", () => {
    const world = deriveWorld(objectsOf(SHOP), DEFAULT_INJECT_OPTIONS);
    assert.deepEqual(
      world.pods.map(({ pod, owner, hasSidecar }) => [pod.metadata.name, owner.kind, hasSidecar]),
      [
        ["api-0", "Deployment", true],
        ["api-1", "Deployment", true],
        ["db-0", "StatefulSet", true],
        ["db-1", "StatefulSet", true],
        ["frontend", "Pod", true],
      ],
    );
    const more = `${SHOP}\n---\n${SHOP.replaceAll("production", "another")}`;
    const address = new Map(addressesOf(deriveWorld(objectsOf(more), DEFAULT_INJECT_OPTIONS).objects));
    for (const [name, before] of addressesOf(world.objects)) assert.equal(address.get(name), before, name);
  });

  it("take a Service's target port from the template's port name, and a StatefulSet's pods keep their host names", () => {
    const { objects } = deriveWorld(objectsOf(SHOP), DEFAULT_INJECT_OPTIONS);
    const slices = objects.filter(({ kind }) => kind === "EndpointSlice");
    assert.deepEqual(
      slices.map((slice) => at(slice, "ports", 0, "port")),
      [9000, 5432],
    );
    assert.deepEqual(
      [0, 1].map((i) => at(slices[1], "endpoints", i, "hostname")),
      ["db-0", "db-1"],
    );
  });

  it("have no sidecar where the namespace or the pod doesn't want one", () => {
    const plain = SHOP.replace("istio-injection: enabled", "istio-injection: disabled");
    const without = deriveWorld(objectsOf(plain), DEFAULT_INJECT_OPTIONS);
    assert.ok(without.pods.every(({ hasSidecar }) => !hasSidecar));
    const own = SHOP.replace("labels: {app: frontend}", 'labels: {app: frontend, sidecar.istio.io/inject: "false"}');
    const but = deriveWorld(objectsOf(own), DEFAULT_INJECT_OPTIONS);
    assert.deepEqual(
      but.pods.filter(({ hasSidecar }) => !hasSidecar).map(({ pod }) => pod.metadata.name),
      ["frontend"],
    );
  });

  it("are the ones that the manifests have already, where somebody printed a running cluster", () => {
    const running = `
apiVersion: v1
kind: Pod
metadata:
  name: api-7d9-x1
  namespace: production
  uid: 1b
  labels: {app: api}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: api-7d9, uid: 1a, controller: true}]
spec: {containers: [{name: api, image: api}]}
status: {podIP: 10.1.2.3, phase: Running, conditions: [{type: Ready, status: "True"}]}
`;
    const world = deriveWorld(objectsOf(`${SHOP}\n---\n${running}`), DEFAULT_INJECT_OPTIONS);
    const api = world.pods.filter(({ pod }) => pod.metadata.labels?.["app"] === "api");
    assert.deepEqual(
      api.map(({ pod, hasSidecar }) => [pod.metadata.name, pod.status?.podIP, hasSidecar]),
      [["api-7d9-x1", "10.1.2.3", false]],
    );
  });
});

describe("the configuration of one pod", () => {
  it("names the listener, route, cluster and endpoints of a call", () => {
    const { configuration } = previewed(SHOP, "frontend");
    const listener = named(configuration.listeners, "0.0.0.0_80");
    const manager = at(listener, "filterChains", 0, "filters", 0, "typedConfig");
    assert.equal(at(manager, "rds", "routeConfigName"), "80");
    const [host] = list(at(named(configuration.routes, "80"), "virtualHosts"));
    const cluster = at(host, "routes", 0, "route", "cluster");
    assert.equal(cluster, "outbound|80||api.production.svc.cluster.local");
    assert.equal(at(named(configuration.clusters, cluster), "connectTimeout"), "10s");
    const endpoints = configuration.endpoints.find((each) => at(each, "clusterName") === cluster);
    assert.deepEqual(
      list(at(endpoints, "endpoints", 0, "lbEndpoints")).map((each) =>
        at(each, "endpoint", "address", "socketAddress", "portValue"),
      ),
      [9000, 9000],
    );
  });

  it("is a workload's by the workload's name, with its inbound side", () => {
    const { configuration, pod } = previewed(SHOP, "api");
    assert.equal(pod.pod.metadata.name, "api-0");
    assert.ok(named(configuration.clusters, "inbound|9000||"));
  });

  it("says which pods there are when the one that is wanted isn't", () => {
    const made = preview(objectsOf(SHOP), { namespace: "production", name: "web" }, OPTIONS);
    assert.ok(!made.ok && made.error.includes("production/frontend"), JSON.stringify(made));
  });

  it("is in explicit mode what explicit mode gets", () => {
    const inject = { ...DEFAULT_INJECT_OPTIONS, interceptionMode: "NONE" } as const;
    const made = preview(objectsOf(SHOP), { namespace: "production", name: "frontend" }, { ...OPTIONS, inject });
    assert.ok(made.ok && named(made.value.configuration.listeners, "http_proxy"));
  });
});

describe("protobuf JSON", () => {
  const root = path.join(import.meta.dirname, "../../golden/translate");

  it("of every golden mesh has no bytes left in it, and is read back as the same message", () => {
    for (const feature of fs.readdirSync(root)) {
      const input = fs.readFileSync(path.join(root, feature, "in.yaml"), "utf8");
      const snapshot = snapshotOf(`${API_WORKLOADS}\n---\n${input.slice(input.indexOf("\n---") + 4)}`);
      for (const proxy of [proxyOf(), proxyOf({ mode: "NONE" }), apiProxy]) {
        const made = new Translator(snapshot).translate({ ...proxy, engine: "envoy" });
        for (const each of made.listeners) same(TYPE_URLS.listener, Listener, each);
        for (const each of made.routes) same(TYPE_URLS.route, RouteConfiguration, each);
        for (const each of made.clusters) same(TYPE_URLS.cluster, Cluster, each);
      }
    }
  });

  it("writes 64-bit numbers as text, bytes as base64, enums by name, wrappers as their value", () => {
    const json = canonicalMessage(TYPE_URLS.cluster, {
      name: "a",
      type: 3,
      connect_timeout: "0.250s",
      per_connection_buffer_limit_bytes: 7,
      ring_hash_lb_config: { minimum_ring_size: 1024 },
      typed_extension_protocol_options: {},
      unknown_to_everybody: 1,
    });
    assert.deepEqual(json, {
      ok: true,
      value: {
        name: "a",
        type: "EDS",
        connectTimeout: "0.250s",
        perConnectionBufferLimitBytes: 7,
        ringHashLbConfig: { minimumRingSize: "1024" },
      },
    });
    const unknown = bytesToJson("type.googleapis.com/nobody.knows.This", new Uint8Array());
    assert.ok(!unknown.ok && unknown.error.includes("nobody.knows.This"));
  });
});

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  toJSON(message: T): unknown;
  fromJSON(json: unknown): T;
}

function same<T>(typeUrl: string, codec: Codec<T>, message: T): void {
  const bytes = codec.encode(message).finish();
  const json = bytesToJson(typeUrl, bytes);
  assert.ok(json.ok, json.ok ? "" : json.error);
  assert.ok(!JSON.stringify(json.value).includes('"typeUrl"'));
  const again = fromEnvoyJson(codec, json.value);
  assert.ok(again.ok, again.ok ? "" : again.error.join("\n"));
  assert.deepEqual(bytesToJson(typeUrl, codec.encode(again.value).finish()), json);
}

const OPTIONS = { mesh: defaultMeshConfig, inject: DEFAULT_INJECT_OPTIONS, engine: "weft" } as const;

function previewed(text: string, name: string): Preview {
  const made = preview(objectsOf(text), { namespace: "production", name }, OPTIONS);
  assert.ok(made.ok, made.ok ? "" : made.error);
  return made.value;
}

function objectsOf(text: string): readonly KubeObject[] {
  const { manifests, others } = checkText("input", text, makeRegistry([...kubernetesKinds, ...istioKinds]));
  return [...manifests.map(({ object, source }) => ({ ...object, status: source["status"] })), ...others];
}

function addressesOf(objects: readonly KubeObject[]): readonly (readonly [string, unknown])[] {
  return objects.flatMap((object): (readonly [string, unknown])[] => {
    const address = object.kind === "Pod" ? at(object, "status", "podIP") : at(object, "spec", "clusterIP");
    return address === undefined
      ? []
      : [[`${object.kind} ${object.metadata.namespace}/${object.metadata.name}`, address]];
  });
}

function named(all: readonly unknown[], name: unknown): unknown {
  const found = all.find((each) => at(each, "name") === name);
  assert.ok(found !== undefined, `${name} is among ${all.map((each) => at(each, "name")).join(", ")}`);
  return found;
}

function list(value: unknown): readonly unknown[] {
  assert.ok(Array.isArray(value));
  return value;
}

function at(value: unknown, ...keys: readonly (string | number)[]): unknown {
  return keys.reduce<unknown>((inner, key) => {
    if (Array.isArray(inner)) return inner[Number(key)];
    return isRecord(inner) ? inner[key] : undefined;
  }, value);
}

test("a gateway's pod gets its servers, its routes and its credential, without the key", () => {
  const folder = path.join(import.meta.dirname, "../../../examples/gateway");
  const example = fs.readdirSync(folder).map((file) => fs.readFileSync(path.join(folder, file), "utf8"));
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const privateKey = key.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const secret = `
apiVersion: v1
kind: Secret
metadata: {name: web-credential, namespace: edge}
type: kubernetes.io/tls
stringData: {tls.crt: "not a certificate", tls.key: ${JSON.stringify(privateKey)}}
`;
  const made = preview(
    objectsOf([...example, secret].join("\n---\n")),
    { namespace: "edge", name: "ingress" },
    OPTIONS,
  );
  assert.ok(made.ok, made.ok ? "" : made.error);
  const { configuration, pod } = made.value;
  assert.ok(pod.hasSidecar);
  assert.ok(named(configuration.listeners, "0.0.0.0_8080"));
  assert.ok(named(configuration.routes, "http.8080"));
  assert.ok(named(configuration.clusters, "outbound|80||web.production.svc.cluster.local"));
  assert.ok(!JSON.stringify(configuration).includes(Buffer.from(privateKey).toString("base64")));
});
