// discoverySelectors and default exportTo: what takes part, and what stays the same value while nothing of it changes.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readManifests } from "../../../src/ingest/file.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { visibleServices } from "../../../src/model/services.ts";
import { buildSnapshot } from "../../../src/model/snapshot.ts";

const service = (namespace: string, annotations = "{}") => `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: ${namespace}, annotations: ${annotations}}
spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: ${namespace}}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}`;

const namespace = (name: string, labels: string) =>
  `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: ${labels}}`;

const config = (mesh: string) => `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: ${JSON.stringify(mesh)}}`;

const WORLD = [
  namespace("a", "{mesh: on}"),
  namespace("b", "{}"),
  namespace("istio-system", "{}"),
  service("a"),
  service("b", '{networking.istio.io/exportTo: "*"}'),
];

function resources(...documents: readonly string[]) {
  const read = readManifests(documents.join("\n---\n"));
  assert.ok(read.ok, read.ok ? "" : read.error);
  return read.value.resources;
}

const snapshotOf = (...documents: readonly string[]) => buildSnapshot(resources(...documents), defaultMeshConfig);

describe("discoverySelectors", () => {
  const mesh = config("discoverySelectors: [{matchLabels: {mesh: on}}]");

  it("leave out the namespaces that none of them selects, with all that is in them", () => {
    assert.deepEqual([...snapshotOf(...WORLD).services.keys()], ["web.a.svc.cluster.local", "web.b.svc.cluster.local"]);
    const narrowed = snapshotOf(...WORLD, mesh);
    assert.deepEqual([...narrowed.services.keys()], ["web.a.svc.cluster.local"]);
    assert.deepEqual([...narrowed.resources.virtualServices.keys()], ["a/web"]);
  });

  it("select by expressions too, and always the root namespace", () => {
    const notB = config("discoverySelectors: [{matchExpressions: [{key: mesh, operator: Exists}]}]");
    const root = service("istio-system");
    assert.deepEqual([...snapshotOf(...WORLD, root, notB).services.keys()].sort(), [
      "web.a.svc.cluster.local",
      "web.istio-system.svc.cluster.local",
    ]);
  });

  it("follow the labels of namespaces", () => {
    const relabelled = [...WORLD.slice(0, 1), namespace("b", "{mesh: on}"), ...WORLD.slice(2), mesh];
    assert.equal(snapshotOf(...relabelled).services.size, 2);
  });
});

describe("default exportTo", () => {
  const mesh = config('defaultServiceExportTo: ["."]\ndefaultVirtualServiceExportTo: ["b"]');

  it("holds for what says nothing itself", () => {
    const snapshot = snapshotOf(...WORLD, mesh);
    const seen = (from: string) => visibleServices(snapshot.index, from).map(({ host }) => host);
    assert.deepEqual(seen("a"), ["web.a.svc.cluster.local", "web.b.svc.cluster.local"]);
    assert.deepEqual(seen("b"), ["web.b.svc.cluster.local"]);
    assert.deepEqual(
      snapshot.routes.map(({ exportTo }) => exportTo),
      [["b"], ["b"]],
    );
  });

  it("leaves unchanged objects the same values from one snapshot to the next", () => {
    const before = snapshotOf(...WORLD, mesh);
    const raw = { ...before.scope.raw, pods: new Map(before.scope.raw.pods) };
    const after = buildSnapshot(raw, before.meshSource.base, { forms: new Map(), keySets: new Map() }, before);
    assert.equal(after.resources.services, before.resources.services);
    assert.equal(after.resources.pods, before.resources.pods);
    const more = { ...raw, services: new Map(raw.services) };
    const grown = buildSnapshot(more, before.meshSource.base, { forms: new Map(), keySets: new Map() }, after);
    assert.equal(grown.resources.services.get("a/web"), before.resources.services.get("a/web"));
  });
});
