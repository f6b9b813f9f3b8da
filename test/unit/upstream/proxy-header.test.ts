// The PROXY protocol towards hosts: the header's bytes, and that it goes before everything else, TLS included.

import assert from "node:assert/strict";
import { Agent, createServer as createHttp, get } from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import { proxyHeader } from "../../../src/proxy/socket/proxy-header.ts";
import { certify } from "../pki.ts";
import { chain, httpListener, listener, raw, routeAll, start, tcpFilter } from "../proxy/harness.ts";
import { type Json, message, refusals } from "./made.ts";

const FOUR = { remoteIp: "10.0.0.9", remoteAddress: "10.0.0.9:4711", localIp: "10.96.0.7", localPort: 8080 };
const SIX = { remoteIp: "fd00:1::9", remoteAddress: "[fd00:1::9]:4711", localIp: "::ffff:10.0.0.1", localPort: 80 };

test("the header's text and bytes, for both families, and of a connection that is the proxy's own", () => {
  assert.equal(proxyHeader("v1", FOUR).toString(), "PROXY TCP4 10.0.0.9 10.96.0.7 4711 8080\r\n");
  assert.equal(proxyHeader("v1", SIX).toString(), "PROXY TCP6 fd00:1::9 ::ffff:10.0.0.1 4711 80\r\n");
  assert.equal(proxyHeader("v1", undefined).toString(), "PROXY UNKNOWN\r\n");
  const signature = "0d0a0d0a000d0a515549540a";
  assert.equal(proxyHeader("v2", FOUR).toString("hex"), `${signature}2111000c0a0000090a60000712671f90`);
  assert.equal(
    proxyHeader("v2", SIX).toString("hex"),
    `${signature}21210024fd00000100000000000000000000000900000000000000000000ffff0a00000112670050`,
  );
  assert.equal(proxyHeader("v2", undefined).toString("hex"), `${signature}20000000`);
});

const { pem: cert, keyPem: key } = await certify({ subject: "CN=h", names: [{ type: "dns", value: "h.test" }] });

/** Takes a line of the PROXY protocol off each connection before its own server sees it. */
async function origin(secure: boolean): Promise<{ readonly port: number; readonly lines: string[] }> {
  const lines: string[] = [];
  const handle = (_request: object, response: { end(text: string): void }) => response.end("ok");
  const inner = secure ? createHttps({ cert, key }, handle) : createHttp(handle);
  const outer = createServer((socket: Socket) => {
    socket.once("readable", () => {
      const bytes: Buffer = socket.read() ?? Buffer.alloc(0);
      const end = bytes.indexOf("\r\n") + 2;
      lines.push(bytes.subarray(0, end).toString());
      if (end < bytes.length) socket.unshift(bytes.subarray(end));
      inner.emit("connection", socket);
    });
  });
  await new Promise<void>((resolve) => outer.listen(0, "127.0.0.1", resolve));
  after(() => outer.close());
  const address: AddressInfo | string | null = outer.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, lines };
}

const EXTENSIONS = "type.googleapis.com/envoy.extensions.transport_sockets";

function announcing(port: number, secure: boolean) {
  const tls = {
    name: "tls",
    typedConfig: {
      "@type": `${EXTENSIONS}.tls.v3.UpstreamTlsContext`,
      sni: "h.test",
      commonTlsContext: { validationContext: { trustedCa: { inlineString: cert } } },
    },
  };
  const endpoint = { address: { socketAddress: { address: "127.0.0.1", portValue: port } } };
  return message({
    loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [{ endpoint }] }] },
    transportSocket: wrapped(secure ? tls : undefined),
  });
}

function wrapped(transportSocket: Json | undefined, config: Json = { version: "V1" }): Json {
  const raw = { name: "raw", typedConfig: { "@type": `${EXTENSIONS}.raw_buffer.v3.RawBuffer` } };
  return {
    name: "envoy.transport_sockets.upstream_proxy_protocol",
    typedConfig: {
      "@type": `${EXTENSIONS}.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
      config,
      transportSocket: transportSocket ?? raw,
    },
  };
}

function status(port: number, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = get({ host: "127.0.0.1", port, agent, headers: { host: "h.test" } }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
    });
    asked.on("error", reject);
  });
}

for (const secure of [false, true]) {
  test(`requests: each client's connection has one of its own to the host (TLS: ${secure})`, async () => {
    const { port, lines } = await origin(secure);
    const started = await start({
      listeners: [httpListener({ virtualHosts: [routeAll("c")] })],
      clusters: [announcing(port, secure)],
    });
    const [first, second] = [new Agent({ keepAlive: true, maxSockets: 1 }), new Agent()];
    for (const agent of [first, first, second]) assert.equal(await status(started.port, agent), 200);
    first.destroy();
    assert.equal(lines.length, 2, "two requests of one client share a connection");
    for (const line of lines) {
      assert.match(line, new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${started.port}\r\n$`));
    }
    assert.notEqual(lines[0], lines[1]);
  });
}

test("bytes: the header goes before the client's first", async () => {
  const { port, lines } = await origin(false);
  const started = await start({ listeners: [listener([chain(tcpFilter("c"))])], clusters: [announcing(port, false)] });
  const answer = await raw(started.port, "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
  assert.match(answer, /^HTTP\/1.1 200 OK/);
  assert.match(lines[0] ?? "", new RegExp(`^PROXY TCP4 127.0.0.1 127.0.0.1 \\d+ ${started.port}\r\n$`));
});

test("what is not built in is refused by its path", () => {
  const tlvs = wrapped(undefined, { version: "V2", addedTlvs: [{ type: 1, value: "AA==" }] });
  assert.deepEqual(refusals({ transportSocket: tlvs }), ["transport_socket.typed_config.config.added_tlvs"]);
  const check = { timeout: "1s", interval: "1s", unhealthyThreshold: 1, healthyThreshold: 1, tcpHealthCheck: {} };
  assert.deepEqual(refusals({ transportSocket: wrapped(undefined), healthChecks: [check] }), ["transport_socket"]);
});
