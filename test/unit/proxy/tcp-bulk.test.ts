// Much data through spliced sockets, in the clear and through mTLS: buffers are used again, and no byte may show it.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { benchCases } from "../../../bench/cases.ts";
import { makeCertificates } from "../../../bench/certificates.ts";
import { freePort } from "../../../bench/measure.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { Registry } from "../../../src/observe/metrics.ts";
import { Bootstrap } from "../../../src/proto/gen/envoy/config/bootstrap/v3/bootstrap.ts";
import { fromEnvoyJson } from "../../../src/proto/json.ts";
import { startProxy } from "../../../src/proxy/run/proxy.ts";

const BYTES = 3 * 1024 * 1024;
const CONNECTIONS = 6;

const folder = mkdtempSync(join(tmpdir(), "weft-bulk-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const certificates = await makeCertificates(folder);

/** Other bytes for each seed, in pieces of changing sizes. */
function* pieces(seed: number): Generator<Buffer> {
  const random = seededRandom(seed);
  for (let sent = 0; sent < BYTES; ) {
    const size = Math.min(BYTES - sent, 1 + Math.floor(random() * 150_000));
    const piece = Buffer.alloc(size);
    for (let at = 0; at + 4 <= size; at += 4) piece.writeUInt32LE(Math.floor(random() * 2 ** 32), at);
    sent += size;
    yield piece;
  }
}

async function send(socket: Socket, seed: number): Promise<string> {
  const hash = createHash("sha256");
  for (const piece of pieces(seed)) {
    hash.update(piece);
    if (!socket.write(piece)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  socket.end();
  return hash.digest("hex");
}

/** Reads to the end, and stops now and then, so that what is behind has to wait. */
async function receive(socket: Socket): Promise<string> {
  const hash = createHash("sha256");
  let reads = 0;
  for await (const chunk of socket) {
    hash.update(chunk);
    reads += 1;
    if (reads % 16 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return hash.digest("hex");
}

for (const name of ["bulk-clear", "bulk-mtls"]) {
  test(`${name}: every byte arrives as it was sent, both ways at once, on connections side by side`, {
    timeout: 60_000,
  }, async () => {
    const sums = new Map<string, Promise<string>>();
    let accepted = 0;
    const origin = createServer({ allowHalfOpen: true }, (socket) => {
      accepted += 1;
      socket.on("error", () => socket.destroy());
      // The first byte says which connection this is.
      socket.once("readable", () => {
        const id = Number(socket.read(1)?.[0]);
        sums.set(`down ${id}`, send(socket, 100 + id));
        sums.set(`up ${id}`, receive(socket));
      });
    });
    await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
    const address = origin.address();
    assert.ok(typeof address === "object" && address !== null);
    const [frontPort, middlePort, adminPort] = await Promise.all([freePort(), freePort(), freePort()]);
    const entry = benchCases().find((one) => one.name === name);
    const bootstrap = fromEnvoyJson(
      Bootstrap,
      entry?.bootstrap({ frontPort, middlePort, adminPort, originPort: address.port, certificates }),
    );
    assert.ok(bootstrap.ok);
    const proxy = startProxy({
      bootstrap: bootstrap.value,
      source: undefined,
      localSecrets: undefined,
      clock: systemClock,
      random: seededRandom(1),
      registry: new Registry(),
    });
    await proxy.ready;
    const one = async (id: number) => {
      const socket = connect({ port: frontPort, host: "127.0.0.1", allowHalfOpen: true });
      socket.write(Buffer.from([id]));
      const [sent, received] = await Promise.all([send(socket, id), receive(socket)]);
      assert.equal(await sums.get(`up ${id}`), sent, `up, ${id}`);
      assert.equal(received, await sums.get(`down ${id}`), `down, ${id}`);
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, (_unused, id) => one(id)));
    proxy.close();
    origin.close();
    assert.equal(accepted, CONNECTIONS);
  });
}
