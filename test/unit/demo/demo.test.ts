// The demo's picture and judgement, on figures that a test can write down.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { runChecks } from "../../../src/cluster/demo/checks.ts";
import { Figures } from "../../../src/cluster/demo/figures.ts";
import { binomialInterval } from "../../../src/cluster/demo/interval.ts";
import { askInPlaintext } from "../../../src/cluster/demo/plaintext.ts";
import { readSamples } from "../../../src/cluster/demo/prometheus.ts";
import { CALLERS, mayCall, readRecord, SERVICES } from "../../../src/cluster/demo/shop.ts";
import { drawView, summaryLine, type ViewFrame } from "../../../src/cluster/demo/view.ts";

const API = "spiffe://cluster.local/ns/shop/sa/api";

function goodFigures(): Figures {
  const figures = new Figures();
  for (const name of ["customers-1", "frontend-1", "api-v1-1", "api-v1-2", "api-v2-1", "orders-1"]) {
    const app = name.split("-")[0] ?? "";
    figures.pods.set(name, { name, app, ip: "127.0.0.2", ready: 2, containers: 2, phase: "Running", restarts: 0 });
    figures.certificates.set(name, {
      spiffe: `spiffe://cluster.local/ns/shop/sa/${app}`,
      issuedMs: 0,
      notAfterMs: 86_400_000,
    });
  }
  for (const from of CALLERS) {
    for (const to of SERVICES) figures.addProbe({ kind: "probe", from, to, status: mayCall(from, to) ? 200 : 403 });
  }
  for (const service of SERVICES) figures.plaintext.set(service, "refused");
  figures.addLoad(
    {
      kind: "load",
      requests: 25,
      errors: 0,
      milliseconds: [1, 2, 3, 4],
      versions: { v1: 19, "beta:v2": 6 },
      lastError: undefined,
    },
    5_000,
  );
  figures.setSplit({ v1: 0, v2: 0, beta: 0 });
  figures.setSplit({ v1: 270, v2: 30, beta: 12 });
  return figures;
}

function verdicts(figures: Figures, uri = API): Readonly<Record<string, string>> {
  const checks = runChecks({ figures, podsWanted: 6, apiIdentity: { uri }, trustDomain: "cluster.local" });
  return Object.fromEntries(checks.map((check) => [check.name, check.verdict]));
}

test("everything holds on good figures", () => {
  assert.deepEqual([...new Set(Object.values(verdicts(goodFigures())))], ["holds"]);
});

test("each claim fails by itself when the mesh doesn't keep it", () => {
  const denied = goodFigures();
  denied.addProbe({ kind: "probe", from: "customers", to: "api", status: 200 });
  assert.equal(verdicts(denied)["all other calls are denied"], "fails");

  const plain = goodFigures();
  plain.plaintext.set("api", "answered");
  assert.equal(verdicts(plain)["without a certificate nobody gets in"], "fails");

  const split = goodFigures();
  split.setSplit({ v1: 150, v2: 150, beta: 0 });
  assert.equal(verdicts(split)["one request in ten goes to the canary"], "fails");

  const beta = goodFigures();
  beta.versions.set("beta:v1", 1);
  assert.equal(verdicts(beta)["beta users get v2"], "fails");

  const name = "the API's certificate names its workload";
  assert.equal(verdicts(goodFigures(), "spiffe://cluster.local/ns/shop/sa/orders")[name], "fails");

  const empty = verdicts(new Figures());
  assert.ok(!Object.values(empty).includes("fails"), "nothing seen yet is no failure");
  assert.equal(empty["allowed calls get their answer"], "waiting");
});

test("the interval holds the mean and shuts out a doubled weight", () => {
  const { low, high } = binomialInterval(2_000, 0.1);
  assert.ok(low < 200 && high > 200);
  assert.ok(high < 400 && low > 140);
});

test("the picture says mode, pods, calls, split and traffic in less than 100 columns", () => {
  const frame: ViewFrame = {
    mode: "explicit",
    modeReason: "asked for",
    nowMs: 60_000,
    startedMs: 0,
    wantedV1: 90,
    commands: ["kubectl get pods -n shop"],
  };
  const lines = drawView(goodFigures(), frame, (_colour, text) => text);
  const text = lines.join("\n");
  assert.match(text, /explicit mode, up 60 s/);
  assert.match(text, /api-v1-2 +2\/2 +0 +ns\/shop\/sa\/api, 60 s old/);
  assert.match(text, /customers +yes 200 +no {2}403 +no {2}403/);
  assert.match(text, /no certificate +no {2}refused/);
  assert.match(text, /v1 90\.0 % +v2 10\.0 % \(wanted 90\/10\)/);
  assert.match(text, /25\.0 req\/s +p50 3\.0 ms +p99 4\.0 ms\n +errors 0/);
  assert.ok(lines.every((line) => line.length <= 100));
  assert.match(summaryLine(goodFigures(), frame), /pods 6\/6 ready, 25\.0 req\/s/);
});

test("log lines of the shop are read, others are left", () => {
  assert.deepEqual(readRecord('{"time":"x","kind":"probe","from":"api","to":"orders","status":200}'), {
    kind: "probe",
    from: "api",
    to: "orders",
    status: 200,
  });
  assert.equal(readRecord('{"kind":"listening"}'), undefined);
  assert.equal(readRecord("Error: something"), undefined);
});

test("samples with labels are read from a Prometheus page", () => {
  const page = `# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{cluster_name="outbound|8080|v1|api.shop.svc.cluster.local"} 12
envoy_cluster_upstream_rq_total{cluster_name="a\\"b"} 3
other 1
`;
  const samples = readSamples(page, new Set(["envoy_cluster_upstream_rq_total"]));
  assert.deepEqual(
    samples.map((sample) => [sample.labels["cluster_name"], sample.value]),
    [
      ["outbound|8080|v1|api.shop.svc.cluster.local", 12],
      ['a"b', 3],
    ],
  );
});

test("a server that closes refuses, one that speaks HTTP answers, none at all is unreachable", async (context) => {
  const closing = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
  const answering = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.end("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
  }).listen(0, "127.0.0.1");
  context.after(() => {
    closing.close();
    answering.close();
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const ask = (server: ReturnType<typeof createServer>) => {
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    return askInPlaintext({ ip: "127.0.0.1", port: address.port, serverName: undefined });
  };
  assert.equal(await ask(closing), "refused");
  assert.equal(await ask(answering), "answered");
  assert.equal(await askInPlaintext({ ip: "127.0.0.1", port: 1, serverName: undefined }), "unreachable");
});
