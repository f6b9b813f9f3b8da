// Retries, timeouts, breakers, weights, framing both ways.

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { cluster, httpListener, httpOrigin, raw, routeAll, start, stat, tcpOrigin } from "./harness.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

test("weights split within the binomial bounds", async () => {
  const v1 = await httpOrigin((_request, response) => response.end("v1"));
  const v2 = await httpOrigin((_request, response) => response.end("v2"));
  const weighted = {
    clusters: [
      { name: "v1", weight: 90 },
      { name: "v2", weight: 10 },
    ],
  };
  const { port } = await start({
    listeners: [
      httpListener({
        virtualHosts: [
          { name: "w", domains: ["*"], routes: [{ match: { prefix: "/" }, route: { weightedClusters: weighted } }] },
        ],
      }),
    ],
    clusters: [cluster("v1", [v1]), cluster("v2", [v2])],
  });
  const total = 1000;
  const answers = await raw(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(total - 1) + GET);
  const second = answers.split("v2").length - 1;
  const first = answers.split("v1").length - 1;
  assert.equal(first + second, total);
  assert.ok(second > 100 - 32 && second < 100 + 32, `${second} of ${total}`);
});

test("gateway errors are retried on another try, and the attempts are counted", async () => {
  let calls = 0;
  const origin = await httpOrigin((request, response) => {
    calls += 1;
    response.statusCode = calls < 3 ? 503 : 200;
    response.end(`attempt ${request.headers["x-envoy-attempt-count"]}`);
  });
  const retryPolicy = {
    retryOn: "5xx",
    numRetries: 3,
    retryBackOff: { baseInterval: "0.001s", maxInterval: "0.002s" },
  };
  const { port, registry } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a", { retryPolicy }, { includeRequestAttemptCount: true })] })],
    clusters: [cluster("a", [origin])],
  });
  const answer = await raw(port, GET);
  assert.match(answer, /^HTTP\/1\.1 200/);
  assert.ok(answer.endsWith("attempt 3"));
  assert.equal(stat(registry, "cluster.a.upstream_rq_retry"), 2);
  assert.equal(stat(registry, "cluster.a.upstream_rq_retry_success"), 1);
});

test("a hanging origin: one try without retryOn, several with it, 504 either way", async () => {
  let calls = 0;
  const origin = await httpOrigin(() => {
    calls += 1;
  });
  const policy = (retryOn: string) => ({
    retryOn,
    numRetries: 3,
    perTryTimeout: "0.1s",
    retryBackOff: { baseInterval: "0.001s", maxInterval: "0.002s" },
  });
  const one = await start({
    listeners: [
      httpListener({ virtualHosts: [routeAll("a", { timeout: "0.25s", retryPolicy: policy("connect-failure") })] }),
    ],
    clusters: [cluster("a", [origin])],
  });
  assert.match(await raw(one.port, GET), /^HTTP\/1\.1 504.*upstream request timeout$/s);
  assert.equal(calls, 1);
  calls = 0;
  const more = await start({
    listeners: [
      httpListener({ virtualHosts: [routeAll("a", { timeout: "0.25s", retryPolicy: policy("gateway-error,reset") })] }),
    ],
    clusters: [cluster("a", [origin])],
  });
  assert.match(await raw(more.port, GET), /^HTTP\/1\.1 504/);
  assert.equal(calls, 3);
});

test("the request beyond the pending limit is refused at once", async () => {
  const waiting: (() => void)[] = [];
  const origin = await httpOrigin((_request, response) => {
    waiting.push(() => response.end("late"));
  });
  const thresholds = [{ maxConnections: 1, maxPendingRequests: 5 }];
  const { port, registry } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a")] })],
    clusters: [cluster("a", [origin], { circuitBreakers: { thresholds } })],
  });
  const running = [];
  for (let at = 0; at < 6; at += 1) {
    running.push(raw(port, GET));
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(stat(registry, "cluster.a.circuit_breakers.default.rq_pending_open"), 1);
  const refused = await raw(port, GET);
  assert.match(refused, /^HTTP\/1\.1 503/);
  assert.match(refused, /\r\nx-envoy-overloaded: true\r\n/);
  assert.match(refused, /reset reason: overflow/);
  assert.equal(stat(registry, "cluster.a.upstream_rq_pending_overflow"), 1);
  const timer = setInterval(() => waiting.shift()?.(), 5);
  const answers = await Promise.all(running);
  clearInterval(timer);
  for (const answer of answers) assert.ok(answer.endsWith("late"));
});

test("what leads nowhere says why", async () => {
  const dead = await tcpOrigin((socket) => socket.destroy());
  const { port } = await start({
    listeners: [
      httpListener({
        virtualHosts: [
          {
            name: "api",
            domains: ["api"],
            routes: [
              { match: { path: "/none" }, route: { cluster: "missing" } },
              { match: { path: "/empty" }, route: { cluster: "empty" } },
              { match: { path: "/dead" }, route: { cluster: "dead" } },
              { match: { path: "/closed" }, route: { cluster: "closed" } },
            ],
            metadata: {
              filterMetadata: { "weft.dev": { resource: "VirtualService production/api", rule: "spec.http[0]" } },
            },
          },
        ],
      }),
    ],
    clusters: [
      cluster("empty", [], {
        metadata: { filterMetadata: { "weft.dev": { unreachable: "subset v3 is not defined" } } },
      }),
      cluster("dead", [dead]),
      cluster("closed", [1]),
    ],
  });
  const get = (path: string, host = "api") =>
    raw(port, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
  const none = await get("/none");
  assert.match(none, /^HTTP\/1\.1 503/);
  assert.match(none, /x-weft-cause: VirtualService production\/api spec\.http\[0\]: cluster missing/);
  const empty = await get("/empty");
  assert.match(empty, /no healthy upstream$/);
  assert.match(empty, /x-weft-cause: VirtualService production\/api spec\.http\[0\]: subset v3 is not defined/);
  assert.match(await get("/dead"), /503.*reset reason: connection termination/s);
  assert.match(
    await get("/closed"),
    /503.*delayed connect error: Connection refused.*reset reason: remote connection failure/s,
  );
  assert.match(await get("/other"), /^HTTP\/1\.1 404/);
  assert.match(await get("/", "nobody"), /404.*x-weft-cause: no virtual host/s);
});

test("bodies stream both ways, with lengths, in chunks, with an early answer and 100-continue", async () => {
  const origin = await httpOrigin((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (chunk: Buffer) => parts.push(chunk));
    request.on("end", () => {
      response.write(`${request.headers["transfer-encoding"] ?? request.headers["content-length"]}|`);
      response.end(Buffer.concat(parts));
    });
  });
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a")] })],
    clusters: [cluster("a", [origin])],
  });
  const chunked = await raw(
    port,
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2;x=1\r\nde\r\n0\r\n\r\n",
  );
  assert.match(chunked, /transfer-encoding: chunked/);
  assert.match(chunked, /\r\nd\r\nchunked\|abcde\r\n0\r\n\r\n$/);
  const expecting = await raw(
    port,
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
  );
  assert.match(expecting, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/);
  assert.match(expecting, /2\|hi\r\n/);
});

test("a large body passes with back-pressure", async () => {
  const size = 64 * 1024 * 1024;
  const origin = await httpOrigin((_request, response) => {
    response.setHeader("content-length", size);
    const piece = Buffer.alloc(1024 * 1024, 120);
    let left = size;
    const more = () => {
      while (left > 0) {
        left -= piece.length;
        if (!response.write(piece)) return response.once("drain", more);
      }
      return response.end();
    };
    more();
  });
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a")] })],
    clusters: [cluster("a", [origin])],
  });
  const got = await new Promise<number>((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let count = 0;
    socket.on("data", (bytes) => {
      count += bytes.length;
      if (count % 7 === 0) {
        socket.pause();
        setImmediate(() => socket.resume());
      }
    });
    socket.on("end", () => resolve(count));
    socket.write(GET);
  });
  assert.ok(got > size && got < size + 1000, `${got}`);
});

test("an upgrade becomes a tunnel", async () => {
  const origin = await tcpOrigin((socket) => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello");
      socket.on("data", (bytes) => socket.write(`echo ${bytes}`));
    });
  });
  const { port } = await start({
    listeners: [
      httpListener({ virtualHosts: [routeAll("a")], hcm: { upgradeConfigs: [{ upgradeType: "websocket" }] } }),
    ],
    clusters: [cluster("a", [origin])],
  });
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let got = "";
    let asked = false;
    socket.on("data", (bytes) => {
      got += bytes;
      if (got.includes("hello") && !asked) {
        asked = true;
        socket.write("ping");
      }
      if (got.includes("echo ping")) {
        socket.destroy();
        resolve(got);
      }
    });
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  });
  assert.match(answer, /^HTTP\/1\.1 101 /);
});

test("a connection that the origin closed while idle costs a safe request nothing", async () => {
  let connections = 0;
  const origin = await tcpOrigin((socket) => {
    connections += 1;
    let requests = 0;
    socket.on("data", () => {
      requests += 1;
      if (requests === 1) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      else socket.destroy();
    });
  });
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a")] })],
    clusters: [cluster("a", [origin])],
  });
  assert.match(await raw(port, GET), /^HTTP\/1\.1 200/);
  assert.match(await raw(port, GET), /^HTTP\/1\.1 200/);
  assert.equal(connections, 2);
  const post = await raw(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
  assert.match(post, /^HTTP\/1\.1 503/);
});

test("a client that half-closes gets the answers to all that it asked, and then the end", async () => {
  const origin = await httpOrigin((_request, response) => setTimeout(() => response.end("fine"), 5));
  const { port } = await start({
    listeners: [httpListener({ virtualHosts: [routeAll("a")] })],
    clusters: [cluster("a", [origin])],
  });
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  socket.end("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3));
  const late = setTimeout(() => socket.destroy(new Error("the proxy kept the connection")), 3000);
  await once(socket, "end");
  clearTimeout(late);
  assert.equal(text.split("fine").length - 1, 3);
});
