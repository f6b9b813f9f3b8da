import assert from "node:assert/strict";
import { test } from "node:test";
import { LogRoot } from "../../../src/observe/log.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { writePrometheus } from "../../../src/observe/prometheus.ts";
import { namedStats, writeStatsJson, writeStatsText } from "../../../src/observe/stats-text.ts";

function registry(): Registry {
  const made = new Registry();
  const name = "outbound|8080||api.ns.svc.cluster.local";
  const cluster = made.scope({
    statPrefix: `cluster.${name}.`,
    namePrefix: "envoy_cluster_",
    labels: { cluster_name: name },
  });
  cluster.counter("upstream_rq_total").inc(3);
  cluster.counter("upstream_rq_200").inc(2);
  cluster.counter("upstream_rq_5xx").inc();
  cluster.gauge("circuit_breakers.default.cx_open").set(1);
  const other = made.scope({
    statPrefix: "cluster.b.",
    namePrefix: "envoy_cluster_",
    labels: { cluster_name: 'b"\\\n' },
  });
  other.counter("upstream_rq_total").inc();
  const http = made.scope({ statPrefix: "http.in.", namePrefix: "envoy_http_", labels: {} });
  const time = http.histogram("downstream_rq_time");
  for (const value of [0.4, 3, 3, 7_000_000]) time.observe(value);
  return made;
}

test("Prometheus text: one TYPE a family, codes as labels, cumulative buckets, escaped values", () => {
  const page = writePrometheus(registry().series());
  const lines = page.split("\n");
  assert.equal(lines.filter((line) => line === "# TYPE envoy_cluster_upstream_rq_total counter").length, 1);
  const labels = 'cluster_name="outbound|8080||api.ns.svc.cluster.local"';
  assert.ok(lines.includes(`envoy_cluster_upstream_rq{${labels},envoy_response_code="200"} 2`));
  assert.ok(lines.includes(`envoy_cluster_upstream_rq_xx{${labels},envoy_response_code_class="5"} 1`));
  assert.ok(lines.includes(`envoy_cluster_circuit_breakers_default_cx_open{${labels}} 1`));
  assert.ok(lines.includes('envoy_cluster_upstream_rq_total{cluster_name="b\\"\\\\\\n"} 1'));
  assert.ok(lines.includes('envoy_http_downstream_rq_time_bucket{le="0.5"} 1'));
  assert.ok(lines.includes('envoy_http_downstream_rq_time_bucket{le="5"} 3'));
  assert.ok(lines.includes('envoy_http_downstream_rq_time_bucket{le="3600000"} 3'));
  assert.ok(lines.includes('envoy_http_downstream_rq_time_bucket{le="+Inf"} 4'));
  assert.ok(lines.includes("envoy_http_downstream_rq_time_count{} 4"));
});

test("stats text: sorted, histograms last as quantiles", () => {
  const page = writeStatsText(namedStats(registry().series()));
  assert.deepEqual(page.split("\n").slice(0, 5), [
    "cluster.b.upstream_rq_total: 1",
    "cluster.outbound|8080||api.ns.svc.cluster.local.circuit_breakers.default.cx_open: 1",
    "cluster.outbound|8080||api.ns.svc.cluster.local.upstream_rq_200: 2",
    "cluster.outbound|8080||api.ns.svc.cluster.local.upstream_rq_5xx: 1",
    "cluster.outbound|8080||api.ns.svc.cluster.local.upstream_rq_total: 3",
  ]);
  assert.match(page, /http\.in\.downstream_rq_time: P0\(nan,0\) P25\(nan,0\.5\) P50\(nan,3\)/);
  const parsed: unknown = JSON.parse(writeStatsJson(namedStats(registry().series())));
  assert.ok(typeof parsed === "object" && parsed !== null && "stats" in parsed);
});

test("log lines can't be forged and follow their level", () => {
  const lines: string[] = [];
  const root = new LogRoot({ level: "info", format: "plain", write: (line) => lines.push(line), wallMs: () => 0 });
  const log = root.logger("agent");
  log.info("one\ntwo", { peer: "a\nb" });
  log.debug("hidden");
  assert.ok(root.setLevel("agent", "debug"));
  assert.ok(!root.setLevel("nobody", "debug"));
  assert.ok(!root.setLevel("agent", "loud"));
  log.debug("shown");
  assert.deepEqual(lines, [
    "1970-01-01T00:00:00.000Z info agent: one\\ntwo peer=a\\nb\n",
    "1970-01-01T00:00:00.000Z debug agent: shown\n",
  ]);
});
