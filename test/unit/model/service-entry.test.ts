// Which service a host means: ServiceEntries beside Services, several of one host, names that stand for others.

import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyResources } from "../../../src/ingest/resources.ts";
import { allocateAddresses } from "../../../src/model/auto-address.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { calledService, visibleService } from "../../../src/model/services.ts";
import { buildSnapshot } from "../../../src/model/snapshot.ts";
import { snapshotOf } from "../translate/mesh.ts";

interface Entry {
  readonly name: string;
  readonly namespace?: string;
  readonly created?: string;
  readonly spec: string;
  readonly status?: string;
  readonly labels?: string;
}

function entry({ name, namespace = "shop", created = "2026-01-01T00:00:00Z", spec, status, labels = "{}" }: Entry) {
  return `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: ${namespace}, creationTimestamp: "${created}", labels: ${labels}}
spec: ${spec}
${status === undefined ? "" : `status: ${status}`}
---
`;
}

const dns = (host: string, more = "") =>
  `{hosts: ["${host}"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS${more}}`;

test("of several entries of one host the oldest wins, then the first by name; a Service of Kubernetes wins over all", () => {
  const { services, findings } = snapshotOf(
    entry({ name: "younger", created: "2026-02-01T00:00:00Z", spec: dns("a.example.com") }) +
      entry({ name: "older", namespace: "other", spec: dns("a.example.com") }) +
      entry({ name: "b-second", spec: dns("b.example.com") }) +
      entry({ name: "a-first", spec: dns("b.example.com") }) +
      entry({ name: "usurper", spec: dns("api.shop.svc.cluster.local") }) +
      "apiVersion: v1\nkind: Service\nmetadata: {name: api, namespace: shop}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\n",
  );
  assert.equal(services.get("a.example.com")?.source.name, "older");
  assert.equal(services.get("b.example.com")?.source.name, "a-first");
  assert.equal(services.get("api.shop.svc.cluster.local")?.source.kind, "Service");
  assert.deepEqual(
    findings.map(({ resource, type, message }) => `${resource.name} ${type}: ${message}`),
    [
      "b-second conflict: b.example.com is already served by ServiceEntry shop/a-first, which is older (or first by name) and wins",
      "usurper conflict: api.shop.svc.cluster.local is already served by Service shop/api, which is Kubernetes' own and wins",
      "younger conflict: a.example.com is already served by ServiceEntry other/older, which is older (or first by name) and wins",
    ],
  );
});

test("a namespace's own entry that nobody else sees stands beside that of the others", () => {
  const { index, findings } = snapshotOf(
    entry({ name: "mine", namespace: "mine", spec: dns("a.example.com", ', exportTo: ["."]') }) +
      entry({ name: "yours", namespace: "yours", spec: dns("a.example.com", ", exportTo: [yours]") }) +
      entry({ name: "all", created: "2026-03-01T00:00:00Z", spec: dns("a.example.com") }) +
      entry({ name: "nobody", spec: dns("hidden.example.com", ', exportTo: ["~"]') }),
  );
  const seen = (namespace: string) => visibleService(index, "a.example.com", namespace)?.source.name;
  assert.deepEqual([seen("mine"), seen("yours"), seen("third")], ["mine", "yours", "all"]);
  assert.equal(visibleService(index, "hidden.example.com", "shop"), undefined);
  assert.deepEqual(findings, []);
});

test("a host may be covered by a wildcard, or be another name of a service", () => {
  const alias = (name: string, target: string) =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\nspec: {type: ExternalName, externalName: ${target}}\n---\n`;
  const { index, findings } = snapshotOf(
    entry({ name: "wild", spec: '{hosts: ["*.example.com"], ports: [{number: 80, name: http, protocol: HTTP}]}' }) +
      entry({ name: "api", spec: dns("api.internal") }) +
      alias("one", "two.shop.svc.cluster.local") +
      alias("two", "api.internal") +
      alias("round", "about.shop.svc.cluster.local") +
      alias("about", "round.shop.svc.cluster.local"),
  );
  const means = (host: string) => calledService(index, host, "shop")?.host;
  assert.equal(means("a.b.example.com"), "*.example.com");
  assert.equal(means("one.shop.svc.cluster.local"), "api.internal");
  assert.equal(means("round.shop.svc.cluster.local"), undefined);
  assert.deepEqual(findings.map(({ resource, path }) => `${resource.name} ${path}`).sort(), [
    "about spec.externalName",
    "round spec.externalName",
  ]);
});

test("addresses follow from names alone, keep what the status says, and differ", () => {
  const many = Array.from({ length: 300 }, (_each, i) => entry({ name: `e${i}`, spec: dns(`h${i}.example.com`) }));
  const { resources, services } = snapshotOf(many.join(""));
  const again = snapshotOf([...many].reverse().join(""));
  const values = [...services.values()].map(({ allocated }) => allocated.join());
  assert.equal(new Set(values).size, 300);
  for (const value of values) assert.match(value, /^240\.240\.\d+\.\d+,2001:2::f0f0:[0-9a-f]+$/);
  for (const [host, { allocated }] of services) assert.deepEqual(again.services.get(host)?.allocated, allocated);
  const [first = ""] = services.get("h7.example.com")?.allocated ?? [];
  const status = `{addresses: [{value: ${first}, host: h8.example.com}]}`;
  const moved = snapshotOf(
    entry({ name: "e7", spec: dns("h7.example.com") }) +
      entry({ name: "e8", created: "2026-05-01T00:00:00Z", spec: dns("h8.example.com"), status }),
  );
  assert.equal(moved.services.get("h8.example.com")?.allocated[0], first, "what was written stands");
  assert.notEqual(moved.services.get("h7.example.com")?.allocated[0], first);
  assert.equal(allocateAddresses(resources.serviceEntries).wanted.get("shop/e7")?.[0]?.value, first);
});

test("no address is chosen for wildcards, for hosts that have one, and where none is wanted", () => {
  const { services } = snapshotOf(
    entry({ name: "none", spec: "{hosts: [none.example.com], ports: [{number: 80, name: http, protocol: HTTP}]}" }) +
      entry({ name: "own", spec: dns("own.example.com", ", addresses: [192.0.2.1]") }) +
      entry({
        name: "out",
        spec: dns("out.example.com"),
        labels: '{networking.istio.io/enable-autoallocate-ip: "false"}',
      }) +
      entry({
        name: "wild",
        spec: '{hosts: ["*.example.com"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC, endpoints: [{address: 192.0.2.2}]}',
      }),
  );
  assert.deepEqual(
    [...services.values()].flatMap(({ allocated }) => allocated),
    [],
  );
});

test("a service whose endpoints stay the same stays the same value", () => {
  const text = entry({ name: "a", spec: dns("a.example.com") });
  const before = buildSnapshot(snapshotOf(text).resources, defaultMeshConfig);
  const resources = { ...emptyResources(), serviceEntries: new Map(before.resources.serviceEntries) };
  const after = buildSnapshot(resources, defaultMeshConfig, undefined, before);
  assert.equal(after.services.get("a.example.com"), before.services.get("a.example.com"));
});
