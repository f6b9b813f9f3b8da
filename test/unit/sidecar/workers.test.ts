// Several workers in one process: connections are spread, limits and ejections are common, configuration changes lose nothing.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../../src/base/clock.ts";
import { systemRandom } from "../../../src/base/random.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { Any } from "../../../src/proto/gen/google/protobuf/any.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { startWorkers } from "../../../src/proxy/run/workers.ts";
import { TYPE_URLS } from "../../../src/proxy/subscribe/decode.ts";
import type { ResourceKind } from "../../../src/proxy/subscribe/source.ts";
import { httpOrigin, raw } from "../proxy/harness.ts";
import { ControlPlane } from "../subscribe/control-plane.ts";
import {
  connectionManager,
  file,
  freePort,
  ready,
  runProxy,
  staticBootstrap,
  staticCluster,
  until,
} from "./process.ts";

const REQUEST = "GET / HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n";
const WORKERS = 3;

async function stats(admin: number, filter: string): Promise<Readonly<Record<string, number>>> {
  const text = await (await fetch(`http://127.0.0.1:${admin}/stats?filter=${encodeURIComponent(filter)}`)).text();
  const pairs = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => line.split(": "));
  return Object.fromEntries(pairs.map(([name, value]) => [name ?? "", Number(value)]));
}

function address(port: number) {
  return { socket_address: { address: "127.0.0.1", port_value: port } };
}

test("connections are spread, stats are of all workers, and a listener on port 0 has one port", async () => {
  const origin = await httpOrigin((_request, response) => response.end("hello"));
  const admin = await freePort();
  const proxy = runProxy([
    "-c",
    file("b.json", staticBootstrap({ admin, front: 0, origin })),
    "--concurrency",
    String(WORKERS),
  ]);
  await ready(admin, proxy);
  const listeners = await (await fetch(`http://127.0.0.1:${admin}/listeners`)).text();
  const front = Number(/front::127\.0\.0\.1:(\d+)/.exec(listeners)?.[1]);
  assert.ok(front > 0, listeners);
  for (let count = 0; count < 90; count += 1) assert.match(await raw(front, REQUEST), /hello$/);
  const totals = await stats(
    admin,
    "^(http.front.downstream_cx_total|cluster.origin.upstream_rq_total|cluster.origin.membership_total|server.concurrency)$",
  );
  assert.deepEqual(totals, {
    "cluster.origin.membership_total": 1,
    "cluster.origin.upstream_rq_total": 90,
    "http.front.downstream_cx_total": 90,
    "server.concurrency": WORKERS,
  });
  const workers = await stats(admin, "^listener.*worker_\\d+.downstream_cx_total$");
  assert.equal(Object.keys(workers).length, WORKERS);
  for (const [name, value] of Object.entries(workers)) assert.ok(value >= 10, `${name}: ${value} of 90`);
  const clusters = await (await fetch(`http://127.0.0.1:${admin}/clusters`)).text();
  assert.match(clusters, /origin::127\.0\.0\.1:\d+::rq_total::90/);
  const recent = await (await fetch(`http://127.0.0.1:${admin}/weft/requests?limit=1000`)).text();
  assert.equal(recent.match(/"key":"[0-2]-\d+"/g)?.length, 90);
  assert.equal((await fetch(`http://127.0.0.1:${admin}/reset_counters`, { method: "POST" })).status, 200);
  assert.equal((await stats(admin, "^http.front.downstream_cx_total$"))["http.front.downstream_cx_total"], 0);
  proxy.child.kill("SIGTERM");
  assert.equal(await proxy.ended, 0);
});

test("a circuit breaker's limit holds over all workers", async () => {
  let active = 0;
  let most = 0;
  const origin = await httpOrigin((_request, response) => {
    active += 1;
    most = Math.max(most, active);
    setTimeout(() => {
      active -= 1;
      response.end("hello");
    }, 300);
  });
  const [admin, front] = [await freePort(), await freePort()];
  const bootstrap = staticBootstrap({ admin, front, origin });
  const limits = { thresholds: [{ max_requests: 4, max_connections: 1000, max_pending_requests: 1000 }] };
  Object.assign(bootstrap, {
    static_resources: {
      ...Object(bootstrap["static_resources"]),
      clusters: [{ ...staticCluster("origin", origin), circuit_breakers: limits }],
    },
  });
  const proxy = runProxy(["-c", file("b.json", bootstrap), "--concurrency", String(WORKERS)]);
  await ready(admin, proxy);
  const answers = await Promise.all(Array.from({ length: 40 }, () => raw(front, REQUEST)));
  const served = answers.filter((answer) => answer.includes(" 200 ")).length;
  const refused = answers.filter((answer) => answer.includes(" 503 ")).length;
  assert.equal(served + refused, 40);
  assert.ok(most >= 4 && most <= 4 + WORKERS - 1, `${most} at once`);
  await until(
    async () => (await stats(admin, "rq_open$"))["cluster.origin.circuit_breakers.default.rq_open"] === 0,
    "room again",
  );
  assert.match(await raw(front, REQUEST), / 200 /);
});

test("what one worker ejects is ejected for all", async () => {
  const good = await httpOrigin((_request, response) => response.end("good"));
  const bad = await httpOrigin((_request, response) => response.writeHead(500).end("bad"));
  const [admin, front] = [await freePort(), await freePort()];
  const bootstrap = staticBootstrap({ admin, front, origin: good });
  const endpoint = (port: number) => ({ endpoint: { address: address(port) } });
  const cluster = {
    ...staticCluster("origin", good),
    load_assignment: { cluster_name: "origin", endpoints: [{ lb_endpoints: [endpoint(good), endpoint(bad)] }] },
    outlier_detection: {
      consecutive_5xx: 2,
      base_ejection_time: "60s",
      max_ejection_percent: 50,
      enforcing_consecutive_5xx: 100,
    },
  };
  Object.assign(bootstrap, { static_resources: { ...Object(bootstrap["static_resources"]), clusters: [cluster] } });
  const proxy = runProxy(["-c", file("b.json", bootstrap), "--concurrency", String(WORKERS)]);
  await ready(admin, proxy);
  const active = async () =>
    (await stats(admin, "ejections_active$"))["cluster.origin.outlier_detection.ejections_active"];
  for (let tries = 0; tries < 100 && (await active()) !== 1; tries += 1) await raw(front, REQUEST);
  await sleep(100);
  const answers = await Promise.all(Array.from({ length: 60 }, () => raw(front, REQUEST)));
  assert.deepEqual(
    answers.filter((answer) => !answer.includes("good")),
    [],
  );
  const ejections = await stats(admin, "ejections_enforced_total$");
  assert.equal(ejections["cluster.origin.outlier_detection.ejections_enforced_total"], 1);
});

test("configuration changes under load without a failed request; a mistake is refused as a whole", async () => {
  const plane = new ControlPlane();
  const port = await plane.start();
  after(() => plane.stop());
  const origins = [
    await httpOrigin((_request, response) => response.end("hello")),
    await httpOrigin((_request, response) => response.end("hello")),
  ];
  const [admin, front] = [await freePort(), await freePort()];
  const bootstrap = {
    node: { id: "n", cluster: "c" },
    admin: { address: address(admin) },
    dynamic_resources: {
      ads_config: {
        api_type: "GRPC",
        transport_api_version: "V3",
        grpc_services: [{ envoy_grpc: { cluster_name: "xds" } }],
      },
      cds_config: { ads: {} },
      lds_config: { ads: {} },
    },
    static_resources: { clusters: [staticCluster("xds", port)] },
  };
  const proxy = runProxy(["-c", file("b.json", bootstrap), "--concurrency", String(WORKERS)]);
  await until(() => plane.sotw.length >= 2, `subscriptions: ${proxy.output()}`);
  const send = async (kind: ResourceKind, nonce: string, resource: object) => {
    const any = fromEnvoyJson(Any, { "@type": TYPE_URLS[kind], ...resource });
    assert.ok(any.ok, JSON.stringify(any));
    plane.sendSotw({ typeUrl: TYPE_URLS[kind], versionInfo: nonce, nonce, resources: [any.value] });
    const asked = () => plane.sotw.find((request) => request.responseNonce === nonce);
    await until(() => asked() !== undefined, `the answer to ${nonce}`);
    return asked()?.errorDetail?.message ?? "ACK";
  };
  const listener = (version: number) => {
    const hcm = connectionManager();
    const typed_config = { ...Object(hcm["typed_config"]), via: `v${version}` };
    return { name: "front", address: address(front), filter_chains: [{ filters: [{ ...hcm, typed_config }] }] };
  };
  assert.equal(await send("cluster", "c0", staticCluster("origin", origins[0] ?? 0)), "ACK");
  assert.equal(await send("listener", "l0", listener(0)), "ACK");
  await ready(admin, proxy);
  let stop = false;
  const failed: string[] = [];
  let served = 0;
  const load = Array.from({ length: 4 }, async () => {
    while (!stop) {
      const answer = await raw(front, REQUEST);
      if (answer.includes(" 200 ")) served += 1;
      else failed.push(answer);
    }
  });
  for (let round = 1; round <= 20; round += 1) {
    assert.equal(await send("cluster", `c${round}`, staticCluster("origin", origins[round % 2] ?? 0)), "ACK");
    assert.equal(await send("listener", `l${round}`, listener(round)), "ACK");
    await sleep(10);
  }
  assert.match(
    await send("cluster", "bad", { ...staticCluster("origin", 1), lb_policy: "CLUSTER_PROVIDED" }),
    /lb_policy/,
  );
  await sleep(50);
  stop = true;
  await Promise.all(load);
  assert.deepEqual(failed, []);
  assert.ok(served > 50, `${served}`);
});

test("a worker that ends though nobody told it to is told of, with what broke it", async () => {
  const deaths: string[] = [];
  const proxy = startWorkers(
    {
      bootstrap: Bootstrap.fromPartial({}),
      source: undefined,
      localSecrets: undefined,
      clock: systemClock,
      random: systemRandom,
      registry: new Registry(),
    },
    {
      count: 2,
      entry: file("broken.mjs", 'setTimeout(() => { throw new Error("the invariant"); }, 20);'),
      logLevel: "info",
      onDeath: (message) => deaths.push(message),
    },
  );
  await until(() => deaths.length >= 2, "the deaths");
  proxy.close();
  assert.match(deaths[0] ?? "", /worker \d ended: Error: the invariant\n {4}at /);
});
