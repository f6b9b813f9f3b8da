// MeshConfig: what the ConfigMap says over what the control plane was started with.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { emptyResources } from "../../../src/ingest/resources.ts";
import { defaultMeshConfig, effectiveMeshConfig } from "../../../src/model/mesh-config.ts";

function configMaps(mesh: string) {
  const { meshConfigs } = emptyResources();
  meshConfigs.set("istio-system/istio", {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: "istio-system", name: "istio" },
    data: { mesh },
  });
  return meshConfigs;
}

const read = (mesh: string) => effectiveMeshConfig(defaultMeshConfig, configMaps(mesh));

describe("MeshConfig", () => {
  it("is the defaults where there is no ConfigMap", () => {
    const { config, issues } = effectiveMeshConfig(defaultMeshConfig, new Map());
    assert.equal(config, defaultMeshConfig);
    assert.deepEqual(issues, []);
  });

  it("says over them what is written", () => {
    const { config, issues } = read(
      "enableAutoMtls: false\nconnectTimeout: 3s\noutboundTrafficPolicy: {mode: REGISTRY_ONLY}\ntrustDomainAliases: [old]\n",
    );
    assert.deepEqual(issues, []);
    assert.equal(config.enableAutoMtls, false);
    assert.equal(config.connectTimeoutMs, 3_000);
    assert.equal(config.outboundTrafficPolicy, "REGISTRY_ONLY");
    assert.deepEqual(config.trustDomainAliases, ["old"]);
    assert.equal(config.trustDomain, "cluster.local");
  });

  it("warns of what it doesn't know and of what has no effect", () => {
    const { config, issues } = read("enableAutoMTLS: false\nenableTracing: true\nconnectTimeout: 3s\n");
    assert.deepEqual(issues.map(({ severity, path }) => `${severity} ${path}`).sort(), [
      "warning enableAutoMTLS",
      "warning enableTracing",
    ]);
    assert.equal(config.connectTimeoutMs, 3_000);
  });

  for (const [text, path] of [
    ["connectTimeout: soon", "connectTimeout"],
    ["enableAutoMtls: perhaps", "enableAutoMtls"],
    ["outboundTrafficPolicy: {mode: SOMETIMES}", "outboundTrafficPolicy.mode"],
    ["- a list", ""],
    ["a: [", ""],
  ] as const) {
    it(`refuses ${JSON.stringify(text)} and keeps what was in force`, () => {
      const before = read("connectTimeout: 3s");
      const after = effectiveMeshConfig(defaultMeshConfig, configMaps(text), before);
      assert.equal(after.config, before.config);
      assert.equal(after.issues[0]?.severity, "error");
      assert.equal(after.issues[0]?.path, path);
    });
  }

  it("stays the same value while the text does", () => {
    const before = read("connectTimeout: 3s");
    assert.equal(effectiveMeshConfig(defaultMeshConfig, configMaps("connectTimeout: 3s"), before), before);
  });
});
