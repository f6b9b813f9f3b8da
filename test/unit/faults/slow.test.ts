// Clients that send and do not read, and those that read late.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { it } from "node:test";
import { until } from "../../faults/world.ts";
import { httpListener, start, stat } from "../proxy/harness.ts";

const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const BODY = "x".repeat(4000);
const MB = 1024 * 1024;

async function direct() {
  const action = { directResponse: { status: 200, body: { inlineString: BODY } } };
  const virtualHosts = [{ name: "d", domains: ["*"], routes: [{ match: { prefix: "/" }, ...action }] }];
  const { port, registry } = await start({ listeners: [httpListener({ virtualHosts })], clusters: [] });
  const socket = connect(port, "127.0.0.1");
  socket.pause();
  socket.on("error", () => socket.destroy());
  return { port, socket, answered: () => stat(registry, "http.test.downstream_rq_2xx") };
}

it("a client that sends requests and reads no answer is not read from any more", async () => {
  const { socket, answered } = await direct();
  const many = GET.repeat(1000);
  let sent = 0;
  const before = process.memoryUsage().rss;
  const pump = () => {
    while (sent < 200_000) {
      sent += 1000;
      if (!socket.write(many)) {
        socket.once("drain", pump);
        return;
      }
    }
  };
  pump();
  let last = -1;
  while (last !== answered()) {
    last = answered();
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.ok(last < 10_000, `${last} answers were made for a client that reads none`);
  assert.ok(process.memoryUsage().rss - before < 64 * MB, "memory grew");
  socket.destroy();
});

it("an answer that waits for its client is not cut off when the connection is to end", async () => {
  const { port, socket, answered } = await direct();
  let queued = -1;
  let sent = 0;
  // Until an answer no longer reaches the kernel's buffers: it waits in the proxy.
  while (queued !== queuedBytes(port, socket)) {
    queued = queuedBytes(port, socket);
    const more = queued < 2 * MB ? 128 : 12;
    socket.write(GET.repeat(more));
    sent += more;
    const patient = performance.now() + 300;
    await until(() => answered() === sent || performance.now() > patient);
    assert.ok(sent < 20_000);
  }
  socket.write(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
  await until(() => answered() === sent + 1);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  let got = "";
  socket.on("data", (bytes) => {
    got += bytes.toString("latin1");
  });
  socket.resume();
  await new Promise((resolve) => socket.on("close", resolve));
  assert.equal(got.split("HTTP/1.1 200 OK").length - 1, sent + 1);
  assert.ok(got.endsWith(BODY));
});

/** Bytes on their way from the proxy to the client. */
function queuedBytes(port: number, socket: Socket): number {
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(4, "0");
  const ends = [`0100007F:${hex(port)}`, `0100007F:${hex(socket.localPort ?? 0)}`];
  let bytes = 0;
  for (const line of readFileSync("/proc/net/tcp", "utf8").split("\n")) {
    const [, local = "", remote = "", , queues = ""] = line.trim().split(/\s+/);
    const [send = "0", receive = "0"] = queues.split(":");
    if (local === ends[0] && remote === ends[1]) bytes += Number.parseInt(send, 16);
    if (local === ends[1] && remote === ends[0]) bytes += Number.parseInt(receive, 16);
  }
  return bytes;
}
