// The Secret cacerts, end to end: what it holds signs, chains arrive whole, streams by its certificates are let in.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { requestCertificate } from "../../../src/agent/ca-client.ts";
import { configMapKind } from "../../../src/api/kubernetes/config-map.ts";
import { secretKind } from "../../../src/api/kubernetes/secret.ts";
import { readCertificate, verifyChain } from "../../../src/identity/chain.ts";
import { makeCsr } from "../../../src/identity/csr.ts";
import { generateKey } from "../../../src/identity/key.ts";
import { certify, type KeyKind } from "../pki.ts";
import { startMesh, type TestMesh, until } from "./mesh.ts";

const NAMESPACES = ["production", "istio-system"]
  .map((name) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}`)
  .join("\n---\n");

interface Pki {
  readonly root: string;
  readonly certificate: string;
  readonly key: string;
}

/** A root and an intermediate below it that lasts a few hours, as a company's PKI hands them out. */
async function makePki(key: KeyKind): Promise<Pki> {
  const root = await certify({ subject: "O=Company, CN=Root", isCa: true, key, days: 3650 });
  const ca = await certify({ subject: "O=Company, CN=Mesh CA", isCa: true, key, days: 0.25, issuer: root });
  return { root: root.pem, certificate: ca.pem, key: ca.keyPem };
}

function secretOf({ root, certificate, key }: Pki): string {
  const data = { "ca-cert.pem": certificate, "ca-key.pem": key, "root-cert.pem": root, "cert-chain.pem": certificate };
  const lines = Object.entries(data).map(([name, text]) => `  ${name}: ${Buffer.from(text).toString("base64")}`);
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: cacerts, namespace: istio-system}\ndata:\n${lines.join("\n")}`;
}

/** The control plane's own certificate follows its CA a moment later. */
async function ask(mesh: TestMesh): Promise<readonly string[]> {
  let answered: readonly string[] = [];
  let why = "";
  await until("a certificate", async () => {
    const answer = await askOnce(mesh);
    if (answer.ok) answered = answer.value;
    else why = answer.error;
    return answer.ok || !/certificate in certificate chain|unable to/.test(why);
  });
  assert.ok(answered.length > 0, why);
  return answered;
}

async function askOnce(mesh: TestMesh) {
  const token = await mesh.client.createToken({
    namespace: "production",
    serviceAccount: "default",
    audiences: ["istio-ca"],
    expirationSeconds: 3_600,
  });
  assert.ok(token.ok, token.ok ? "" : token.error.message);
  return requestCertificate({
    address: `127.0.0.1:${mesh.control.secure.port}`,
    rootPem: mesh.authority.rootPem,
    token: token.value,
    csrPem: makeCsr(generateKey(), "spiffe://cluster.local/ns/production/sa/default"),
  });
}

describe("a plugged-in CA", () => {
  for (const kind of ["P-256", "P-384", "RSA"] as const) {
    it(`of ${kind} signs, with its chain, as long as its Secret is there`, async (context) => {
      const mesh = await startMesh(context);
      await mesh.apply(NAMESPACES);
      await mesh.apply("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: production}");
      const own = mesh.authority.rootPem;
      assert.equal((await ask(mesh)).length, 2, "the mesh's own root signs without an intermediate");

      const pki = await makePki(kind);
      await mesh.apply(secretOf(pki));
      await until("the Secret's CA signs", () => mesh.authority.source === "plugged-in");
      const [leaf = "", ca = "", root = ""] = await ask(mesh);
      assert.equal(root.trim(), pki.root.trim());
      assert.ok(verifyChain(leaf + ca, pki.root, Date.now()).ok);
      assert.equal(verifyChain(leaf, pki.root, Date.now()).ok, false, "the chain is needed");
      const facts = readCertificate(leaf);
      const signer = readCertificate(ca);
      assert.ok(facts.ok && signer.ok);
      assert.deepEqual(facts.value.uris, ["spiffe://cluster.local/ns/production/sa/default"]);
      assert.ok(facts.value.notAfterMs <= signer.value.notAfterMs, "it doesn't outlive its signer");
      await until("the root reaches the namespaces", async () => {
        const read = await mesh.client.get(configMapKind, { namespace: "production", name: "istio-ca-root-cert" });
        return read.ok && read.value.data?.["root-cert.pem"] === pki.root;
      });

      await mesh.client.remove(secretKind, { namespace: "istio-system", name: "cacerts" });
      await until("the own root signs again", () => mesh.authority.source === "self-signed");
      assert.equal(mesh.authority.rootPem, own);
    });
  }

  it("that doesn't hold changes nothing, and the log says why", async (context) => {
    const mesh = await startMesh(context);
    await mesh.apply(NAMESPACES);
    const pki = await makePki("P-256");
    const other = await makePki("P-256");
    for (const [broken, reason] of [
      [{ ...pki, key: other.key }, /the key is not the one of the signing certificate/],
      [{ ...pki, root: other.root }, /no trusted root issued/],
      [{ ...pki, certificate: "nonsense" }, /the signing certificate: not a certificate/],
      [{ ...pki, key: "" }, /it has no ca-key\.pem/],
    ] as const) {
      const before = mesh.caLog.length;
      await mesh.apply(secretOf(broken));
      await until("it is told", () => mesh.caLog.length > before);
      assert.match(mesh.caLog.at(-1) ?? "", reason);
      assert.match(mesh.caLog.at(-1) ?? "", /Secret istio-system\/cacerts: .*what signed before goes on/);
      assert.equal(mesh.authority.source, "self-signed");
    }
    await mesh.apply(secretOf(pki));
    await until("a good one is taken", () => mesh.authority.source === "plugged-in");
  });
});
