import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { Client, credentials, Metadata, Server, type ServiceError, status } from "@grpc/grpc-js";
import { VirtualClock } from "../../../src/base/clock.ts";
import { err, ok } from "../../../src/base/result.ts";
import { type Authority, openAuthority } from "../../../src/ca/authority.ts";
import { type ControlTls, makeControlTls } from "../../../src/ca/control-tls.ts";
import { addCertificateService, CERTIFICATE_SERVICE } from "../../../src/ca/service.ts";
import { readCertificate, verifyChain } from "../../../src/identity/chain.ts";
import { makeCsr } from "../../../src/identity/csr.ts";
import { generateKey, privateKeyToPem } from "../../../src/identity/key.ts";
import { Registry } from "../../../src/observe/metrics.ts";

const HOUR_MS = 3_600_000;
const clock = new VirtualClock(Date.now());
const registry = new Registry();
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "weft-ca-"));
let authority: Authority;
let tls: ControlTls;
let server: Server;
let port = 0;

before(async () => {
  const opened = await openAuthority({ directory, trustDomain: "cluster.local", clock });
  assert.ok(opened.ok);
  authority = opened.value;
  tls = await makeControlTls({ authority, clock, onProblem: assert.fail });
  server = new Server();
  addCertificateService(server, {
    authority,
    clock,
    registry,
    client: {
      reviewToken: async (token, audience) =>
        token === "good" && audience === "istio-ca"
          ? ok({ namespace: "production", serviceAccount: "api", audiences: [audience] })
          : err({ code: 401, reason: "Unauthorized", message: "the token is not known" }),
    },
  });
  port = await new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", tls.credentials, (error, bound) => (error ? reject(error) : resolve(bound))),
  );
});

after(() => {
  tls.close();
  server.forceShutdown();
  fs.rmSync(directory, { recursive: true });
});

interface CallOptions {
  readonly csr: string;
  readonly token?: string;
  readonly identity?: { readonly key: string; readonly chain: string };
  readonly seconds?: number;
}

function call(options: CallOptions): Promise<readonly string[] | ServiceError> {
  const { identity } = options;
  const channel = credentials.createSsl(
    Buffer.from(authority.rootPem),
    identity === undefined ? null : Buffer.from(identity.key),
    identity === undefined ? null : Buffer.from(identity.chain),
  );
  const client = new Client(`127.0.0.1:${port}`, channel, {
    "grpc.ssl_target_name_override": "istiod.istio-system.svc",
    "grpc.use_local_subchannel_pool": 1,
  });
  const metadata = new Metadata();
  if (options.token !== undefined) metadata.set("authorization", `Bearer ${options.token}`);
  const { path: method, requestSerialize, responseDeserialize } = CERTIFICATE_SERVICE.createCertificate;
  return new Promise((resolve) => {
    const request = { csr: options.csr, validityDuration: options.seconds ?? 0, metadata: undefined };
    client.makeUnaryRequest(method, requestSerialize, responseDeserialize, request, metadata, (error, response) => {
      client.close();
      resolve(error ?? response?.certChain ?? []);
    });
  });
}

async function refusal(options: CallOptions): Promise<ServiceError> {
  const answer = await call(options);
  assert.ok(answer instanceof Error, "the call was not refused");
  return answer;
}

async function issue(options: Omit<CallOptions, "csr"> = {}): Promise<{ key: string; chain: string }> {
  const key = generateKey();
  const answer = await call({ token: "good", ...options, csr: makeCsr(key, "spiffe://cluster.local/ns/x/sa/y") });
  assert.ok(!(answer instanceof Error), String(answer));
  return { key: privateKeyToPem(key), chain: answer.join("") };
}

describe("the certificate service", () => {
  test("a token gets a certificate for its own identity, whatever the request says", async () => {
    const { chain } = await issue();
    const facts = verifyChain(chain, authority.rootPem, clock.wallMs());
    assert.ok(facts.ok);
    assert.deepEqual(facts.value.uris, ["spiffe://cluster.local/ns/production/sa/api"]);
    const nowMs = Math.floor(clock.wallMs() / 1000) * 1000;
    assert.equal(facts.value.notBeforeMs, nowMs - 120_000);
    assert.equal(facts.value.notAfterMs, nowMs + 24 * HOUR_MS);
  });

  test("a workload renews with its certificate alone, and no longer once it has expired", async () => {
    const identity = await issue({ seconds: 3600 });
    const renewed = await call({ identity, csr: makeCsr(generateKey(), "spiffe://cluster.local/ns/a/sa/b") });
    assert.ok(!(renewed instanceof Error), String(renewed));
    const facts = readCertificate(renewed[0] ?? "");
    assert.ok(facts.ok);
    assert.deepEqual(facts.value.uris, ["spiffe://cluster.local/ns/production/sa/api"]);
    clock.advance(2 * HOUR_MS);
    const late = await refusal({ identity, csr: makeCsr(generateKey(), "spiffe://cluster.local/ns/a/sa/b") });
    assert.equal(late.code, status.UNAUTHENTICATED);
    assert.match(late.details, /expired at/);
    clock.advance(-2 * HOUR_MS);
  });

  test("a certificate of another authority is no credential", async () => {
    const other = fs.mkdtempSync(path.join(os.tmpdir(), "weft-ca-other-"));
    const foreign = await openAuthority({ directory: other, trustDomain: "cluster.local", clock });
    assert.ok(foreign.ok);
    const key = generateKey();
    const { createPublicKey } = await import("node:crypto");
    const leaf = await foreign.value.sign({
      publicKeyDer: new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" })),
      names: [{ type: "url", value: "spiffe://cluster.local/ns/production/sa/api" }],
      lifetimeMs: HOUR_MS,
    });
    const identity = { key: privateKeyToPem(key), chain: leaf + foreign.value.rootPem };
    const answer = await refusal({ identity, csr: makeCsr(key, "spiffe://cluster.local/ns/production/sa/api") });
    assert.equal(answer.code, status.UNAUTHENTICATED);
    fs.rmSync(other, { recursive: true });
  });

  test("bad tokens, no token and bad requests are told why", async () => {
    const csr = makeCsr(generateKey(), "spiffe://cluster.local/ns/a/sa/b");
    const badToken = await refusal({ token: "bad", csr });
    assert.equal(badToken.code, status.UNAUTHENTICATED);
    assert.match(badToken.details, /the token is not known/);
    assert.equal((await refusal({ csr })).code, status.UNAUTHENTICATED);
    const noPem = await refusal({ token: "good", csr: "nonsense" });
    assert.equal(noPem.code, status.INVALID_ARGUMENT);
    assert.match(noPem.details, /no PEM block/);
    const [head = "", body = ""] = csr.split("\n");
    const garbage = await refusal({ token: "good", csr: `${head}\nAAAA${body}\n-----END CERTIFICATE REQUEST-----\n` });
    assert.equal(garbage.code, status.INVALID_ARGUMENT);
  });

  test("a request that its key didn't sign is refused", async () => {
    const csr = makeCsr(generateKey(), "spiffe://cluster.local/ns/a/sa/b");
    const der = Buffer.from(csr.replaceAll(/-----[^-]+-----|\n/g, ""), "base64");
    der.writeUInt8((der.readUInt8(60) + 1) % 256, 60);
    const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
    assert.equal((await refusal({ token: "good", csr: forged })).code, status.INVALID_ARGUMENT);
  });

  test("counts what it did", () => {
    const value = (name: string) => {
      for (const series of registry.series()) {
        if (series.name === name && series.metric.type === "counter") return series.metric.handle.value;
      }
      return undefined;
    };
    assert.equal(value("citadel_server_success_cert_issuance_count"), 3);
    assert.equal(value("citadel_server_authentication_failure_count"), 4);
    assert.equal(value("citadel_server_csr_parsing_err_count"), 3);
  });
});

describe("the authority", () => {
  test("keeps its root, for its owner only, across starts", async () => {
    const again = await openAuthority({ directory, trustDomain: "cluster.local", clock });
    assert.ok(again.ok);
    assert.equal(again.value.rootPem, authority.rootPem);
    for (const file of ["root-key.pem", "root-cert.pem"]) {
      assert.equal(fs.statSync(path.join(directory, file)).mode & 0o777, 0o600);
    }
  });

  test("never signs past its own end, and says so when it is over", async () => {
    const late = new VirtualClock(authority.root.notAfterMs - HOUR_MS);
    const aged = await openAuthority({ directory, trustDomain: "cluster.local", clock: late });
    assert.ok(aged.ok);
    const { createPublicKey } = await import("node:crypto");
    const leaf = await aged.value.sign({
      publicKeyDer: new Uint8Array(createPublicKey(generateKey()).export({ type: "spki", format: "der" })),
      names: [{ type: "url", value: "spiffe://cluster.local/ns/a/sa/b" }],
      lifetimeMs: 24 * HOUR_MS,
    });
    const facts = readCertificate(leaf);
    assert.ok(facts.ok);
    assert.equal(facts.value.notAfterMs, authority.root.notAfterMs);
    const over = new VirtualClock(authority.root.notAfterMs + 1);
    const refused = await openAuthority({ directory, trustDomain: "cluster.local", clock: over });
    assert.ok(!refused.ok);
    assert.match(refused.error, /expired at .* move .* away/);
  });

  test("a lost key is an error with the next step", async () => {
    const broken = fs.mkdtempSync(path.join(os.tmpdir(), "weft-ca-broken-"));
    fs.copyFileSync(path.join(directory, "root-cert.pem"), path.join(broken, "root-cert.pem"));
    const opened = await openAuthority({ directory: broken, trustDomain: "cluster.local", clock });
    assert.ok(!opened.ok);
    assert.match(opened.error, /restore it, or remove both/);
    fs.rmSync(broken, { recursive: true });
  });
});

async function servedSerial(): Promise<string> {
  const { connect } = await import("node:tls");
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ALPNProtocols: ["h2"] }, () => {
      resolve(socket.getPeerCertificate().serialNumber.toLowerCase());
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

describe("the control port's certificate", () => {
  test("is renewed at half its life and served to new connections", async () => {
    const before = tls.certificate().chainPem;
    clock.advance(12 * HOUR_MS + 60_000);
    const giveUpMs = Date.now() + 5000;
    while (tls.certificate().chainPem === before && Date.now() < giveUpMs)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.notEqual(tls.certificate().chainPem, before);
    const current = () => {
      const facts = readCertificate(tls.certificate().chainPem);
      assert.ok(facts.ok);
      return facts.value;
    };
    assert.ok(current().dnsNames.includes("istiod.istio-system.svc"));
    // The server takes it up a moment after it was made.
    let served = await servedSerial();
    while (served !== current().serialNumber && Date.now() < giveUpMs) served = await servedSerial();
    assert.equal(served, current().serialNumber);
  });
});
