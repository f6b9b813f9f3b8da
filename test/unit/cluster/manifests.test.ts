// Manifests before anything starts: the place of each mistake, and what is applied again.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ApiError } from "../../../src/api/client.ts";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import type { KubeObject } from "../../../src/api/object.ts";
import { makeRegistry } from "../../../src/api/registry.ts";
import { type ApplyClient, applyManifest, LAST_APPLIED, patchOf } from "../../../src/cluster/apply.ts";
import { checkText, describeFinding } from "../../../src/cluster/manifests.ts";

const registry = makeRegistry([...kubernetesKinds, ...istioKinds]);

function findings(text: string): readonly string[] {
  return checkText("m.yaml", text, registry).findings.map(describeFinding);
}

test("an unknown field, a wrong type and a missing kind are told by line", () => {
  const text = `apiVersion: v1
kind: Service
metadata:
  name: api
spec:
  ports:
  - port: "eighty"
    protcol: TCP
---
apiVersion: v1
kind: Sevice
metadata: {name: x}
`;
  const found = findings(text);
  assert.ok(found.some((line) => line.startsWith("m.yaml:7: Service/api: spec.ports[0].port: expected int32")));
  assert.ok(found.some((line) => line.startsWith("m.yaml:8: Service/api: spec.ports[0].protcol: unknown field")));
  assert.ok(found.some((line) => line.startsWith("m.yaml:11: Sevice/x: kind: weft does not serve the kind Sevice")));
});

test("broken YAML is told by line, in one line", () => {
  const [found, ...rest] = findings("a: 1\nb: [1,\nc: 2\n");
  assert.match(found ?? "", /^m\.yaml:\d+: not YAML: /);
  assert.deepEqual(rest, []);
  assert.ok(!found?.includes("\n"));
});

test("an item of a List is told by its own line", () => {
  const found = findings(`apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata:
    name: ok
- apiVersion: v1
  kind: ConfigMap
  metadata:
    name: c
  date: {}
`);
  assert.equal(found.length, 1);
  assert.match(found[0] ?? "", /^m\.yaml:12: ConfigMap\/c: date: unknown field/);
});

test("a mesh resource's own rules are checked", () => {
  const found = findings(`apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: a}
spec:
  mtls:
    mode: STRIKT
`);
  assert.equal(found.length, 1);
  assert.match(found[0] ?? "", /^m\.yaml:6: PeerAuthentication\/default: spec\.mtls\.mode/);
});

test("a three-way patch takes away what the last manifest had and this one hasn't", () => {
  const last = { metadata: { labels: { a: "1", b: "2" } }, data: { x: "1" } };
  const next = { metadata: { labels: { a: "3" } }, list: [1] };
  assert.deepEqual(patchOf(last, next), { metadata: { labels: { a: "3", b: null } }, data: null, list: [1] });
});

test("applying creates, leaves alone what is the same, and changes what is not", async () => {
  const stored = new Map<string, KubeObject>();
  const patches: unknown[] = [];
  const missing: ApiError = { code: 404, reason: "NotFound", message: "none" };
  const client: ApplyClient = {
    get: (_kind, ref) => {
      const found = stored.get(ref.name);
      return Promise.resolve(found === undefined ? { ok: false, error: missing } : { ok: true, value: found as never });
    },
    create: (_kind, object) => {
      stored.set(object.metadata.name, object);
      return Promise.resolve({ ok: true, value: object });
    },
    mergePatch: (_kind, ref, patch) => {
      patches.push(patch.body);
      return Promise.resolve({ ok: true, value: stored.get(ref.name) as never });
    },
  };
  const manifest = (value: string) => {
    const checked = checkText(
      "m.yaml",
      `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {${value}}\n`,
      registry,
    );
    const [first] = checked.manifests;
    assert.ok(first);
    return first;
  };
  assert.deepEqual(await applyManifest(client, manifest("x: '1'")), { ok: true, value: "created" });
  assert.ok(stored.get("c")?.metadata.annotations?.[LAST_APPLIED]);
  assert.deepEqual(await applyManifest(client, manifest("x: '1'")), { ok: true, value: "unchanged" });
  assert.deepEqual(await applyManifest(client, manifest("y: '1'")), { ok: true, value: "configured" });
  const [patch] = patches;
  assert.deepEqual((patch as { data: unknown }).data, { x: null, y: "1" });
});
