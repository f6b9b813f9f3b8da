// Pools of connections: how long they last, how many there may be, and which are made ahead. Time is turned by hand.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../../src/base/clock.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { compileBreakers } from "../../../src/proxy/compile/breaker.ts";
import { Field } from "../../../src/proxy/compile/field.ts";
import { Breaker } from "../../../src/proxy/upstream/breaker.ts";
import { KeepAliveLimit } from "../../../src/proxy/upstream/keep-alive.ts";
import { httpListener, raw, routeAll, type Started, start, stat } from "../proxy/harness.ts";
import { type Json, make, message, refusals } from "./made.ts";

const GET = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

interface Origin {
  readonly port: number;
  connections: number;
  /** At once, the most there were. */
  most: number;
  /** Answers wait for this where it is set. */
  hold: Promise<void> | undefined;
}

async function origin(keepAliveTimeoutMs: number): Promise<Origin> {
  let open = 0;
  const server = createServer((_request, response) => {
    void (made.hold ?? Promise.resolve()).then(() => response.end("ok"));
  });
  server.keepAliveTimeout = keepAliveTimeoutMs;
  server.on("connection", (socket) => {
    made.connections += 1;
    open += 1;
    made.most = Math.max(made.most, open);
    socket.on("close", () => {
      open -= 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address: AddressInfo | string | null = server.address();
  const made: Origin = {
    port: typeof address === "object" && address !== null ? address.port : 0,
    connections: 0,
    most: 0,
    hold: undefined,
  };
  return made;
}

function proxy(port: number, more: Json, clock: VirtualClock): Promise<Started> {
  const endpoint = { endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: port } } } };
  const loadAssignment = { clusterName: "c", endpoints: [{ lbEndpoints: [endpoint] }] };
  const clusters = [message({ loadAssignment, ...more })];
  return start({ listeners: [httpListener({ virtualHosts: [routeAll("c")] })], clusters }, { clock });
}

const http = (options: Json): Json => ({ commonHttpProtocolOptions: options });

test("a connection that is too old, or idle for too long, is not used again", async () => {
  const table: readonly { config: Json; keepMs: number; limitMs: number; counter: string }[] = [
    {
      config: http({ maxConnectionDuration: "10s" }),
      keepMs: 60_000,
      limitMs: 10_000,
      counter: "upstream_cx_max_duration_reached",
    },
    { config: http({ idleTimeout: "0.3s" }), keepMs: 60_000, limitMs: 300, counter: "upstream_cx_idle_timeout" },
    // The origin says that it closes after five seconds: a second before, at most.
    { config: {}, keepMs: 5000, limitMs: 4000, counter: "upstream_cx_idle_timeout" },
  ];
  for (const { config, keepMs, limitMs, counter } of table) {
    const clock = new VirtualClock();
    const server = await origin(keepMs);
    const { port, registry } = await proxy(server.port, config, clock);
    assert.match(await raw(port, GET), /ok$/);
    clock.advance(limitMs - 50);
    assert.match(await raw(port, GET), /ok$/);
    assert.equal(server.connections, 1, counter);
    clock.advance(limitMs);
    assert.match(await raw(port, GET), /ok$/);
    assert.equal(server.connections, 2, counter);
    assert.equal(stat(registry, `cluster.c.${counter}`), 1);
  }
});

test("without any limit a connection stays", async () => {
  const clock = new VirtualClock();
  const server = await origin(0);
  const { port } = await proxy(server.port, http({ idleTimeout: "0s" }), clock);
  for (let turn = 0; turn < 3; turn += 1) {
    assert.match(await raw(port, GET), /ok$/);
    clock.advance(7_200_000);
  }
  assert.equal(server.connections, 1);
});

test("a host's idle timeout is learnt from its header, or from the same age at two times", () => {
  const told = new KeepAliveLimit();
  told.onHeader("timeout=5, max=100");
  assert.equal(told.limitMs, 4000);
  told.onHeader("max=3,timeout=1");
  assert.equal(told.limitMs, 800);
  told.onHeader("nonsense");
  assert.equal(told.limitMs, 800);
  const watched = new KeepAliveLimit();
  watched.onClosedIdle(3000, 10_000);
  watched.onClosedIdle(3000, 10_001);
  assert.equal(watched.limitMs, Number.POSITIVE_INFINITY, "two that were closed together are one event");
  watched.onClosedIdle(3050, 20_000);
  assert.equal(watched.limitMs, 2400);
  watched.forget(600_000);
  assert.equal(watched.limitMs, 2400);
  watched.forget(620_000);
  assert.equal(watched.limitMs, Number.POSITIVE_INFINITY);
  const restarted = new KeepAliveLimit();
  for (const [age, now] of [
    [700, 1000],
    [2500, 9000],
    [9000, 30_000],
    [100, 40_000],
    [101, 50_000],
  ] as const)
    restarted.onClosedIdle(age, now);
  assert.equal(restarted.limitMs, Number.POSITIVE_INFINITY, "ages that differ are chance");
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), (seconds) => {
      const limit = new KeepAliveLimit();
      limit.onHeader(`timeout=${seconds}`);
      assert.ok(limit.limitMs >= seconds * 800 - 1e-6 && limit.limitMs <= seconds * 1000 - 100);
    }),
  );
});

async function reaches(server: Origin, connections: number): Promise<void> {
  for (let tries = 0; tries < 1000 && server.connections < connections; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(server.connections, connections);
}

test("connections of a cluster, and of a host, stay within their limits; the rest of the requests wait", async () => {
  for (const circuitBreakers of [
    { thresholds: [{ maxConnections: 3 }] },
    { perHostThresholds: [{ maxConnections: 3 }] },
  ]) {
    const server = await origin(60_000);
    const { port, registry } = await proxy(server.port, { circuitBreakers }, new VirtualClock());
    let release: () => void = () => undefined;
    server.hold = new Promise((resolve) => {
      release = resolve;
    });
    const answers = Array.from({ length: 20 }, () => raw(port, GET));
    await reaches(server, 3);
    release();
    for (const answer of await Promise.all(answers)) assert.match(answer, /ok$/);
    assert.equal(server.most, 3);
    assert.equal(server.connections, 3);
    assert.ok(stat(registry, "cluster.c.upstream_cx_overflow") > 0);
  }
});

test("connections are made ahead, as many as the ratio asks for", async () => {
  const server = await origin(60_000);
  const { port } = await proxy(
    server.port,
    { preconnectPolicy: { perUpstreamPreconnectRatio: 2 } },
    new VirtualClock(),
  );
  let release: () => void = () => undefined;
  server.hold = new Promise((resolve) => {
    release = resolve;
  });
  const answers = [raw(port, GET)];
  await reaches(server, 2);
  answers.push(raw(port, GET));
  await reaches(server, 4);
  release();
  for (const answer of await Promise.all(answers)) assert.match(answer, /ok$/);
  assert.equal(server.connections, 4);
});

test("a retry budget is a part of what is under way, and never below its least", () => {
  const message_ = message({
    circuitBreakers: {
      thresholds: [{ retryBudget: { budgetPercent: { value: 25 }, minRetryConcurrency: 2 }, maxRetries: 1 }],
    },
  });
  const scope = new Registry().scope({ statPrefix: "c.", namePrefix: "c_", labels: {} });
  const breaker = new Breaker(
    compileBreakers(message_.circuitBreakers, Field.root("c", "t")).default,
    scope,
    "default",
  );
  const room = (): number => {
    let taken = 0;
    for (; breaker.retryAvailable; taken += 1) breaker.retries.take();
    for (let at = 0; at < taken; at += 1) breaker.retries.give();
    return taken;
  };
  assert.equal(room(), 2);
  for (let at = 0; at < 12; at += 1) breaker.requests.take();
  assert.equal(room(), 3);
  for (let at = 0; at < 8; at += 1) breaker.pending.take();
  assert.equal(room(), 5);
});

test("what is neither honoured nor harmless is refused by name", () => {
  const refused = (config: Json, path: string) => assert.deepEqual(refusals(config), [path]);
  refused(
    { circuitBreakers: { thresholds: [{ maxConnectionPools: 3 }] } },
    "circuit_breakers.thresholds[0].max_connection_pools",
  );
  refused(
    { circuitBreakers: { perHostThresholds: [{ maxRequests: 3 }] } },
    "circuit_breakers.per_host_thresholds[0].max_requests",
  );
  refused({ preconnectPolicy: { predictivePreconnectRatio: 2 } }, "preconnect_policy.predictive_preconnect_ratio");
  refused({ preconnectPolicy: { perUpstreamPreconnectRatio: 4 } }, "preconnect_policy.per_upstream_preconnect_ratio");
  refused(http({ maxStreamDuration: "1s" }), "common_http_protocol_options.max_stream_duration");
  refused(http({ maxHeadersCount: 5 }), "common_http_protocol_options.max_headers_count");
  refused({ httpProtocolOptions: { allowChunkedLength: true } }, "http_protocol_options.allow_chunked_length");
  refused(
    { upstreamConnectionOptions: { setLocalInterfaceNameOnUpstreamConnections: true } },
    "upstream_connection_options.set_local_interface_name_on_upstream_connections",
  );
  refused({ type: "LOGICAL_DNS" }, "load_assignment");
  refused({ trackClusterStats: { timeoutBudgets: true } }, "track_cluster_stats");
  refused({ connectionPoolPerDownstreamConnection: true }, "connection_pool_per_downstream_connection");
});

test("the system's keep-alive probes are set as far as they are told", () => {
  const { cluster } = make({
    upstreamConnectionOptions: { tcpKeepalive: { keepaliveTime: 30, keepaliveInterval: 5, keepaliveProbes: 4 } },
  });
  assert.deepEqual(cluster.config.keepAlive, { idleMs: 30_000, intervalMs: 5000, count: 4 });
  cluster.close();
});
