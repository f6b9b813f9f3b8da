// Credentials that must not get anybody anything from the certificate authority or a configuration stream.

import assert from "node:assert/strict";
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign, X509Certificate } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { describe, it, type TestContext } from "node:test";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { podKind } from "../../../src/api/kubernetes/pod.ts";
import { systemClock } from "../../../src/base/clock.ts";
import { isRecord, parseJson } from "../../../src/base/json.ts";
import { identityOf } from "../../../src/ca/client-certificate.ts";
import { CERTIFICATE_SERVICE } from "../../../src/ca/service.ts";
import { makeSigner } from "../../../src/ca/signer.ts";
import { makeAuthenticate } from "../../../src/control/authenticate.ts";
import { readCertificate } from "../../../src/identity/chain.ts";
import { makeCsr } from "../../../src/identity/csr.ts";
import { generateKey } from "../../../src/identity/key.ts";
import { API, FRONTEND, makeAttacks } from "../../attacks/certificates.ts";
import { type Certified, certify, revoke } from "../pki.ts";
import { startMesh, type TestMesh } from "./mesh.ts";

const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: production}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: api, namespace: production}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: node-proxy, namespace: production}
---
apiVersion: v1
kind: Pod
metadata: {name: node-proxy-1, namespace: production}
spec: {nodeName: node-1, serviceAccountName: node-proxy, containers: [{name: main, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api-1, namespace: production}
spec: {nodeName: node-1, serviceAccountName: api, containers: [{name: main, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far-1, namespace: production}
spec: {nodeName: node-2, serviceAccountName: far, containers: [{name: main, image: x}]}
`;

interface Asked {
  readonly token?: string;
  readonly csr?: string;
  readonly metadata?: Record<string, unknown>;
}

function ask(mesh: TestMesh, asked: Asked): Promise<readonly string[] | ServiceError> {
  const channel = credentials.createSsl(Buffer.from(mesh.authority.rootPem));
  const client = new Client(`127.0.0.1:${mesh.control.secure.port}`, channel, {
    "grpc.ssl_target_name_override": "istiod.istio-system.svc",
    "grpc.use_local_subchannel_pool": 1,
  });
  const metadata = new Metadata();
  if (asked.token !== undefined) metadata.set("authorization", `Bearer ${asked.token}`);
  const { path: method, requestSerialize, responseDeserialize } = CERTIFICATE_SERVICE.createCertificate;
  const csr = asked.csr ?? makeCsr(generateKey(), "spiffe://cluster.local/ns/kube-system/sa/admin");
  const request = { csr, validityDuration: 0, metadata: asked.metadata };
  return new Promise((resolve) => {
    client.makeUnaryRequest(method, requestSerialize, responseDeserialize, request, metadata, (error, response) => {
      client.close();
      resolve(error ?? response?.certChain ?? []);
    });
  });
}

async function refusal(mesh: TestMesh, asked: Asked): Promise<ServiceError> {
  const answer = await ask(mesh, asked);
  assert.ok(answer instanceof Error, "a certificate was given");
  return answer;
}

async function tokenOf(mesh: TestMesh, serviceAccount: "api" | "node-proxy", audience = "istio-ca"): Promise<string> {
  const pod = await mesh.client.get(podKind, { namespace: "production", name: `${serviceAccount}-1` });
  assert.ok(pod.ok);
  const made = await mesh.client.createToken({
    namespace: "production",
    serviceAccount,
    audiences: [audience],
    expirationSeconds: 3_600,
    pod: { name: pod.value.metadata.name, uid: pod.value.metadata.uid ?? "" },
  });
  assert.ok(made.ok);
  return made.value;
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

function claimsOf(token: string): Record<string, unknown> {
  const parsed = parseJson(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
  assert.ok(parsed.ok && isRecord(parsed.value));
  return parsed.value;
}

/** As the local cluster's issuer makes them, with its key or another. */
function forge(header: object, claims: object, key: KeyObject): string {
  const text = `${encode(header)}.${encode(claims)}`;
  return `${text}.${sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url")}`;
}

async function badTokens(mesh: TestMesh): Promise<Readonly<Record<string, string>>> {
  const good = await tokenOf(mesh, "api");
  const claims = claimsOf(good);
  const issuer = createPrivateKey(fs.readFileSync(path.join(mesh.dataDir, "pki/service-account.key")));
  const publicPem = createPublicKey(issuer).export({ type: "spki", format: "pem" }).toString();
  const [head = "", body = "", signature = ""] = good.split(".");
  const es = { alg: "ES256" };
  const confused = `${encode({ alg: "HS256" })}.${encode(claims)}`;
  const admin = { ...claims, sub: "system:serviceaccount:kube-system:admin" };
  const account = {
    ...claims,
    "kubernetes.io": { namespace: "production", serviceaccount: { name: "api", uid: "0" } },
  };
  return {
    "of another audience": await tokenOf(mesh, "api", "somebody-else"),
    "for the API itself": await tokenOf(mesh, "api", "https://kubernetes.default.svc.cluster.local"),
    expired: forge(es, { ...claims, exp: 1_000_000_000 }, issuer),
    "not yet valid": forge(es, { ...claims, nbf: Math.floor(Date.now() / 1000) + 3_600 }, issuer),
    "of another issuer": forge(es, { ...claims, iss: "https://evil.example" }, issuer),
    "signed by another key": forge(es, claims, generateKey()),
    "with other claims than were signed": `${head}.${encode(admin)}.${signature}`,
    "without a signature": `${head}.${body}.`,
    "alg: none": `${encode({ alg: "none" })}.${encode(claims)}.`,
    "alg: none, signed": `${encode({ alg: "none" })}.${body}.${signature}`,
    "HS256 with the public key": `${confused}.${createHmac("sha256", publicPem).update(confused).digest("base64url")}`,
    "of an account that is another one by now": forge(es, account, issuer),
    "with a key of its own": forge({ ...es, jwk: generateKey().export({ format: "jwk" }) }, claims, generateKey()),
    oversized: `${head}.${"A".repeat(12_000)}.${signature}`,
    "no token at all": "nonsense",
  };
}

async function world(context: TestContext): Promise<TestMesh> {
  const mesh = await startMesh(context);
  await mesh.apply(OBJECTS);
  return mesh;
}

describe("a token for the certificate authority", () => {
  it("that is wrong in one way gets nothing, and the stream neither", async (context) => {
    const mesh = await world(context);
    assert.ok(
      Array.isArray(await ask(mesh, { token: await tokenOf(mesh, "api") })),
      "the right one gets a certificate",
    );
    const authenticate = makeAuthenticate({ client: mesh.client, clock: systemClock, trust: () => mesh.authority });
    for (const [name, token] of Object.entries(await badTokens(mesh))) {
      const answer = await refusal(mesh, { token });
      assert.equal(answer.code, status.UNAUTHENTICATED, `${name}: ${answer.message}`);
      assert.ok(!answer.message.includes(token.slice(-40)), `${name}: the token is in the answer`);
      const metadata = new Metadata();
      metadata.set("authorization", `Bearer ${token}`);
      const stream = await authenticate({ metadata, certificate: undefined, address: "" });
      assert.equal(stream.ok, false, `${name} opened a stream`);
    }
  });

  it("gets the token's identity, whatever the request asks for", async (context) => {
    const mesh = await world(context);
    const token = await tokenOf(mesh, "api");
    for (const name of ["spiffe://cluster.local/ns/kube-system/sa/admin", "spiffe://other/ns/production/sa/api"]) {
      const answer = await ask(mesh, { token, csr: makeCsr(generateKey(), name) });
      assert.ok(!(answer instanceof Error), String(answer));
      const facts = readCertificate(answer[0] ?? "");
      assert.deepEqual(facts.ok && facts.value.uris, [API]);
    }
  });
});

describe("impersonation", () => {
  const wanted = (identity: string) => ({ ImpersonatedIdentity: identity });
  it("is for a trusted account whose node runs such a pod, and nobody else", async (context) => {
    const mesh = await world(context);
    const node = await tokenOf(mesh, "node-proxy");
    const given = await ask(mesh, { token: node, metadata: wanted(API) });
    assert.ok(!(given instanceof Error), String(given));
    const facts = readCertificate(given[0] ?? "");
    assert.deepEqual(facts.ok && facts.value.uris, [API]);
    const unbound = await mesh.client.createToken({
      namespace: "production",
      serviceAccount: "node-proxy",
      audiences: ["istio-ca"],
      expirationSeconds: 3_600,
    });
    assert.ok(unbound.ok);
    for (const [token, identity, why] of [
      [await tokenOf(mesh, "api"), FRONTEND, /production\/api may impersonate nobody/],
      [node, API.replace("/api", "/far"), /node node-1 runs no pod of/],
      [node, API.replace("cluster.local", "other"), /is of another trust domain/],
      [node, "spiffe://cluster.local/ns/production", /is not a workload's identity/],
      [unbound.value, API, /is bound to no pod/],
    ] as const) {
      const answer = await refusal(mesh, { token, metadata: wanted(identity) });
      assert.equal(answer.code, status.PERMISSION_DENIED);
      assert.match(answer.message, why);
    }
    const page = await (await fetch(`http://127.0.0.1:${mesh.control.debug?.port}/metrics`)).text();
    assert.match(page, /^citadel_server_impersonation_refused_count(\{\})? 5$/m);
  });
});

describe("a certificate as a credential", () => {
  it("counts only where this mesh vouches for it now", async () => {
    const { root, good, attacks, crlPem } = await makeAttacks(API);
    const key = createPrivateKey(root.keyPem);
    const signer = await makeSigner(
      { key, certificatePem: root.pem, chainPem: "", rootsPem: root.pem, crlPem },
      Date.now(),
    );
    assert.ok(signer.ok, signer.ok ? "" : signer.error);
    const { lists } = signer.value;
    const trust = { rootPem: root.pem, chainPem: "", lists, trustDomain: "cluster.local" };
    const read = ({ pem }: Certified) => identityOf(new X509Certificate(pem).raw, trust, Date.now());
    assert.ok(read(good).ok);
    for (const { name, identity } of attacks) if (identity !== undefined) assert.equal(read(identity).ok, false, name);
  });

  it("of an authority whose lists are stale or missing is never made", async () => {
    const root = await certify({ subject: "O=root", isCa: true });
    const other = await certify({ subject: "O=other", isCa: true });
    const key = createPrivateKey(root.keyPem);
    for (const [crlPem, why] of [
      [await revoke(root, [], { from: -2, until: -1 }), /out of date since/],
      [await revoke(other, []), /there is no list of O=root/],
      ["nonsense", /holds no PEM block/],
    ] as const) {
      const material = { key, certificatePem: root.pem, chainPem: "", rootsPem: root.pem, crlPem };
      const made = await makeSigner(material, Date.now());
      assert.match(made.ok ? "" : made.error, why);
    }
  });
});
