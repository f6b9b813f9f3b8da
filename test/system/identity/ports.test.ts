// Every port of the API server and the control plane under spoiled bytes and spoiled messages: nothing breaks, nothing grows,
// and whoever speaks properly is served meanwhile. Ten minutes a port with --long. A failure prints its seed: WEFT_FUZZ_SEED.

import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { connect as connectTls } from "node:tls";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Random, seededRandom } from "../../../src/base/random.ts";
import { makeCsr } from "../../../src/identity/csr.ts";
import { generateKey } from "../../../src/identity/key.ts";
import { DeltaDiscoveryRequest } from "../../../src/proto/gen/envoy/service/discovery/v3/discovery.ts";
import { IstioCertificateRequest } from "../../../src/proto/gen/istio/ca.ts";
import { startMesh, type TestMesh } from "../../unit/control/mesh.ts";

const SEED = Number(process.env["WEFT_FUZZ_SEED"] ?? Math.floor(Math.random() * 1e9));
const PORT_MS = process.env["WEFT_LONG"] === undefined ? 5_000 : 600_000;
const SETTLE_MS = 1_000;
/** Attackers at a time. */
const CONCURRENCY = 8;
/** What the heap may grow by over all of one port's time. */
const GROWTH_BYTES_MAX = 24 * 1024 * 1024;

interface Port {
  readonly name: string;
  readonly port: number;
  readonly tls: boolean;
  readonly speaks: "http" | "grpc";
}

function portsOf({ api, control }: TestMesh): readonly Port[] {
  return [
    { name: "API server", port: api.port, tls: true, speaks: "http" },
    { name: "15012", port: control.secure.port, tls: true, speaks: "grpc" },
    { name: "15010", port: control.plain?.port ?? 0, tls: false, speaks: "grpc" },
    { name: "15014", port: control.debug?.port ?? 0, tls: false, speaks: "http" },
  ];
}

test(`ports under spoiled input (WEFT_FUZZ_SEED=${SEED})`, async (context) => {
  const faults: unknown[] = [];
  const note = (fault: unknown): void => void faults.push(fault);
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
  context.after(() => {
    process.off("uncaughtException", note);
    process.off("unhandledRejection", note);
  });
  const mesh = await startMesh(context);
  await mesh.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: default}");
  for (const port of portsOf(mesh)) {
    await context.test(port.name, async () => {
      const random = seededRandom(SEED);
      // What is loaded and compiled on the way is no growth.
      await attack(port, random, PORT_MS / 4);
      const before = await heapBytes();
      const tries = await attack(port, random, PORT_MS);
      const grown = (await heapBytes()) - before;
      assert.deepEqual(faults, []);
      assert.ok(tries > 50, `only ${tries} tries`);
      assert.ok(grown < GROWTH_BYTES_MAX, `the heap grew by ${Math.round(grown / 1024)} kB in ${tries} tries`);
      await serves(mesh);
    });
  }
});

/** A slow client is out before it has cost anything: bytes one by one, within TLS and before it. */
const SLOW_MS_MAX = 20_000;

test("ports under slow clients", async (context) => {
  const mesh = await startMesh(context);
  await mesh.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: default}");
  const slow = portsOf(mesh).flatMap((port) => [
    dripping(`${port.name}, its first bytes`, port.port, false),
    ...(port.speaks === "http" && port.tls ? [dripping(`${port.name}, a head in TLS`, port.port, true)] : []),
  ]);
  await serves(mesh);
  for (const { name, tookMs } of await Promise.all(slow)) {
    assert.ok(tookMs < SLOW_MS_MAX, `${name}: a slow client was there for ${Math.round(tookMs)} ms`);
  }
});

function dripping(
  name: string,
  port: number,
  inTls: boolean,
): Promise<{ readonly name: string; readonly tookMs: number }> {
  const text = "GET /api/v1/pods HTTP/1.1\r\nx-slow: ";
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const socket: Socket = inTls
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connect(port, "127.0.0.1");
    let sent = 0;
    const timer = setInterval(() => socket.write(text[sent++] ?? "x"), 500);
    const giveUp = setTimeout(() => socket.destroy(), SLOW_MS_MAX + 5_000);
    socket.resume();
    socket.on("error", () => undefined);
    socket.on("close", () => {
      clearInterval(timer);
      clearTimeout(giveUp);
      resolve({ name, tookMs: performance.now() - startedMs });
    });
  });
}

/** Returns how many tries there were. */
async function attack(port: Port, random: Random, forMs: number): Promise<number> {
  const endMs = performance.now() + forMs;
  let tries = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < endMs) {
      tries += 1;
      const chance = random();
      if (chance < 0.4) await throwBytes(port, random, false);
      else if (chance < 0.6 && port.tls) await throwBytes(port, random, true);
      else if (port.speaks === "grpc") await throwMessages(port, random);
      else await throwRequest(port, random);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, one));
  return tries;
}

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HELLO = "16030100c8010000c40303";
const BEGINNINGS = [
  () => Buffer.alloc(0),
  () => Buffer.from(HELLO, "hex"),
  () => Buffer.from(`${PREFACE}\0\0\0\x04\0\0\0\0\0`, "latin1"),
  () => Buffer.from("GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n"),
  () => Buffer.from("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nffffff"),
  () =>
    Buffer.from(
      "GET /api/v1/namespaces/a/pods/b/exec?command=x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n",
    ),
] as const;

function pick<T>(random: Random, choices: readonly [T, ...T[]]): T {
  return choices[Math.floor(random() * choices.length)] ?? choices[0];
}

function randomBytes(random: Random, max: number): Buffer {
  return Buffer.from(Array.from({ length: Math.floor(random() * max) }, () => Math.floor(random() * 256)));
}

/** Some bytes changed, some left out, some put in. */
function spoil(bytes: Uint8Array, random: Random): Buffer {
  let spoiled = Buffer.from(bytes);
  for (let times = 1 + Math.floor(random() * 4); times > 0; times -= 1) {
    const at = Math.floor(random() * (spoiled.length + 1));
    const how = random();
    if (how < 0.5 && spoiled.length > 0) spoiled[Math.min(at, spoiled.length - 1)] = Math.floor(random() * 256);
    else if (how < 0.75)
      spoiled = Buffer.concat([spoiled.subarray(0, at), randomBytes(random, 64), spoiled.subarray(at)]);
    else spoiled = spoiled.subarray(0, at);
  }
  return spoiled;
}

/** Raw bytes, in the clear or within TLS, and away. */
function throwBytes({ port }: Port, random: Random, inTls: boolean): Promise<void> {
  const bytes = Buffer.concat([spoil(pick(random, BEGINNINGS)(), random), randomBytes(random, 512)]);
  return new Promise((resolve) => {
    const socket: Socket = inTls
      ? connectTls({
          port,
          host: "127.0.0.1",
          rejectUnauthorized: false,
          ALPNProtocols: [pick(random, ["h2", "http/1.1"])],
        })
      : connect(port, "127.0.0.1");
    socket.setTimeout(SETTLE_MS, () => socket.destroy());
    socket.on(inTls ? "secureConnect" : "connect", () => {
      socket.write(bytes);
      setTimeout(() => socket.destroy(), random() * 30);
    });
    socket.on("data", () => undefined);
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
}

const PATHS = [
  "/istio.v1.auth.IstioCertificateService/CreateCertificate",
  "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
  "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
  "/nobody/knows",
] as const;

const csr = makeCsr(generateKey(), "spiffe://cluster.local/ns/a/sa/b");
const MESSAGES = [
  IstioCertificateRequest.encode({ csr, validityDuration: 3_600, metadata: { ImpersonatedIdentity: "x" } }).finish(),
  DeltaDiscoveryRequest.encode(
    DeltaDiscoveryRequest.fromPartial({
      node: { id: "sidecar~10.0.0.1~a.production~production.svc.cluster.local", metadata: { LABELS: { app: "a" } } },
      typeUrl: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
      resourceNamesSubscribe: ["a", "*"],
      initialResourceVersions: { a: "1" },
      responseNonce: "2",
    }),
  ).finish(),
] as const;

/** Proper HTTP/2 with spoiled messages in proper or improper frames of gRPC. */
function throwMessages({ port, tls }: Port, random: Random): Promise<void> {
  return new Promise((resolve) => {
    const session = connectHttp2(`${tls ? "https" : "http"}://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const end = (): void => {
      session.destroy();
      resolve();
    };
    session.on("error", end);
    session.setTimeout(SETTLE_MS, end);
    session.on("close", end);
    const stream = session.request({
      ":method": pick(random, ["POST", "GET", "OPTIONS"]),
      ":path": pick(random, PATHS),
      "content-type": pick(random, ["application/grpc", "application/grpc+proto", "text/plain"]),
      "grpc-timeout": pick(random, ["1S", "0n", "99999999H", "x"]),
      ...(random() < 0.5 ? { authorization: `Bearer ${randomBytes(random, 200).toString("base64url")}` } : {}),
      te: "trailers",
    });
    stream.on("error", end);
    stream.on("data", () => undefined);
    stream.on("close", end);
    for (let left = 1 + Math.floor(random() * 3); left > 0; left -= 1) {
      const message = spoil(pick(random, MESSAGES), random);
      const length = Buffer.alloc(5);
      length.writeUInt8(random() < 0.9 ? 0 : 1, 0);
      length.writeUInt32BE(random() < 0.8 ? message.length : Math.floor(random() * 2 ** 32), 1);
      stream.write(Buffer.concat([length, message]));
    }
    if (random() < 0.7) stream.end();
    setTimeout(end, 5 + random() * 40);
  });
}

const API_PATHS = [
  "/api/v1/namespaces/default/pods",
  "/apis/networking.istio.io/v1/namespaces/a/virtualservices?watch=1&resourceVersion=x",
  "/api/v1/namespaces/a/pods/b/log?tailLines=-1",
  "/api/v1/namespaces/istio-system/services/istiod:15014/proxy/%2e%2e/",
  "/apis/authentication.k8s.io/v1/tokenreviews",
  "/debug/config_dump?proxyID=%00",
  "/debug/../../etc/passwd",
  "/debug/pprof/profile?seconds=x",
  "/metrics",
  "//\\/%zz",
] as const;

/** A request of HTTP/1.1 with everything but its framing spoiled. */
function throwRequest({ port, tls }: Port, random: Random): Promise<void> {
  const body = spoil(
    Buffer.from('{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[]}}'),
    random,
  );
  const path = spoil(Buffer.from(pick(random, API_PATHS)), random)
    .toString("latin1")
    .replaceAll(/[\s\0]/g, "%20");
  const head = [
    `${pick(random, ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"])} /${path.slice(1)} HTTP/1.1`,
    "host: a",
    `authorization: ${pick(random, ["Bearer ", "Basic ", ""])}${randomBytes(random, 120).toString("base64url")}`,
    `content-type: ${pick(random, ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "x"])}`,
    `content-length: ${body.length}`,
    "connection: close",
  ];
  return new Promise((resolve) => {
    const socket: Socket = tls
      ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false })
      : connect(port, "127.0.0.1");
    socket.setTimeout(SETTLE_MS, () => socket.destroy());
    socket.on(tls ? "secureConnect" : "connect", () =>
      socket.write(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), body])),
    );
    socket.on("data", () => undefined);
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
}

/** Once those who were thrown at have settled. */
async function heapBytes(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  assert.ok(typeof collect === "function");
  collect();
  collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
}

/** Who speaks properly is served as before. */
async function serves(mesh: TestMesh): Promise<void> {
  const ready = await fetch(`http://127.0.0.1:${mesh.control.debug?.port}/ready`);
  assert.equal(ready.status, 200);
  const name = `proxy-${Math.floor(performance.now())}`;
  const place = { namespace: "default", serviceAccount: "default", address: "10.0.0.1", labels: {} };
  const proxy = await mesh.connect({ pod: name, ...place });
  const endMs = performance.now() + 5_000;
  while (!mesh.control.connections().some((each) => each.proxy.pod === name)) {
    assert.ok(performance.now() < endMs, "a proxy can't connect any more");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  proxy.stop();
}
