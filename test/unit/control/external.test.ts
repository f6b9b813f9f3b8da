// A proxy with the control plane's configuration calls real servers outside the mesh: TLS that it originates, names that
// it looks up, hosts that nobody registered.

import assert from "node:assert/strict";
import fs from "node:fs";
import { createServer as createPlainServer, type IncomingMessage, request } from "node:http";
import { createServer, type Server } from "node:https";
import os from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { serviceEntryKind } from "../../../src/api/istio/service-entry.ts";
import { certify } from "../pki.ts";
import { startMesh, type TestMesh, until } from "./mesh.ts";
import { startAdsProxy } from "./proxy.ts";

const OUTBOUND = 15_001;

interface Place {
  readonly directory: string;
  readonly port: number;
}

/** Says by whom and as whom it was called. */
async function startPartner(context: TestContext, requestCert: "asks" | "does not ask"): Promise<Place> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-external-"));
  const root = await certify({ subject: "CN=partner root", isCa: true });
  const leaf = await certify({
    subject: "CN=partner",
    names: [
      { type: "dns", value: "partner.test" },
      { type: "dns", value: "*.wild.test" },
    ],
    issuer: root,
  });
  const client = await certify({ subject: "CN=the shop", issuer: root });
  fs.writeFileSync(path.join(directory, "root.pem"), root.pem);
  fs.writeFileSync(path.join(directory, "client.pem"), client.pem);
  fs.writeFileSync(path.join(directory, "client-key.pem"), client.keyPem);
  const asks = requestCert === "asks";
  const options = { cert: leaf.pem, key: leaf.keyPem, ca: root.pem, requestCert: asks, rejectUnauthorized: asks };
  const server: Server = createServer(options, ({ socket, headers }, response) => {
    const name = isTls(socket) ? socket.servername : "";
    const peer = isTls(socket) ? (socket.getPeerX509Certificate()?.subject ?? "nobody") : "";
    response.end(`${String(name)} ${headers.host} ${peer}`);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  context.after(() => {
    server.closeAllConnections();
    server.close();
    fs.rmSync(directory, { recursive: true, force: true });
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { directory, port: address.port };
}

function isTls(socket: object): socket is TLSSocket {
  return "getPeerX509Certificate" in socket;
}

/** A proxy in explicit mode, on a loopback address of its own. */
async function startCaller(context: TestContext, { control }: TestMesh): Promise<string> {
  const address = `127.61.${process.pid % 250}.${1 + (Math.floor(process.pid / 250) % 250)}`;
  const { plain } = control;
  assert.ok(plain !== undefined);
  const proxy = await startAdsProxy({
    discoveryPort: plain.port,
    id: `sidecar~${address}~web-1.shop~shop.svc.cluster.local`,
    metadata: { NAMESPACE: "shop", INTERCEPTION_MODE: "NONE" },
  });
  context.after(() => proxy.close());
  return address;
}

interface Answer {
  readonly status: number;
  readonly cause: string;
  readonly body: string;
}

async function call(proxy: string, url: string): Promise<Answer> {
  const options = { host: proxy, port: OUTBOUND, path: url, headers: { host: new URL(url).host }, agent: false };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(options, resolve).on("error", reject).end();
  });
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += String(chunk);
  return { status: response.statusCode ?? 0, cause: String(response.headers["x-weft-cause"] ?? ""), body };
}

/** Asks until the status comes: configuration arrives when it arrives. */
async function eventually(proxy: string, url: string, status: number): Promise<Answer> {
  let last: Answer = { status: 0, cause: "", body: "" };
  await until(`${url} answers ${status}`, async () => {
    last = await call(proxy, url);
    return last.status === status;
  }).catch((error: unknown) => assert.fail(`${String(error)}; last: ${JSON.stringify(last)}`));
  return last;
}

const entry = (name: string, host: string, more: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: shop}
spec: {hosts: ["${host}"], ports: [{number: 80, name: http, protocol: HTTP}], ${more}}
---
`;
const rule = (name: string, host: string, tls: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${name}, namespace: shop}
spec: {host: "${host}", trafficPolicy: {tls: ${tls}}}
---
`;
const SHOP = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n";
const SYSTEM = "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n---\n";
const meshConfig = (mode: string) =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata: {mesh: "outboundTrafficPolicy: {mode: ${mode}}"}\n---\n`;

test("the proxy makes TLS of plain calls, checks whose certificate it is, and looks names up", async (context) => {
  const { directory, port } = await startPartner(context, "does not ask");
  const mesh = await startMesh(context);
  const fixed = `resolution: STATIC, endpoints: [{address: 127.0.0.1, ports: {http: ${port}}}]`;
  const named = (resolution: string) =>
    `resolution: ${resolution}, endpoints: [{address: localhost, ports: {http: ${port}}}]`;
  const trusts = `caCertificates: ${directory}/root.pem`;
  await mesh.apply(
    SHOP +
      entry("partner", "partner.test", fixed) +
      rule("partner", "partner.test", `{mode: SIMPLE, ${trusts}}`) +
      entry("looked-up", "looked-up.test", named("DNS")) +
      rule("looked-up", "looked-up.test", `{mode: SIMPLE, sni: partner.test, ${trusts}}`) +
      entry("round", "round.test", named("DNS_ROUND_ROBIN")) +
      rule("round", "round.test", `{mode: SIMPLE, sni: x.wild.test, ${trusts}}`) +
      entry("wild", "*.wild.test", fixed) +
      rule("wild", "*.wild.test", `{mode: SIMPLE, ${trusts}}`) +
      entry("other", "other.test", fixed) +
      rule("other", "other.test", `{mode: SIMPLE, ${trusts}}`) +
      entry("stranger", "stranger.test", fixed) +
      rule("stranger", "stranger.test", "{mode: SIMPLE, sni: partner.test}"),
  );
  const proxy = await startCaller(context, mesh);
  assert.equal((await eventually(proxy, "http://partner.test/", 200)).body, "partner.test partner.test nobody");
  assert.equal((await eventually(proxy, "http://looked-up.test/", 200)).body, "partner.test looked-up.test nobody");
  assert.equal((await eventually(proxy, "http://round.test/", 200)).body, "x.wild.test round.test nobody");
  assert.equal((await eventually(proxy, "http://a.wild.test/", 200)).body, "a.wild.test a.wild.test nobody");
  // The certificate is not for this host, and here nobody vouches for it.
  assert.match((await eventually(proxy, "http://other.test/", 503)).cause, /SAN matcher.*partner\.test/);
  assert.match((await eventually(proxy, "http://stranger.test/", 503)).cause, /CERTIFICATE_VERIFY_FAILED/);
  // A name that the request brings is checked as well.
  assert.match((await eventually(proxy, "http://a.b.wild.test/", 503)).cause, /SAN matcher/);
});

test("MUTUAL shows the certificate of the files", async (context) => {
  const { directory, port } = await startPartner(context, "asks");
  const mesh = await startMesh(context);
  const files = `caCertificates: ${directory}/root.pem, clientCertificate: ${directory}/client.pem, privateKey: ${directory}/client-key.pem`;
  await mesh.apply(
    SHOP +
      entry(
        "partner",
        "partner.test",
        `resolution: STATIC, endpoints: [{address: 127.0.0.1, ports: {http: ${port}}}]`,
      ) +
      rule("partner", "partner.test", `{mode: MUTUAL, ${files}}`),
  );
  const proxy = await startCaller(context, mesh);
  assert.equal((await eventually(proxy, "http://partner.test/", 200)).body, "partner.test partner.test CN=the shop");
});

test("DYNAMIC_DNS looks up the name that each request brings", async (context) => {
  const origin = createPlainServer(({ headers }, response) => response.end(`for ${headers.host}`));
  await new Promise<void>((resolve) => {
    origin.listen(0, "127.0.0.1", resolve);
  });
  context.after(() => {
    origin.closeAllConnections();
    origin.close();
  });
  const at = origin.address();
  assert.ok(at !== null && typeof at === "object");
  const mesh = await startMesh(context);
  const spec = `{hosts: [localhost, "*.invalid"], ports: [{number: ${at.port}, name: http, protocol: HTTP}], resolution: DYNAMIC_DNS}`;
  await mesh.apply(`${SHOP}apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: named, namespace: shop}
spec: ${spec}
`);
  const proxy = await startCaller(context, mesh);
  const url = `http://localhost:${at.port}/`;
  assert.equal((await eventually(proxy, url, 200)).body, `for localhost:${at.port}`);
  assert.equal((await call(proxy, `http://no-such-host.invalid:${at.port}/`)).status, 503);
  // In explicit mode it is what leads to hosts that nobody registered.
  await mesh.client.remove(serviceEntryKind, { name: "named", namespace: "shop" });
  assert.match((await eventually(proxy, url, 502)).body, /not a service of the mesh/);
  await mesh.apply(SYSTEM + meshConfig("ALLOW_ANY_DYNAMIC_DNS"));
  assert.equal((await eventually(proxy, url, 200)).body, `for localhost:${at.port}`);
});

test("REGISTRY_ONLY refuses what nobody registered, and says what would let it through", async (context) => {
  const mesh = await startMesh(context);
  await mesh.apply(SHOP + SYSTEM + meshConfig("REGISTRY_ONLY"));
  const proxy = await startCaller(context, mesh);
  await until("the setting is in force", async () => (await call(proxy, "http://nobody.test/")).cause !== "");
  const refused = await call(proxy, "http://nobody.test/");
  assert.equal(refused.status, 502);
  assert.match(refused.cause, /^MeshConfig outboundTrafficPolicy REGISTRY_ONLY/);
  assert.match(refused.body, /Add a ServiceEntry for it, or set outboundTrafficPolicy to ALLOW_ANY/);
});
