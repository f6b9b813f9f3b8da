// Active health checks against small real servers, with the time between checks turned by hand.

import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import { after, test } from "node:test";
import { systemClock } from "../../../src/base/clock.ts";
import { Cluster as ClusterMessage } from "../../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { chain, httpOrigin, listener, start, stat, tcpFilter, tcpOrigin } from "../proxy/harness.ts";
import { type Json, type Made, make, pick, refusals, update } from "./made.ts";

const local = (port: number, more: Json = {}, endpoint: Json = {}): Json => {
  return { endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: port } }, ...endpoint }, ...more };
};

const TIMES = { timeout: "1s", interval: "10s", unhealthyThreshold: 2, healthyThreshold: 2, noTrafficInterval: "60s" };
const http = (more: Json = {}, times: Json = {}): Json => {
  return { healthChecks: [{ ...TIMES, ...times, httpHealthCheck: { path: "/healthz", ...more } }] };
};

async function until(holds: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 1000; tries += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  assert.fail(what);
}

function open(config: Json, endpoints: readonly Json[]): Made {
  const made = make(config, [{ lbEndpoints: endpoints }]);
  after(() => made.cluster.close());
  return made;
}

const count = (made: Made, name: string) => stat(made.registry, `cluster.c.health_check.${name}`);

/** Turns time on and waits for the check that is due then. */
async function next(made: Made, byMs: number, result: "success" | "failure"): Promise<void> {
  const before = count(made, result);
  made.clock.advance(byMs);
  await until(() => count(made, result) === before + 1, `no ${result} after ${byMs} ms`);
}

/** A server that answers as `answer.now` says. */
async function changeable(): Promise<{
  port: number;
  now: { status: number; headers: Record<string, string>; body: string };
  seen: IncomingMessage[];
  clients: (number | undefined)[];
}> {
  const now = { status: 200, headers: {}, body: "" };
  const seen: IncomingMessage[] = [];
  const clients: (number | undefined)[] = [];
  const port = await httpOrigin((request: IncomingMessage, response: ServerResponse) => {
    seen.push(request);
    clients.push(request.socket.remotePort);
    response.writeHead(now.status, now.headers);
    response.end(now.body);
  });
  return { port, now, seen, clients };
}

test("a host is sick until its first check passes; the cluster waits for it; the request is as Envoy's", async () => {
  const origin = await changeable();
  const added = [
    { header: { key: "x-check", value: "100%%" } },
    { header: { key: "user-agent", value: "mine" }, appendAction: "OVERWRITE_IF_EXISTS_OR_ADD" },
  ];
  const made = open(http({ requestHeadersToAdd: added }), [local(origin.port)]);
  assert.equal(made.cluster.warm, false);
  assert.equal(made.cluster.hosts[0]?.healthy, false);
  await until(() => made.cluster.warm, "never warm");
  assert.equal(made.cluster.hosts[0]?.healthy, true);
  const [request] = origin.seen;
  assert.equal(request?.url, "/healthz");
  assert.deepEqual({ ...request?.headers }, { host: "c", "user-agent": "mine", "x-check": "100%" });
  assert.equal(count(made, "healthy"), 1);
  const named = open(http({ host: "checks.test" }), [local(origin.port), local(origin.port + 1)]);
  await until(() => origin.seen.length === 2, "no second request");
  assert.equal(origin.seen[1]?.headers.host, "checks.test");
  await until(() => named.cluster.warm, "a host that refuses holds nothing up once it was tried");
  assert.deepEqual(
    named.cluster.hosts.map((host) => host.healthy),
    [true, false],
  );
});

test("an unexpected answer makes a host sick at once, one to be borne with after the threshold, and it recovers after another", async () => {
  const origin = await changeable();
  const made = open(http({ retriableStatuses: [{ start: 429, end: 430 }] }, { noTrafficInterval: "1s" }), [
    local(origin.port),
  ]);
  const [host] = made.cluster.hosts;
  await until(() => made.cluster.warm, "never warm");
  origin.now.status = 429;
  await next(made, 1000, "failure");
  assert.equal(host?.healthy, true);
  await next(made, 1000, "failure");
  assert.equal(host?.healthy, false);
  origin.now.status = 200;
  await next(made, 1000, "success");
  assert.equal(host?.healthy, false);
  await next(made, 1000, "success");
  assert.equal(host?.healthy, true);
  origin.now.status = 500;
  await next(made, 1000, "failure");
  assert.equal(host?.healthy, false);
  assert.equal(stat(made.registry, "cluster.c.membership_healthy"), 0);
});

test("expected statuses, a body, a name, and a degraded host", async () => {
  const origin = await changeable();
  origin.now.status = 204;
  const odd = open(http({ expectedStatuses: [{ start: 200, end: 300 }] }), [local(origin.port)]);
  await until(() => odd.cluster.hosts[0]?.healthy === true, "204 is within 200 to 299");
  Object.assign(origin.now, { status: 200, body: "all is well, truly" });
  const receive = (...texts: readonly string[]) => ({
    receive: texts.map((text) => ({ text: Buffer.from(text).toString("hex") })),
  });
  const good = open(http(receive("is well", "truly")), [local(origin.port)]);
  await until(() => good.cluster.hosts[0]?.healthy === true, "both parts are in the body");
  const order = open(http(receive("truly", "is well")), [local(origin.port)]);
  await until(() => order.cluster.warm, "never checked");
  assert.equal(order.cluster.hosts[0]?.healthy, false);
  const short = open(http({ ...receive("truly"), responseBufferSize: 5 }), [local(origin.port)]);
  await until(() => short.cluster.warm, "never checked");
  assert.equal(short.cluster.hosts[0]?.healthy, false);
  origin.now.headers = { "x-envoy-upstream-healthchecked-cluster": "shop-1", "x-envoy-degraded": "1" };
  const named = open(http({ serviceNameMatcher: { prefix: "shop" } }), [local(origin.port)]);
  await until(() => named.cluster.warm, "never checked");
  assert.equal(named.cluster.hosts[0]?.health, "degraded");
  const other = open(http({ serviceNameMatcher: { exact: "shop" } }), [local(origin.port)]);
  await until(() => other.cluster.warm, "never checked");
  assert.equal(other.cluster.hosts[0]?.health, "unhealthy");
});

test("a method with a body, on one connection or on a new one each time", async () => {
  const origin = await changeable();
  const post = { method: "POST", send: { text: "706f6e67" } };
  for (const reuseConnection of [true, false]) {
    origin.seen.length = 0;
    origin.clients.length = 0;
    const made = open(http(post, { reuseConnection, noTrafficInterval: "1s" }), [local(origin.port)]);
    await until(() => count(made, "success") === 1, "no first");
    await next(made, 1000, "success");
    assert.deepEqual(
      origin.seen.map((one) => [one.method, one.headers["content-length"]]),
      [
        ["POST", "4"],
        ["POST", "4"],
      ],
    );
    assert.equal(new Set(origin.clients).size, reuseConnection ? 1 : 2);
  }
});

test("how long until the next check: without traffic, healthy, sick, and on the edge between", async () => {
  const origin = await changeable();
  const times = {
    interval: "10s",
    unhealthyInterval: "20s",
    unhealthyEdgeInterval: "3s",
    healthyEdgeInterval: "4s",
    noTrafficInterval: "60s",
    noTrafficHealthyInterval: "90s",
  };
  const made = open(http({ retriableStatuses: [{ start: 500, end: 501 }] }, times), [local(origin.port)]);
  await until(() => made.cluster.warm, "never warm");
  made.clock.advance(89_000);
  assert.equal(count(made, "attempt"), 1);
  await next(made, 1000, "success");
  made.cluster.stats.counters.upstream_cx_total.inc();
  await next(made, 90_000, "success");
  await next(made, 10_000, "success");
  origin.now.status = 500;
  await next(made, 10_000, "failure");
  await next(made, 3000, "failure");
  assert.equal(made.cluster.hosts[0]?.healthy, false);
  made.clock.advance(19_000);
  const attempts = count(made, "attempt");
  origin.now.status = 200;
  await next(made, 1000, "success");
  assert.equal(count(made, "attempt"), attempts + 1);
  await next(made, 4000, "success");
  assert.equal(made.cluster.hosts[0]?.healthy, true);
});

test("TCP: a connection is enough, or bytes that come in answer; silence is a timeout, with its flag", async () => {
  const echo = await tcpOrigin((socket) => {
    socket.on("data", (bytes) => socket.write(String(bytes) === "ping" ? "well: pong" : "?"));
  });
  const tcp = (more: Json): Json => ({ healthChecks: [{ ...TIMES, tcpHealthCheck: more }] });
  const plain = open(tcp({}), [local(echo)]);
  await until(() => plain.cluster.hosts[0]?.healthy === true, "a connection is enough");
  const hex = (text: string) => ({ text: Buffer.from(text).toString("hex") });
  const good = open(tcp({ send: hex("ping"), receive: [hex("pong")] }), [local(echo)]);
  await until(() => good.cluster.hosts[0]?.healthy === true, "pong came");
  const mute = open(tcp({ send: hex("pung"), receive: [hex("pong")] }), [local(echo)]);
  await until(() => count(mute, "attempt") === 1, "no attempt");
  await new Promise((resolve) => setTimeout(resolve, 20));
  await next(mute, 1000, "failure");
  assert.equal(count(mute, "network_failure"), 1);
  assert.deepEqual(mute.cluster.hosts[0]?.checked.timedOut, true);
});

test("where a host is checked: the cluster's other port, the endpoint's own, its name, or not at all", async () => {
  const origin = await changeable();
  const other = open(http({}, { altPort: origin.port }), [local(1)]);
  await until(() => other.cluster.hosts[0]?.healthy === true, "checked at the other port");
  const own = { healthCheckConfig: { portValue: origin.port, hostname: "own.test" } };
  const named = open(http({ host: "checks.test" }), [local(1, {}, own)]);
  await until(() => named.cluster.hosts[0]?.healthy === true, "checked at its own port");
  assert.equal(origin.seen.at(-1)?.headers.host, "own.test");
  const place = { address: { socketAddress: { address: "127.0.0.1", portValue: origin.port } } };
  const moved = open(http(), [local(1, {}, { healthCheckConfig: place })]);
  await until(() => moved.cluster.hosts[0]?.healthy === true, "checked at its own address");
  const off = open(http(), [local(1, {}, { healthCheckConfig: { disableActiveHealthCheck: true } })]);
  assert.equal(off.cluster.hosts[0]?.healthy, true);
  assert.equal(off.cluster.warm, true);
});

test("a new host can be left out of every count until it is checked; one that is gone stays while it passes", async () => {
  const origin = await changeable();
  const config = { ...http({}, { noTrafficInterval: "1s" }), commonLbConfig: { ignoreNewHostsUntilFirstHc: true } };
  const made = open(config, [local(origin.port)]);
  await until(() => made.cluster.warm, "never warm");
  const silent = await tcpOrigin(() => undefined);
  const several = [1, 2, 3].map((number) => {
    const address = { socketAddress: { address: `127.0.0.${number}`, portValue: silent } };
    return { endpoint: { address } };
  });
  update(made.cluster, [{ lbEndpoints: [local(origin.port), ...several] }]);
  assert.equal(stat(made.registry, "cluster.c.membership_excluded"), 3);
  assert.equal(pick(made.cluster)?.endpoint.port, origin.port);
  assert.equal(stat(made.registry, "cluster.c.lb_healthy_panic"), 0);
  update(made.cluster, [{ lbEndpoints: several }]);
  assert.equal(made.cluster.hosts.find((host) => host.endpoint.port === origin.port)?.leaving, true);
  origin.now.status = 500;
  made.clock.advance(1000);
  await until(() => made.cluster.hosts.length === 3, "the failing host is still there");
  const dropping = open({ ...http(), ignoreHealthOnHostRemoval: true }, [local(origin.port)]);
  origin.now.status = 200;
  await until(() => dropping.cluster.warm, "never warm");
  update(dropping.cluster, []);
  assert.equal(dropping.cluster.hosts.length, 0);
});

test("a check that passes ends an ejection, unless it is told not to", async () => {
  for (const unejects of [true, false]) {
    const origin = await changeable();
    const outlierDetection = {
      consecutive5xx: 1,
      maxEjectionPercent: 100,
      interval: "1000s",
      successfulActiveHealthCheckUnejectHost: unejects,
    };
    const made = open({ ...http({}, { noTrafficInterval: "1s" }), outlierDetection }, [local(origin.port)]);
    await until(() => made.cluster.warm, "never warm");
    const [host] = made.cluster.hosts;
    host?.onResponse(500);
    assert.equal(host?.healthy, false);
    await next(made, 1000, "success");
    assert.equal(host?.healthy, unejects);
  }
});

test("TCP connections to a host that fails are closed, where the cluster says so", async () => {
  const health = await changeable();
  const origin = await tcpOrigin((socket) => socket.write("hello"));
  const times = {
    timeout: "1s",
    interval: "0.05s",
    noTrafficInterval: "0.05s",
    unhealthyThreshold: 1,
    healthyThreshold: 1,
  };
  const config = fromEnvoyJson(ClusterMessage, {
    name: "c",
    type: "STATIC",
    connectTimeout: "1s",
    loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [local(origin)] }] },
    closeConnectionsOnHostHealthFailure: true,
    healthChecks: [{ ...times, altPort: health.port, httpHealthCheck: { path: "/" } }],
  });
  assert.ok(config.ok);
  const { port } = await start(
    { listeners: [listener([chain(tcpFilter("c"))])], clusters: [config.value] },
    { clock: systemClock },
  );
  const client = connect(port, "127.0.0.1");
  client.on("error", () => client.destroy());
  await new Promise((resolve) => client.once("data", resolve));
  health.now.status = 500;
  await new Promise((resolve) => client.once("close", resolve));
});

test("what a check can't honour is refused by name", () => {
  const refused = (check: Json, ...paths: readonly string[]) =>
    assert.deepEqual(
      refusals({ healthChecks: [{ ...TIMES, ...check }] }),
      paths.map((path) => `health_checks[0]${path}`),
    );
  const plain = { httpHealthCheck: { path: "/" } };
  refused({ grpcHealthCheck: {} }, ".grpc_health_check");
  refused({ customHealthCheck: { name: "x" } }, ".custom_health_check");
  refused({}, "");
  refused({ ...plain, eventLogPath: "/tmp/x" }, ".event_log_path");
  refused({ ...plain, alwaysLogHealthCheckFailures: true }, ".always_log_health_check_failures");
  refused({ ...plain, healthyThreshold: 0 }, ".healthy_threshold");
  refused({ httpHealthCheck: { path: "/", codecClientType: "HTTP2" } }, ".http_health_check.codec_client_type");
  refused({ httpHealthCheck: { path: "/", send: { text: "00" } } }, ".http_health_check.send");
  refused({ tcpHealthCheck: { send: { text: "0g" } } }, ".tcp_health_check.send.text");
  refused({ tcpHealthCheck: { proxyProtocolConfig: {} } }, ".tcp_health_check.proxy_protocol_config");
  const formatted = [{ header: { key: "x", value: "%START_TIME%" } }];
  refused(
    { httpHealthCheck: { path: "/", requestHeadersToAdd: formatted } },
    ".http_health_check.request_headers_to_add[0].header.value",
  );
  assert.deepEqual(
    refusals({
      healthChecks: [
        { ...TIMES, ...plain },
        { ...TIMES, ...plain },
      ],
    }),
    ["health_checks[1]"],
  );
});
