// Which Sidecar holds for a proxy, and what it may see under it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { sidecarOf } from "../../../src/model/sidecar.ts";
import { Translator } from "../../../src/translate/translate.ts";
import { proxyOf, snapshotOf } from "../translate/mesh.ts";

const sidecar = (name: string, age: number, spec: object, namespace = "production"): string =>
  JSON.stringify({
    apiVersion: "networking.istio.io/v1",
    kind: "Sidecar",
    metadata: { name, namespace, creationTimestamp: `2026-01-0${age}T00:00:00Z` },
    spec,
  });
const service = (name: string, namespace: string): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace },
    spec: { clusterIP: `10.96.1.${name.length}`, ports: [{ name: "http", port: 80 }] },
  });
const snapshot = (...documents: readonly string[]) => snapshotOf(documents.join("\n---\n"));

const FRONTEND = { workloadSelector: { labels: { app: "frontend" } } };

describe("the Sidecar that holds", () => {
  const holding = (...documents: readonly string[]) => {
    const { sidecars, mesh } = snapshot(...documents);
    return sidecarOf(sidecars.index, { namespace: "production", labels: { app: "frontend" } }, mesh)?.metadata.name;
  };

  it("is the one that selects the workload, else the namespace's default, else the mesh's", () => {
    const mesh = sidecar("mesh", 1, {}, "istio-system");
    assert.equal(holding(mesh), "mesh");
    assert.equal(holding(mesh, sidecar("own", 2, {})), "own");
    assert.equal(holding(mesh, sidecar("own", 2, {}), sidecar("picked", 3, FRONTEND)), "picked");
    assert.equal(holding(mesh, sidecar("own", 2, {}), sidecar("elsewhere", 3, FRONTEND, "other")), "own");
  });

  it("is the oldest of several, and the others say so", () => {
    const documents = [sidecar("b", 1, FRONTEND), sidecar("a", 2, FRONTEND), sidecar("d", 3, {}), sidecar("c", 3, {})];
    assert.equal(holding(...documents), "b");
    assert.deepEqual(
      snapshot(...documents).findings.map(({ resource, type, message }) => [resource.name, type, message]),
      [
        [
          "a",
          "conflict",
          "Sidecar production/b already covers the same workloads, is older (or first by name) and wins",
        ],
        [
          "d",
          "conflict",
          "Sidecar production/c already covers the whole namespace, is older (or first by name) and wins",
        ],
      ],
    );
  });
});

describe("what a proxy sees under a Sidecar", () => {
  const world = [service("one", "production"), service("three", "other"), service("fourth", "monitoring")];
  const seen = (hosts: readonly string[]): readonly string[] => {
    const from = snapshot(...world, sidecar("default", 1, { egress: [{ hosts }] }));
    const { clusters } = new Translator(from).translate(proxyOf());
    return clusters.flatMap(({ name }) =>
      name.startsWith("outbound|") ? [name.split("|")[3]?.split(".")[0] ?? ""] : [],
    );
  };

  for (const [hosts, expected] of [
    [["*/*"], ["fourth", "three", "one"]],
    [["./*"], ["one"]],
    [["other/*"], ["three"]],
    [["~/*"], []],
    [["*/*.monitoring.svc.cluster.local"], ["fourth"]],
    [
      ["./one.production.svc.cluster.local", "monitoring/*"],
      ["fourth", "one"],
    ],
    [["./three.other.svc.cluster.local"], []],
  ] as const) {
    it(`${hosts.join(", ")}: ${expected.join(", ") || "nothing"}`, () => {
      assert.deepEqual([...seen(hosts)].sort(), [...expected].sort());
    });
  }
});
