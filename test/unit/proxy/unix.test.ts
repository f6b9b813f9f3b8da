// Unix sockets on both sides: with a file, and by a name alone.

import assert from "node:assert/strict";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { chain, cluster, listener, start, tcpFilter } from "./harness.ts";

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-unix-"));
after(() => fs.rmSync(directory, { recursive: true }));

const name = `weft-unix-test-${process.pid}`;

for (const [kind, front, back] of [
  ["files", path.join(directory, "front"), path.join(directory, "back")],
  ["names", `@${name}-front`, `@${name}-back`],
] as const) {
  test(`a listener and an endpoint by their ${kind}`, async () => {
    // The answer comes once the caller has said that it is done: half a connection is closed on both sides of the proxy.
    const origin = net.createServer({ allowHalfOpen: true }, (socket) => {
      let text = "";
      socket.on("data", (data) => {
        text += String(data);
      });
      socket.on("end", () => socket.end(`heard ${text}`));
    });
    await new Promise<void>((resolve) => {
      origin.listen(systemName(back), resolve);
    });
    after(() => origin.close());
    const loadAssignment = {
      clusterName: "back",
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path: back } } } }] }],
    };
    const started = await start({
      listeners: [listener([chain(tcpFilter("back"))], { address: { pipe: { path: front } } })],
      clusters: [cluster("back", [], { loadAssignment })],
    });
    assert.equal(started.port, 0);
    assert.equal(await exchange(systemName(front), "this"), "heard this");
  });
}

function systemName(written: string): string {
  return written.startsWith("@") ? `\0${written.slice(1)}` : written;
}

function exchange(at: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = net.connect({ path: at, allowHalfOpen: true }, () => socket.end(text));
    socket.on("data", (data) => {
      answer += String(data);
    });
    socket.on("end", () => resolve(answer));
    socket.on("error", reject);
  });
}
