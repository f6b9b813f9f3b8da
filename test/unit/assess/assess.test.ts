// The answer for the examples and for what lies between them, each for its stated reasons.

import assert from "node:assert/strict";
import path from "node:path";
import test from "node:test";
import { istioKinds } from "../../../src/api/istio/kinds.ts";
import { kubernetesKinds } from "../../../src/api/kubernetes/kinds.ts";
import { makeRegistry } from "../../../src/api/registry.ts";
import { type Assessment, assess, type Cost, type Said, STATED_COST } from "../../../src/assess/assess.ts";
import { factsOf } from "../../../src/assess/facts.ts";
import { markdownReport, textReport } from "../../../src/assess/report.ts";
import { parseYamlDocuments } from "../../../src/base/json.ts";
import { type CheckedManifests, checkText, readManifests } from "../../../src/cluster/manifests.ts";

const registry = makeRegistry([...kubernetesKinds, ...istioKinds]);
const EXAMPLES = path.join(import.meta.dirname, "../../../examples/assess");

function answer({ manifests, others }: CheckedManifests, said: Said = {}, cost: Cost = STATED_COST): Assessment {
  const objects = [...manifests.map(({ object, source }) => ({ ...source, ...object })), ...others];
  return assess(factsOf(objects), said, cost);
}

function example(name: string): CheckedManifests {
  const read = readManifests([path.join(EXAMPLES, name)], registry);
  assert.ok(read.ok, read.ok ? "" : read.error);
  return read.value;
}

/** So many services, each with one pod and, where asked for, a certificate. */
function application(count: number, options: { readonly tls?: true; readonly more?: string } = {}): CheckedManifests {
  const parts = Array.from({ length: count }, (_none, index) => {
    const volumes = options.tls === true ? `, volumes: [{ name: tls, secret: { secretName: s${index}-tls } }]` : "";
    return `apiVersion: v1
kind: Service
metadata: { name: s${index}, namespace: shop }
spec: { selector: { app: s${index} }, ports: [{ port: 80 }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: s${index}, namespace: shop }
spec:
  selector: { matchLabels: { app: s${index} } }
  template:
    metadata: { labels: { app: s${index} }, annotations: { prometheus.io/scrape: "false" } }
    spec: { containers: [{ name: app, image: app, resources: { requests: { memory: 512Mi } } }]${volumes} }
`;
  });
  return checkText(
    "in.yaml",
    [...parts, ...(options.more === undefined ? [] : [options.more])].join("---\n"),
    registry,
  );
}

test("four services: no, because they are few", () => {
  const { verdict, reasons, needs, size } = answer(example("four"));
  assert.equal(verdict, "no");
  assert.match(reasons[0] ?? "", /^4 services in 6 pods: below 10 the sidecars and their upkeep cost more/);
  assert.deepEqual(
    needs.filter(({ isSeen }) => isSeen).map(({ requirement }) => requirement),
    ["Distributed tracing", "Observability"],
  );
  // web → api → orders and db.
  assert.deepEqual([size.calls, size.depth, size.requestedMb], [3, 3, 1_536]);
});

test("forty services: yes, because they are many and need all of it, provided what nobody has said", () => {
  const { verdict, reasons, provided, needs, checklist, size } = answer(example("forty"));
  assert.equal(verdict, "yes");
  assert.match(reasons[0] ?? "", /^40 services in 86 pods: above the 20/);
  assert.equal(
    needs.every(({ isSeen }) => isSeen),
    true,
  );
  assert.equal(size.depth, 6);
  assert.equal(provided.length, 4);
  assert.equal(checklist.length, 10);
  assert.match(needs[0]?.evidence[0] ?? "", /^6 workloads hold a TLS certificate of their own: payments\/payments/);
  assert.match(needs[1]?.evidence[0] ?? "", /^3 services run in more than one version/);
});

test("what a team says decides too", () => {
  const all = { kubernetes: true, upgrades: true, debugging: true, latency: true } as const;
  assert.deepEqual(answer(example("forty"), all).provided, []);
  const untrained = answer(example("forty"), { ...all, debugging: false });
  assert.equal(untrained.verdict, "not yet");
  assert.match(untrained.reasons.join("\n"), /against it: Team trained on service mesh debugging — no \(as you say\)/);
});

test("sidecars that take too much of the memory are against it", () => {
  const heavy = { ...STATED_COST, isMeasured: true, memoryMbPerPod: 150 };
  const { verdict, checklist } = answer(example("forty"), {}, heavy);
  assert.equal(verdict, "not yet");
  assert.equal(checklist[3]?.state, "no");
  assert.match(checklist[3].evidence, /86 pods × 150 MB \(measured here\) = 12900 MB, 39 % of the 33024 MB/);
});

test("between few and many it depends on what is needed", () => {
  assert.equal(answer(application(9, { tls: true })).verdict, "no");
  assert.equal(answer(application(15)).verdict, "not yet");
  const rules = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: deny, namespace: shop }
spec: { podSelector: {} }
`;
  const twelve = answer(application(12, { tls: true, more: rules }));
  assert.equal(twelve.verdict, "yes", twelve.reasons.join("\n"));
  assert.equal(answer(application(12, { more: rules })).verdict, "not yet");
});

test("every simpler way has a manifest to begin with, and weft's API takes those that it knows", () => {
  for (const name of ["four", "forty"]) {
    for (const { requirement, alternative } of answer(example(name)).needs) {
      const parsed = parseYamlDocuments(alternative.manifest);
      assert.ok(parsed.ok && parsed.value.length > 0, requirement);
      if (requirement !== "Network policies") continue;
      const { findings } = checkText("policy.yaml", alternative.manifest, registry);
      assert.deepEqual(
        findings.filter(({ issue }) => issue.severity === "error"),
        [],
      );
    }
  }
  const policies = answer(example("four")).needs[4]?.alternative.manifest ?? "";
  assert.match(policies, /name: orders, namespace: shop[\s\S]*- podSelector: { matchLabels: { app: api } }/);
});

test("a rollout by Argo and other kinds that weft does not serve are seen", () => {
  const rollout = `apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: { name: web, namespace: shop }
spec: { replicas: 3, template: { metadata: { labels: { app: web } }, spec: { containers: [] } } }
`;
  const { needs, size } = answer(application(2, { more: rollout }));
  assert.deepEqual(needs[1]?.evidence, ["Rollout shop/web does it already"]);
  assert.equal(size.pods, 5);
});

test("text and Markdown tell the same", () => {
  const forty = answer(example("forty"));
  const text = textReport(forty, (verdict) => verdict);
  const page = markdownReport(forty);
  for (const { requirement, evidence } of forty.needs) {
    for (const part of [requirement, ...evidence]) {
      assert.ok(text.includes(part), part);
      assert.ok(page.includes(part), part);
    }
  }
  assert.match(page, /^\*\*Yes\.\*\*$/m);
  assert.equal(page.match(/^```yaml$/gm)?.length, 6);
});
