// Many objects, and the ways of deleting and selecting them.

import assert from "node:assert/strict";
import { test } from "node:test";
import { configMapKind } from "../../../src/api/kubernetes/config-map.ts";
import { startTestServer } from "../../unit/apiserver/support/server.ts";
import { kubectl, kubectlAbsence } from "./kubectl.ts";

const skip = kubectlAbsence() ?? false;
const OBJECTS = 5_000;

test("thousands of objects: whole, in pages, and as a table, in about a second", { skip }, async (context) => {
  const server = await startTestServer(context);
  const made = Array.from({ length: OBJECTS }, (_, index) =>
    server.api.client.create(configMapKind, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: `c-${String(index).padStart(5, "0")}`,
        namespace: "default",
        labels: { n: String(index % 10) },
      },
      data: { text: "x".repeat(200) },
    }),
  );
  assert.ok((await Promise.all(made)).every(({ ok }) => ok));
  await kubectl(server, "get ns");
  const begin = performance.now();
  const { out, code } = await kubectl(server, "get configmaps --no-headers");
  const tookMs = performance.now() - begin;
  assert.equal(code, 0);
  assert.equal(out.trim().split("\n").length, OBJECTS);
  context.diagnostic(`kubectl get of ${OBJECTS}: ${Math.round(tookMs)} ms`);
  // A second on an idle machine; tests run beside others.
  assert.ok(tookMs < 4_000, `${tookMs} ms`);
  const url = "/api/v1/namespaces/default/configmaps";
  const first = await server.call("GET", `${url}?limit=10`);
  assert.equal(first.body.metadata.remainingItemCount, OBJECTS - 10);
  const second = await server.call("GET", `${url}?limit=10&continue=${first.body.metadata.continue}`);
  assert.equal(second.body.items[0].metadata.name, "c-00010");
  const chosen = await kubectl(server, "get cm -l n=3 -o name");
  assert.equal(chosen.out.trim().split("\n").length, OBJECTS / 10);
  const columns = await kubectl(
    server,
    "get cm c-00007 --no-headers -o custom-columns=N:.metadata.name,L:.metadata.labels.n",
  );
  assert.match(columns.out, /^c-00007 +7\n$/);
});

test("apply --prune removes what is no longer in the manifests", { skip }, async (context) => {
  const server = await startTestServer(context);
  const config = (name: string): string =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, namespace: default, labels: {set: a}}\n`;
  const apply = (input: string) =>
    kubectl(server, "apply --prune -l set=a --prune-allowlist=core/v1/ConfigMap -f -", { input });
  assert.equal((await apply(`${config("one")}---\n${config("two")}`)).code, 0);
  const pruned = await apply(config("one"));
  assert.match(pruned.out, /configmap\/two pruned/, pruned.err);
  assert.equal((await kubectl(server, "get cm -l set=a -o name")).out, "configmap/one\n");
});
