// TCP through a server that is asked to connect to somewhere else first.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { VirtualClock } from "../../../src/base/clock.ts";
import { TcpProxy } from "../../../src/proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { any, chain, cluster, listener, start, tcpOrigin } from "./harness.ts";

function tunnelled(to: string) {
  const config = TcpProxy.fromPartial({
    statPrefix: "tcp",
    clusterSpecifier: { $case: "cluster", value: "proxy" },
    tunnelingConfig: { hostname: to },
  });
  const typeName = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";
  return { name: "tcp", typedConfig: any(typeName, TcpProxy.encode(config).finish()) };
}

async function through(answer: (head: string, socket: Socket) => void, clock?: VirtualClock) {
  const port = await tcpOrigin((socket) => {
    let head = "";
    const read = (bytes: Buffer): void => {
      head += String(bytes);
      if (!head.includes("\r\n\r\n")) return;
      socket.off("data", read);
      answer(head, socket);
    };
    socket.on("data", read);
  });
  return start(
    { listeners: [listener([chain(tunnelled("db.example.com:5432"))])], clusters: [cluster("proxy", [port])] },
    clock === undefined ? {} : { clock },
  );
}

function ask(port: number, text: string): Promise<string> {
  return new Promise((resolve) => {
    let seen = "";
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(text));
    socket.on("data", (bytes) => {
      seen += String(bytes);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(seen));
    socket.on("end", () => socket.destroy());
  });
}

test("what follows the CONNECT and its answer goes on as it is, in both directions", async () => {
  let asked = "";
  const { port } = await through((head, socket) => {
    asked = head;
    let text = "";
    socket.on("data", (bytes) => {
      text += String(bytes);
    });
    socket.on("end", () => socket.end(`heard ${text}`));
    // The server behind it speaks first, in the same packet as the answer.
    socket.write("HTTP/1.1 200 Connection established\r\nvia: a\r\n\r\nhello, ");
  });
  assert.equal(await ask(port, "select 1"), "hello, heard select 1");
  assert.equal(asked, "CONNECT db.example.com:5432 HTTP/1.1\r\nhost: db.example.com:5432\r\n\r\n");
});

test("an answer in pieces", async () => {
  const { port } = await through((_head, socket) => {
    socket.on("end", () => socket.end());
    socket.resume();
    const pieces = ["HTTP/1.0 2", "00 fine\r", "\n\r", "\nafter"];
    const next = (): void => {
      const piece = pieces.shift();
      if (piece === undefined) return;
      socket.write(piece);
      setTimeout(next, 5);
    };
    next();
  });
  assert.equal(await ask(port, "x"), "after");
});

for (const [name, answer] of [
  ["a refusal", "HTTP/1.1 403 Forbidden\r\n\r\nno"],
  ["what is no HTTP", "SSH-2.0-a\r\n\r\n"],
  ["a head without an end", "HTTP/1.1 200 OK\r\n".padEnd(20_000, "a")],
] as const) {
  test(`${name} ends the connection`, async () => {
    const { port } = await through((_head, socket) => socket.write(answer));
    assert.equal(await ask(port, "x"), "");
  });
}

test("no answer ends it after the time for connecting", async () => {
  const clock = new VirtualClock();
  const waits = Promise.withResolvers<void>();
  const { port } = await through(() => waits.resolve(), clock);
  const closed = ask(port, "x");
  await waits.promise;
  clock.advance(1_001);
  assert.equal(await closed, "");
});
