// Connections opened and dropped by the thousand, slow readers and writers, races: nothing stays behind and memory is flat.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { it } from "node:test";
import { faultWorld, goesOn, nothingLeft, openFiles, until } from "../../faults/world.ts";
import { httpOrigin, raw, stat, tcpOrigin } from "../proxy/harness.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const MB = 1024 * 1024;

/** How far a dropped connection had come. */
const STAGES: Readonly<Record<string, string>> = {
  "that said nothing": "",
  "within their head": "GET / HTTP/1.1\r\nHo",
  "within their body": "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc",
  "within the answer": GET,
};

for (const [stage, text] of Object.entries(STAGES)) {
  it(`1,000 connections ${stage} are dropped and leave nothing behind`, async () => {
    const origin = await tcpOrigin((socket) => {
      socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"));
      socket.on("end", () => socket.end());
    });
    const thresholds = [{ maxConnections: 5000, maxPendingRequests: 5000, maxRequests: 5000 }];
    // A connection that was being made for a request that went away is kept for the next one, until it is idle too long.
    const commonHttpProtocolOptions = { idleTimeout: "0.2s" };
    const { port, registry } = await faultWorld({
      origin,
      cluster: { circuitBreakers: { thresholds }, commonHttpProtocolOptions },
    });
    await goesOn(port);
    const files = openFiles();
    for (let round = 0; round < 4; round += 1) await dropMany(port, { text, count: 250 });
    await nothingLeft(registry, ["cluster.a.upstream_cx_active"]);
    assert.equal(stat(registry, "http.test.downstream_cx_total"), 1001);
    // The origin's ends close a moment later than the proxy's.
    await until(() => openFiles() <= files + 5);
    assert.ok(openFiles() <= files + 5, `${openFiles()} files are open, ${files} before`);
    await goesOn(port);
  });
}

async function dropMany(port: number, how: { readonly text: string; readonly count: number }): Promise<void> {
  const sockets = await Promise.all(Array.from({ length: how.count }, () => open(port)));
  const answered = sockets.map((socket) => new Promise<void>((resolve) => socket.once("data", () => resolve())));
  for (const socket of sockets) if (how.text !== "") socket.write(how.text);
  if (how.text === GET) await Promise.all(answered);
  else await new Promise((resolve) => setTimeout(resolve, 20));
  for (const [index, socket] of sockets.entries()) {
    if (index % 2 === 0) socket.destroy();
    else socket.resetAndDestroy();
  }
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(socket));
    socket.on("error", reject);
  });
}

it("a client that does not read holds its origin back, and gets everything when it does", async () => {
  const total = 48 * MB;
  const sent = { bytes: 0 };
  const origin = await tcpOrigin((socket) => {
    const piece = Buffer.alloc(64 * 1024, "x");
    socket.once("data", () => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
      pump(socket, piece, { total, sent });
    });
  });
  const { port, registry } = await faultWorld({ origin });
  const socket = await open(port);
  socket.pause();
  socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const before = await settled(() => sent.bytes);
  assert.ok(before < total / 2, `${before} bytes went into a client that does not read`);
  let got = 0;
  socket.on("data", (bytes) => {
    got += bytes.length;
  });
  socket.resume();
  await new Promise((resolve) => socket.on("close", resolve));
  assert.ok(got > total && got < total + 1000, `${got} of ${total}`);
  await nothingLeft(registry);
});

it("the last bytes reach a client that reads them later than a second", async () => {
  const total = 8 * MB;
  const origin = await httpOrigin((_request, response) => response.end(Buffer.alloc(total, "x")));
  const { port } = await faultWorld({ origin });
  const socket = await open(port);
  socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  let got = 0;
  // A little at a time, with pauses that are longer in sum than the proxy lingers.
  socket.on("data", (bytes) => {
    got += bytes.length;
    socket.pause();
    setTimeout(() => socket.resume(), 15);
  });
  await new Promise((resolve) => socket.on("close", resolve));
  assert.ok(got > total, `${got} of ${total}`);
});

it("an origin that does not read holds its client back", async () => {
  const ends: Socket[] = [];
  const origin = await tcpOrigin((socket) => {
    socket.pause();
    ends.push(socket);
  });
  const { port, registry } = await faultWorld({ origin, route: { timeout: "0s" } });
  const socket = await open(port);
  const total = 48 * MB;
  const sent = { bytes: 0 };
  socket.write(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
  pump(socket, Buffer.alloc(64 * 1024, "x"), { total, sent });
  const taken = await settled(() => sent.bytes);
  assert.ok(taken < total / 2, `${taken} bytes went into an origin that does not read`);
  await goesOn(port);
  socket.destroy();
  for (const end of ends) end.destroy();
  await nothingLeft(registry, ["cluster.a.upstream_cx_active"]);
});

function pump(socket: Socket, piece: Buffer, how: { readonly total: number; readonly sent: { bytes: number } }): void {
  const next = () => {
    while (how.sent.bytes < how.total) {
      how.sent.bytes += piece.length;
      if (!socket.write(piece)) {
        socket.once("drain", next);
        return;
      }
    }
  };
  next();
}

/** The number, once it has not changed for a while. */
async function settled(read: () => number): Promise<number> {
  for (;;) {
    const before = read();
    await new Promise((resolve) => setTimeout(resolve, 150));
    if (read() === before && before > 0) return before;
  }
}

it("an origin that closes idle connections under the request: a GET goes again, a POST is told", async () => {
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
  const { port, registry, log } = await faultWorld({ origin });
  for (let round = 0; round < 20; round += 1) {
    assert.match(await raw(port, GET, "ok"), /^HTTP\/1\.1 200/);
  }
  assert.ok(connections >= 10, `${connections} connections`);
  assert.equal(stat(registry, "cluster.a.upstream_rq_503"), -1);
  const post = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
  // One of two meets the connection that is closed under it.
  const answers = [
    await raw(port, GET, "ok"),
    await raw(port, post),
    await raw(port, GET, "ok"),
    await raw(port, post),
  ];
  assert.ok(
    answers.some((answer) => answer.startsWith("HTTP/1.1 503")),
    answers.join("\n"),
  );
  await until(() => log().some((line) => line.startsWith("503 UC")));
  assert.ok(log().includes("503 UC upstream_reset_before_response_started{connection_termination}"));
  await goesOn(port);
  await nothingLeft(registry);
});

it("a burst beyond the breakers: as many as allowed are served, the others are told at once", async () => {
  const waiting: (() => void)[] = [];
  const origin = await httpOrigin((_request, response) => {
    waiting.push(() => response.end("late"));
  });
  const thresholds = [{ maxConnections: 10, maxPendingRequests: 20, maxRequests: 1000 }];
  const { port, registry } = await faultWorld({ origin, cluster: { circuitBreakers: { thresholds } } });
  const close = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  const answers = Array.from({ length: 200 }, () => raw(port, close));
  await until(() => stat(registry, "cluster.a.upstream_rq_pending_overflow") === 170);
  assert.equal(stat(registry, "cluster.a.upstream_cx_active"), 10);
  assert.equal(stat(registry, "cluster.a.upstream_rq_pending_active"), 20);
  const timer = setInterval(() => waiting.shift()?.(), 1);
  const all = await Promise.all(answers);
  clearInterval(timer);
  assert.equal(all.filter((answer) => answer.endsWith("late")).length, 30);
  assert.equal(all.filter((answer) => answer.startsWith("HTTP/1.1 503")).length, 170);
  assert.equal(stat(registry, "cluster.a.circuit_breakers.default.rq_pending_open"), 0);
  await goesOn(port);
  await nothingLeft(registry);
});

it("a full disk for the access log costs lines, which are counted, and no request", async () => {
  const origin = await httpOrigin((_request, response) => response.end("ok"));
  const { port, registry } = await faultWorld({ origin, logPath: "/dev/full" });
  for (let round = 0; round < 30; round += 1) {
    assert.match(await raw(port, GET, "ok"), /^HTTP\/1\.1 200/);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await until(() => stat(registry, "access_log.lines_dropped") >= 30);
  assert.equal(stat(registry, "access_log.lines_dropped"), 30);
  await goesOn(port);
});
