// Names that a cluster takes from the request: what is sent as SNI, and what the upstream's certificate must say.

import assert from "node:assert/strict";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { TLSSocket } from "node:tls";
import { HttpProtocolOptions } from "../../../src/proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import { certify } from "../pki.ts";
import { any, httpListener, raw, routeAll, start } from "../proxy/harness.ts";
import { type Json, message } from "./made.ts";

const { pem: cert, keyPem } = await certify({
  subject: "CN=elsewhere",
  names: [
    { type: "dns", value: "a.test" },
    { type: "dns", value: "*.b.test" },
    { type: "ip", value: "127.0.0.1" },
  ],
});

async function origin(): Promise<{ readonly port: number; readonly asked: (string | false | null)[] }> {
  const asked: (string | false | null)[] = [];
  const server = createServer({ cert, key: keyPem }, (request, response) => {
    asked.push(request.socket instanceof TLSSocket ? (request.socket.servername ?? null) : null);
    response.end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address: AddressInfo | string | null = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, asked };
}

async function asking(upstreamHttpProtocolOptions: Json, more: Json = {}) {
  const { port, asked } = await origin();
  const TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
  const cluster = message({
    loadAssignment: {
      clusterName: "c",
      endpoints: [
        { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: "127.0.0.1", portValue: port } } } }] },
      ],
    },
    transportSocket: {
      name: "tls",
      typedConfig: {
        "@type": TLS,
        sni: "fixed.test",
        commonTlsContext: { validationContext: { trustedCa: { inlineString: cert } } },
      },
    },
    ...more,
  });
  const OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  const options = HttpProtocolOptions.fromJSON({
    upstreamHttpProtocolOptions,
    explicitHttpConfig: { httpProtocolOptions: {} },
  });
  cluster.typedExtensionProtocolOptions = { [OPTIONS]: any(OPTIONS, HttpProtocolOptions.encode(options).finish()) };
  const started = await start({ listeners: [httpListener({ virtualHosts: [routeAll("c")] })], clusters: [cluster] });
  const get = async (host: string, headers = "") => {
    const answer = await raw(started.port, `GET / HTTP/1.1\r\nhost: ${host}\r\n${headers}connection: close\r\n\r\n`);
    return Number(answer.slice(9, 12));
  };
  return { get, asked };
}

test("SNI is the request's authority, or a header's, and never an address; the context's own where none is taken", async () => {
  const plain = await asking({});
  assert.equal(await plain.get("a.test"), 200);
  assert.deepEqual(plain.asked, ["fixed.test"]);
  const { get, asked } = await asking({ autoSni: true });
  assert.equal(await get("a.test:8080"), 200);
  assert.equal(await get("other.test"), 200);
  assert.equal(await get("a.test"), 200);
  assert.equal(await get("127.0.0.1"), 200);
  assert.deepEqual(asked, ["a.test", "other.test", "a.test", "fixed.test"]);
  const header = await asking({ autoSni: true, overrideAutoSniHeader: "X-Name" });
  assert.equal(await header.get("a.test", "x-name: b.test\r\n"), 200);
  assert.equal(await header.get("a.test"), 200);
  assert.deepEqual(header.asked, ["b.test", "a.test"]);
});

test("the upstream's certificate must have the request's name, and a connection of one name serves no other", async () => {
  const { get, asked } = await asking({ autoSni: true, autoSanValidation: true });
  assert.equal(await get("a.test"), 200);
  assert.equal(await get("x.b.test"), 200);
  assert.equal(await get("evil.test"), 503);
  assert.equal(await get("elsewhere"), 503, "the subject's common name is no name");
  assert.equal(await get("127.0.0.1"), 200);
  assert.equal(await get("a.test"), 200);
  assert.deepEqual(asked, ["a.test", "x.b.test", "fixed.test", "a.test"]);
});
