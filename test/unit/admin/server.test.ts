import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { type AdminServer, startAdmin } from "../../../src/proxy/admin/server.ts";
import { type FakeView, makeView, NAME } from "./view.ts";

let view: FakeView;
let server: AdminServer;

before(async () => {
  view = makeView();
  const context = { view, wallMs: () => 1_700_000_065_000 };
  const started = await startAdmin(context, { host: "127.0.0.1", port: 0 });
  assert.ok(started.ok);
  server = started.value;
});

after(() => server.close());

async function get(target: string, method = "GET"): Promise<{ code: number; type: string; body: string }> {
  const response = await fetch(`http://127.0.0.1:${server.port}${target}`, { method });
  return { code: response.status, type: response.headers.get("content-type") ?? "", body: await response.text() };
}

/** WEFT_GOLDEN=write rewrites the files; the difference is then read by a person. */
function golden(name: string, body: string): void {
  const file = path.join(import.meta.dirname, "golden", name);
  if (process.env["WEFT_GOLDEN"] === "write") fs.writeFileSync(file, body);
  assert.equal(body, fs.readFileSync(file, "utf8"));
}

describe("the admin interface", () => {
  test("/clusters", async () => {
    const { body, type } = await get("/clusters");
    assert.equal(type, "text/plain; charset=UTF-8");
    golden("clusters.txt", body);
    const outlier = body.split("\n").filter((line) => line.includes("outlier") && line.includes("10.0.0.3:8080"));
    assert.deepEqual(outlier, [
      `${NAME}::10.0.0.3:8080::health_flags::/failed_outlier_check`,
      `${NAME}::10.0.0.3:8080::outlier::healthy::false`,
    ]);
  });

  test("/clusters?format=json", async () => {
    golden("clusters.json.txt", (await get("/clusters?format=json")).body);
  });

  test("/config_dump resolves every Any and hides keys", async () => {
    const { body, type } = await get("/config_dump");
    assert.equal(type, "application/json");
    assert.ok(!body.includes("SECRET KEY"));
    golden("config-dump.json.txt", body);
  });

  test("/config_dump with resource, mask and name_regex", async () => {
    const { body } = await get("/config_dump?resource=dynamic_active_clusters&mask=cluster.name,version_info");
    assert.deepEqual(JSON.parse(body), {
      configs: [
        {
          "@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster",
          cluster: { "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", name: NAME },
          version_info: "7",
        },
      ],
    });
    const none = await get("/config_dump?name_regex=^nothing$");
    assert.ok(!none.body.includes(NAME));
    assert.equal((await get("/config_dump?resource=nonsense")).code, 404);
  });

  test("/stats: text, filter, usedonly, json, prometheus", async () => {
    assert.equal(
      (await get("/stats?filter=circuit_breakers")).body,
      `cluster.${NAME}.circuit_breakers.default.cx_open: 0\n`,
    );
    assert.equal((await get("/stats?usedonly")).body, `cluster.${NAME}.upstream_rq_total: 5\n`);
    assert.equal((await get("/stats?filter=(")).code, 400);
    assert.ok((await get("/stats?format=json")).body.includes(`"name":"cluster.${NAME}.upstream_rq_total","value":5`));
    for (const target of ["/stats/prometheus", "/stats?format=prometheus"]) {
      assert.ok((await get(target)).body.includes(`envoy_cluster_upstream_rq_total{cluster_name="${NAME}"} 5`));
    }
  });

  test("/ready, /listeners, /server_info, /memory, /runtime, /certs, /help and /", async () => {
    assert.deepEqual(await get("/ready"), { code: 200, type: "text/plain; charset=UTF-8", body: "LIVE\n" });
    assert.equal((await get("/listeners")).body, "virtualInbound::0.0.0.0:15006\n");
    const info: { state?: string; uptime_current_epoch?: string } = JSON.parse((await get("/server_info")).body);
    assert.equal(info.state, "LIVE");
    assert.equal(info.uptime_current_epoch, "65s");
    for (const target of ["/memory", "/runtime", "/certs", "/listeners?format=json"]) {
      const { code, body } = await get(target);
      assert.equal(code, 200);
      assert.doesNotThrow(() => JSON.parse(body));
    }
    assert.match((await get("/help")).body, /\/drain_listeners \(POST\)/);
    assert.match((await get("/")).body, /<form method="post" action="\/quitquitquit">/);
    assert.equal((await get("/nothing")).code, 404);
  });

  test("what changes something is POST only", async () => {
    for (const target of [
      "/logging",
      "/drain_listeners",
      "/healthcheck/fail",
      "/healthcheck/ok",
      "/quitquitquit",
      "/reset_counters",
    ]) {
      assert.equal((await get(target)).code, 405, target);
    }
    assert.deepEqual(view.calls, []);
    assert.match((await get("/logging", "POST")).body, /active loggers:\n {2}main: info\n {2}xds: debug\n/);
    assert.equal((await get("/logging?level=loud", "POST")).code, 400);
    await get("/logging?paths=main:debug,xds:trace", "POST");
    await get("/drain_listeners?inboundonly&graceful", "POST");
    await get("/healthcheck/fail", "POST");
    await get("/quitquitquit", "POST");
    assert.deepEqual(view.calls, [
      "level =loud",
      "level main=debug",
      "level xds=trace",
      'drain {"inboundOnly":true,"graceful":true,"skipExit":false}',
      "fail true",
      "quit",
    ]);
    assert.equal((await get("/reset_counters", "POST")).body, "OK\n");
    assert.match((await get("/stats")).body, /upstream_rq_total: 0/);
  });

  test("a port in use is told with the next step", async () => {
    const second = await startAdmin({ view, wallMs: Date.now }, { host: "127.0.0.1", port: server.port });
    assert.ok(!second.ok);
    assert.match(second.error, /is taken by another process: stop it/);
  });
});
