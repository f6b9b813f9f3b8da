// The control plane's ports under pressure: who says nothing, who comes too often, who speaks an old TLS.

import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, describe, it } from "node:test";
import { connect as connectTls } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { openDoor } from "../../../src/control/door.ts";
import { startMesh, until } from "./mesh.ts";

const opened: Socket[] = [];
after(() => {
  for (const socket of opened) socket.destroy();
});

interface Guest {
  readonly socket: Socket;
  closed(): boolean;
}

function guest(port: number): Guest {
  const socket = connect(port, "127.0.0.1");
  opened.push(socket);
  let closed = false;
  socket.resume();
  socket.on("error", () => undefined);
  socket.on("close", () => {
    closed = true;
  });
  return { socket, closed: () => closed };
}

/** What a client of HTTP/2 says first: preface, settings, and a window. */
const PREFACE = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  Buffer.from([0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 255, 255, 0, 2, 0, 0, 0, 0]),
  Buffer.from([0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 255, 255]),
]);

describe("the door of a gRPC port", () => {
  const at = { address: "127.0.0.1", port: 0 };
  const plain = grpc.ServerCredentials.createInsecure();

  it("closes on who says nothing, or too little, and on nobody else", async (context) => {
    const door = await openDoor(new grpc.Server(), at, plain, {
      connectionsMax: 100,
      perAddressMax: 100,
      firstBytesMs: 300,
    });
    context.after(() => door.close());
    const silent = guest(door.at.port);
    const dripping = guest(door.at.port);
    const drip = setInterval(() => dripping.socket.write("P"), 50);
    const speaking = guest(door.at.port);
    speaking.socket.write(PREFACE);
    await until("the silent and the dripping one are out", () => silent.closed() && dripping.closed());
    clearInterval(drip);
    assert.equal(speaking.closed(), false);
  });

  it("lets in so many, and so many from one address, and others again once some have left", async (context) => {
    const door = await openDoor(new grpc.Server(), at, plain, {
      connectionsMax: 100,
      perAddressMax: 5,
      firstBytesMs: 10_000,
    });
    context.after(() => door.close());
    const guests = Array.from({ length: 20 }, () => guest(door.at.port));
    await until("the last fifteen are out", () => guests.filter(({ closed }) => closed()).length === 15);
    for (const { socket } of guests) socket.destroy();
    await until("there is room again", async () => {
      const again = guest(door.at.port);
      again.socket.write(PREFACE);
      await new Promise((resolve) => setTimeout(resolve, 50));
      return again.socket.bytesRead > 0;
    });
  });

  it("closes on all when it closes", async () => {
    const door = await openDoor(new grpc.Server(), at, plain);
    const one = guest(door.at.port);
    one.socket.write(PREFACE);
    await until("it is inside", () => one.socket.bytesRead > 0);
    door.close();
    await until("it is out", () => one.closed());
  });
});

describe("TLS of the control plane and of the API server", () => {
  it("is 1.2 or later", async (context) => {
    const mesh = await startMesh(context);
    for (const port of [mesh.control.secure.port, mesh.api.port]) {
      assert.equal(await spoken(port, "TLSv1.1"), undefined);
      assert.equal(await spoken(port, "TLSv1"), undefined);
      assert.equal(await spoken(port, "TLSv1.2"), "TLSv1.2");
      assert.equal(await spoken(port, "TLSv1.3"), "TLSv1.3");
    }
  });
});

function spoken(port: number, version: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3"): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const socket = connectTls({
    port,
    host: "127.0.0.1",
    minVersion: version,
    maxVersion: version,
    // Else the runtime itself would not offer the old ones.
    ciphers: "DEFAULT@SECLEVEL=0",
    rejectUnauthorized: false,
    ALPNProtocols: ["h2", "http/1.1"],
  });
  opened.push(socket);
  socket.on("secureConnect", () => resolve(socket.getProtocol() ?? undefined));
  socket.on("error", () => resolve(undefined));
  socket.on("close", () => resolve(undefined));
  return promise;
}

describe("the debug port", () => {
  it("answers what is no address", async (context) => {
    const mesh = await startMesh(context);
    const socket = connect(mesh.control.debug?.port ?? 0, "127.0.0.1");
    opened.push(socket);
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes.toString("latin1");
    });
    socket.write("GET //\\/%zz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    await until("it is answered", () => answer.startsWith("HTTP/1.1 400 "));
    assert.equal((await fetch(`http://127.0.0.1:${mesh.control.debug?.port}/ready`)).status, 200);
  });
});
