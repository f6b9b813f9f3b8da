// Certificates that must not get in, against weft's proxy as the control plane configures it: from callers and from servers,
// in full handshakes and in resumed ones.

import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { createServer, type Server } from "node:tls";
import { LocalSecrets } from "../../../src/agent/secrets.ts";
import { defaultMeshConfig } from "../../../src/model/mesh-config.ts";
import { meshClientSocket, meshServerSocket } from "../../../src/translate/tls.ts";
import { API, ask, FRONTEND, makeAttacks } from "../../attacks/certificates.ts";
import { type Certified, certify, revoke } from "../pki.ts";
import { chain, cluster, httpFilter, httpListener, httpOrigin, listener, raw, routeAll, start } from "./harness.ts";

const MESH = { ...defaultMeshConfig, trustDomain: "cluster.local", trustDomainAliases: ["old.example"] };
const callers = await makeAttacks(FRONTEND);
const servers = await makeAttacks(API);

function secretsOf(own: Certified, root: Certified, crlPem: string | undefined): LocalSecrets {
  const secrets = new LocalSecrets();
  secrets.set("default", { kind: "certificate", certificateChainPem: own.pem, privateKeyPem: own.keyPem });
  secrets.set("ROOTCA", { kind: "trust", bundlePem: root.pem, crlPem });
  return secrets;
}

/** A server's sidecar. */
async function inbound(secrets: LocalSecrets) {
  const origin = await httpOrigin((_request, response) => response.end("served"));
  const made = chain(httpFilter({ virtualHosts: [routeAll("app")] }));
  made.transportSocket = meshServerSocket(["istio-http/1.1", "istio"], MESH);
  return start({ listeners: [listener([made])], clusters: [cluster("app", [origin])] }, { secrets });
}

/** A caller's sidecar. */
async function outbound(secrets: LocalSecrets, port: number) {
  const made = cluster("api", [port]);
  made.transportSocket = meshClientSocket("outbound_.80_._.api", [API], MESH);
  return start({ listeners: [httpListener({ virtualHosts: [routeAll("api")] })], clusters: [made] }, { secrets });
}

const opened: Server[] = [];
after(() => {
  for (const server of opened) server.close();
});

/** It answers whoever comes, and tells whether the session was resumed. */
async function badServer(identity: Certified): Promise<{ readonly port: number; readonly resumed: () => number }> {
  let resumed = 0;
  const server = createServer({
    cert: identity.pem,
    key: identity.keyPem,
    requestCert: true,
    rejectUnauthorized: false,
  });
  server.on("secureConnection", (socket) => {
    if (socket.isSessionReused()) resumed += 1;
    socket.on("error", () => undefined);
    socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 6\r\n\r\nserved"));
  });
  opened.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, resumed: () => resumed };
}

const GET = "GET / HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n";

describe("a caller's certificate", () => {
  const open = () => inbound(secretsOf(servers.good, callers.root, callers.crlPem));

  test("that is right is let in", async () => {
    const { port } = await open();
    assert.match((await ask(port, callers.good)).answer, /served$/);
  });

  for (const { name, identity } of callers.attacks) {
    test(`is refused: ${name}`, async () => {
      const { port } = await open();
      assert.equal((await ask(port, identity)).answer, "");
      assert.match((await ask(port, callers.good)).answer, /served$/, "the others are served");
    });
  }

  test("of an aliased trust domain is let in", async () => {
    const names = [{ type: "url", value: FRONTEND.replace("cluster.local", "old.example") }] as const;
    const alias = await certify({ subject: "CN=alias", issuer: callers.root, names });
    const { port } = await open();
    assert.match((await ask(port, alias)).answer, /served$/);
  });

  test("plaintext is not taken for it", async () => {
    const { port } = await open();
    assert.doesNotMatch(await raw(port, GET), /served/);
  });
});

describe("a resumed session of a caller", () => {
  test("goes on while nothing has changed", async () => {
    const { port } = await inbound(secretsOf(servers.good, callers.root, callers.crlPem));
    const session = await sessionOf(port, callers.good);
    const again = await ask(port, callers.good, { session });
    assert.ok(again.resumed, "the session was resumed");
    assert.match(again.answer, /served$/);
  });

  test("ends with the revocation of its certificate", async () => {
    const secrets = secretsOf(servers.good, callers.root, await revoke(callers.root, []));
    const { port } = await inbound(secrets);
    const session = await sessionOf(port, callers.good);
    const crlPem = await revoke(callers.root, [callers.good]);
    secrets.set("ROOTCA", { kind: "trust", bundlePem: callers.root.pem, crlPem });
    const again = await ask(port, callers.good, { session });
    assert.deepEqual([again.answer, again.resumed], ["", false]);
  });

  test("ends with the trust in its root", async () => {
    const secrets = secretsOf(servers.good, callers.root, undefined);
    const { port } = await inbound(secrets);
    const session = await sessionOf(port, callers.good);
    secrets.set("ROOTCA", { kind: "trust", bundlePem: servers.root.pem, crlPem: undefined });
    assert.equal((await ask(port, callers.good, { session })).answer, "");
  });

  test("ends with its certificate's time", async () => {
    const names = [{ type: "url", value: FRONTEND }] as const;
    const brief = await certify({ subject: "CN=brief", issuer: callers.root, names, days: 3 / 86_400 });
    const { port } = await inbound(secretsOf(servers.good, callers.root, undefined));
    const session = await sessionOf(port, brief);
    await new Promise((resolve) => setTimeout(resolve, 3_100));
    const again = await ask(port, brief, { session });
    assert.deepEqual([again.answer, again.resumed], ["", true]);
  });
});

describe("a server's certificate", () => {
  test("that is right is taken", async () => {
    const { port } = await badServer(servers.good);
    const { port: client } = await outbound(secretsOf(callers.good, servers.root, servers.crlPem), port);
    assert.match(await raw(client, GET), /served$/);
  });

  for (const { name, identity } of servers.attacks) {
    if (identity === undefined) continue;
    test(`is refused: ${name}`, async () => {
      const { port } = await badServer(identity);
      const { port: client } = await outbound(secretsOf(callers.good, servers.root, servers.crlPem), port);
      const answer = await raw(client, GET);
      assert.match(answer, /^HTTP\/1\.1 503 /);
      assert.doesNotMatch(answer, /served/);
    });
  }

  test("that was revoked since ends the sessions made with it", async () => {
    const { port, resumed } = await badServer(servers.good);
    const secrets = secretsOf(callers.good, servers.root, await revoke(servers.root, []));
    const { port: client } = await outbound(secrets, port);
    assert.match(await raw(client, GET), /served$/);
    assert.match(await raw(client, GET), /served$/);
    assert.equal(resumed(), 1, "the second connection went on with the first one's session");
    const crlPem = await revoke(servers.root, [servers.good]);
    secrets.set("ROOTCA", { kind: "trust", bundlePem: servers.root.pem, crlPem });
    assert.match(await raw(client, GET), /^HTTP\/1\.1 503 /);
  });
});

async function sessionOf(port: number, identity: Certified): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  await ask(port, identity, { onSession: resolve });
  return promise;
}
