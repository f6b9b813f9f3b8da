// Every timeout in virtual time: what the client gets, what the log and the counters say, as Envoy 1.40 does it.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { it } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { faultWorld, until } from "../../faults/world.ts";
import { stat, tcpOrigin } from "./harness.ts";

interface Case {
  readonly name: string;
  readonly hcm?: Readonly<Record<string, unknown>>;
  readonly route?: Readonly<Record<string, unknown>>;
  readonly send: string;
  readonly answer: RegExp;
  readonly log: string;
  /** A counter that is 1 afterwards. */
  readonly counter: string;
}

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const HALF = "GET /half HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab";
const HEAD = "GET / HTTP/1.1\r\nHo";
const STREAM_IDLE = { streamIdleTimeout: "10s" };
const DURATION = { commonHttpProtocolOptions: { maxStreamDuration: "10s" } };
const http = (name: string): string => `http.test.downstream_${name}`;

const cases: readonly Case[] = [
  {
    name: "stream idle timeout, waiting for the response",
    hcm: STREAM_IDLE,
    send: GET,
    answer: /^HTTP\/1\.1 504 .*stream timeout$/s,
    log: "504 SI stream_idle_timeout",
    counter: http("rq_idle_timeout"),
  },
  {
    name: "stream idle timeout within the request",
    hcm: STREAM_IDLE,
    send: POST,
    answer: /^HTTP\/1\.1 408 .*connection: close\r\n.*stream timeout$/s,
    log: "408 SI stream_idle_timeout",
    counter: http("rq_idle_timeout"),
  },
  {
    name: "stream idle timeout within the response",
    hcm: STREAM_IDLE,
    send: HALF,
    answer: /^HTTP\/1\.1 200 .*abc$/s,
    log: "200 SI stream_idle_timeout",
    counter: http("rq_idle_timeout"),
  },
  {
    name: "stream idle timeout within the head",
    hcm: STREAM_IDLE,
    send: HEAD,
    answer: /^HTTP\/1\.1 408 .*stream timeout$/s,
    log: "408 SI stream_idle_timeout",
    counter: http("rq_idle_timeout"),
  },
  {
    name: "a route's idle timeout",
    route: { idleTimeout: "10s" },
    send: GET,
    answer: /^HTTP\/1\.1 504 .*stream timeout$/s,
    log: "504 SI stream_idle_timeout",
    counter: http("rq_idle_timeout"),
  },
  {
    name: "request timeout within the body",
    hcm: { requestTimeout: "10s" },
    send: POST,
    answer: /^HTTP\/1\.1 408 .*request timeout$/s,
    log: "408 - request_overall_timeout",
    counter: http("rq_timeout"),
  },
  {
    name: "request timeout within the head",
    hcm: { requestTimeout: "10s" },
    send: HEAD,
    answer: /^HTTP\/1\.1 408 .*request timeout$/s,
    log: "408 - request_overall_timeout",
    counter: http("rq_timeout"),
  },
  {
    name: "headers timeout",
    hcm: { requestHeadersTimeout: "10s" },
    send: HEAD,
    answer: /^HTTP\/1\.1 408 .*request header timeout$/s,
    log: "408 - request_header_timeout",
    counter: http("rq_header_timeout"),
  },
  {
    name: "max stream duration, waiting for the response",
    hcm: DURATION,
    send: GET,
    answer: /^HTTP\/1\.1 504 .*downstream duration timeout$/s,
    log: "504 - max_duration_timeout",
    counter: http("rq_max_duration_reached"),
  },
  {
    name: "max stream duration within the request",
    hcm: DURATION,
    send: POST,
    answer: /^HTTP\/1\.1 408 .*downstream duration timeout$/s,
    log: "408 - max_duration_timeout",
    counter: http("rq_max_duration_reached"),
  },
  {
    name: "max stream duration within the response",
    hcm: DURATION,
    send: HALF,
    answer: /^HTTP\/1\.1 200 .*abc$/s,
    log: "200 - max_duration_timeout",
    counter: http("rq_max_duration_reached"),
  },
  {
    name: "a route's max stream duration",
    route: { maxStreamDuration: { maxStreamDuration: "10s" } },
    send: GET,
    answer: /^HTTP\/1\.1 504 .*downstream duration timeout$/s,
    log: "504 - max_duration_timeout",
    counter: http("rq_max_duration_reached"),
  },
  {
    name: "a route's timeout, waiting for the response",
    route: { timeout: "10s" },
    send: GET,
    answer: /^HTTP\/1\.1 504 .*upstream request timeout$/s,
    log: "504 UT response_timeout",
    counter: "cluster.a.upstream_rq_timeout",
  },
  {
    name: "a route's timeout within the response",
    route: { timeout: "10s" },
    send: HALF,
    answer: /^HTTP\/1\.1 200 .*abc$/s,
    log: "200 UT response_timeout",
    counter: "cluster.a.upstream_rq_timeout",
  },
  {
    name: "the time of a try",
    route: { retryPolicy: { retryOn: "connect-failure", perTryTimeout: "10s" } },
    send: GET,
    answer: /^HTTP\/1\.1 504 .*upstream request timeout$/s,
    log: "504 UT upstream_per_try_timeout",
    counter: "cluster.a.upstream_rq_per_try_timeout",
  },
];

for (const one of cases) {
  it(one.name, async () => {
    const world = await begin(one);
    world.clock.advance(9500);
    await settle();
    assert.equal(world.got(), one.send === HALF ? world.got() : "", "before the time is over");
    assert.equal(Math.max(0, stat(world.registry, one.counter)), 0);
    world.clock.advance(2500);
    await until(() => one.answer.test(world.got()));
    assert.match(world.got(), one.answer);
    await until(() => world.log().length > 0);
    assert.deepEqual(world.log(), [one.log]);
    assert.equal(stat(world.registry, one.counter), 1);
  });
}

it("an idle connection ends after its time, and one that is too old when it is idle", async () => {
  for (const [field, counter] of [
    ["idleTimeout", "cx_idle_timeout"],
    ["maxConnectionDuration", "cx_max_duration_reached"],
  ] as const) {
    const world = await begin({ hcm: { commonHttpProtocolOptions: { [field]: "10s" } }, send: "" });
    world.clock.advance(9000);
    await settle();
    assert.ok(!world.ended(), `${field}: too early`);
    world.clock.advance(3000);
    await until(world.ended);
    assert.ok(world.ended(), field);
    assert.equal(stat(world.registry, http(counter)), 1);
  }
});

it("a stream that gets bytes now and then is not idle, and a slow head is not the one before it", async () => {
  const world = await begin({ hcm: STREAM_IDLE, send: "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n" });
  for (let sent = 0; sent < 9; sent += 1) {
    world.clock.advance(9000);
    await settle();
    world.socket.write("x");
    await settle();
  }
  assert.equal(world.got(), "");
  assert.equal(world.requests(), "x".repeat(9));
});

async function begin(setup: Pick<Case, "hcm" | "route" | "send">) {
  const clock = new VirtualClock();
  let seen = "";
  const origin = await tcpOrigin((socket) => {
    socket.on("data", (bytes) => {
      seen += bytes.toString("latin1");
      if (seen.includes("/half")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    });
  });
  const route = { timeout: "0s", ...setup.route };
  const world = await faultWorld({ origin, clock, route, ...(setup.hcm === undefined ? {} : { hcm: setup.hcm }) });
  const socket = connect(world.port, "127.0.0.1");
  let got = "";
  let ended = false;
  socket.on("data", (bytes) => {
    got += bytes.toString("latin1");
  });
  socket.on("end", () => {
    ended = true;
  });
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  socket.write(setup.send);
  if (setup.send.includes("\r\n\r\n")) await until(() => seen !== "");
  if (setup.send === HALF) await until(() => got.endsWith("abc"));
  await settle();
  return {
    clock,
    socket,
    registry: world.registry,
    log: world.log,
    got: () => got,
    ended: () => ended,
    requests: () => seen.slice(seen.indexOf("\r\n\r\n") + 4),
  };
}

/** What was written has arrived. */
function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 15));
}
