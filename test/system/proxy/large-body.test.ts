// Ten gigabytes each way through a proxy process of its own: every byte arrives, and its memory stays what it was.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";
import { after, before, it } from "node:test";
import { proxyCommand } from "../../../src/cluster/proxy-command.ts";

const GB = 1024 ** 3;
const TOTAL_BYTES = 10 * GB;
const GROWTH_MB_MAX = 10;
/** By then code is compiled and buffers have found their size. */
const WARM_BYTES = GB;
const PIECE = Buffer.alloc(256 * 1024, "x");

const work = fs.mkdtempSync(path.join(os.tmpdir(), "weft-large-"));
const origin = createServer((socket) => answer(socket));
let proxy: ChildProcess;
let port = 0;

before(async () => {
  origin.listen(0, "127.0.0.1");
  await once(origin, "listening");
  const file = path.join(work, "bootstrap.json");
  const adminFile = path.join(work, "admin");
  port = await freePort();
  fs.writeFileSync(file, JSON.stringify(bootstrap(portOf(origin), port)));
  const command = await proxyCommand(path.join(import.meta.dirname, "../../../src/main.ts"));
  assert.ok(command.ok);
  const [program = "", ...rest] = command.value;
  proxy = spawn(program, [...rest, "proxy", "-c", file, "--admin-address-path", adminFile], { stdio: "ignore" });
  for (let tries = 0; !fs.existsSync(adminFile) && tries < 500; tries += 1) await pause(20);
});

after(() => {
  proxy.kill("SIGKILL");
  origin.close();
  fs.rmSync(work, { recursive: true });
});

it("an answer of 10 GB", { timeout: 300_000 }, async () => {
  const socket = connect(port, "127.0.0.1");
  socket.write("GET /down HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const memory = new Memory();
  let got = 0;
  socket.on("data", (bytes: Buffer) => {
    got += bytes.length;
    memory.look(got);
  });
  await once(socket, "close");
  assert.ok(got > TOTAL_BYTES && got < TOTAL_BYTES + 1000, `${got} bytes`);
  memory.check();
});

it("a request of 10 GB", { timeout: 300_000 }, async () => {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("data", (bytes: Buffer) => {
    text += bytes.toString();
  });
  socket.write(`POST /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${TOTAL_BYTES}\r\n\r\n`);
  const memory = new Memory();
  await send(socket, (sent) => memory.look(sent));
  await once(socket, "close");
  assert.match(text, new RegExp(`^HTTP/1\\.1 200 [^]*\\r\\n\\r\\n${TOTAL_BYTES}$`));
  memory.check();
});

/** Of the proxy, looked at every quarter of a gigabyte. */
class Memory {
  #next = WARM_BYTES;
  readonly #seenMb: number[] = [];

  look(bytes: number): void {
    if (bytes < this.#next) return;
    this.#next += GB / 4;
    const rollup = fs.readFileSync(`/proc/${proxy.pid}/smaps_rollup`, "utf8");
    this.#seenMb.push(Number(/^Private_Dirty:\s+(\d+) kB/m.exec(rollup)?.[1]) / 1024);
  }

  check(): void {
    const [first = 0] = this.#seenMb;
    const most = Math.max(...this.#seenMb);
    assert.ok(this.#seenMb.length > 30, `${this.#seenMb.length} looks`);
    assert.ok(most - first < GROWTH_MB_MAX, `grew from ${first} to ${most} MB`);
  }
}

/** `/down` gives ten gigabytes, `/up` counts what it gets. */
function answer(socket: Socket): void {
  socket.on("error", () => socket.destroy());
  socket.once("data", (first: Buffer) => {
    const head = first.indexOf("\r\n\r\n") + 4;
    if (first.toString("latin1", 0, 9) === "GET /down") {
      socket.write(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: ${TOTAL_BYTES}\r\n\r\n`);
      void send(socket, () => undefined).then(() => socket.end());
      return;
    }
    let left = TOTAL_BYTES - (first.length - head);
    socket.on("data", (bytes: Buffer) => {
      left -= bytes.length;
      const text = String(TOTAL_BYTES - left);
      if (left === 0) socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
    });
  });
}

async function send(socket: Socket, look: (sent: number) => void): Promise<void> {
  for (let sent = 0; sent < TOTAL_BYTES && !socket.destroyed; sent += PIECE.length) {
    if (!socket.write(PIECE)) await once(socket, "drain");
    look(sent);
  }
}

function bootstrap(originPort: number, listenPort: number): object {
  const at = (portValue: number) => ({ socketAddress: { address: "127.0.0.1", portValue } });
  const type = "type.googleapis.com/envoy.extensions.filters";
  const route = { match: { prefix: "/" }, route: { cluster: "a", timeout: "0s" } };
  const manager = {
    "@type": `${type}.network.http_connection_manager.v3.HttpConnectionManager`,
    statPrefix: "large",
    routeConfig: { virtualHosts: [{ name: "a", domains: ["*"], routes: [route] }] },
    httpFilters: [{ name: "router", typedConfig: { "@type": `${type}.http.router.v3.Router` } }],
  };
  const endpoints = [{ lbEndpoints: [{ endpoint: { address: at(originPort) } }] }];
  return {
    admin: { address: at(0) },
    staticResources: {
      listeners: [
        { name: "a", address: at(listenPort), filterChains: [{ filters: [{ name: "http", typedConfig: manager }] }] },
      ],
      clusters: [{ name: "a", type: "STATIC", loadAssignment: { clusterName: "a", endpoints } }],
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const free = portOf(server);
  server.close();
  await once(server, "close");
  return free;
}

function portOf(server: ReturnType<typeof createServer>): number {
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
