// Certificates that a peer should not get in with, and one that it should.

import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, webcrypto } from "node:crypto";
import { chownSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import type { Cluster } from "./cluster.ts";

export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const HOUR_MS = 3_600_000;

/** Signs as the mesh does, with the mesh's own root, or with a root that nobody knows. */
export async function issue(
  cluster: Cluster,
  name: string,
  options: { readonly foreignRoot?: boolean; readonly expired?: boolean; readonly uri?: string },
): Promise<CertificateFiles> {
  x509.cryptoProvider.set(webcrypto);
  const root = options.foreignRoot === true ? await foreignRoot() : await meshRoot(cluster);
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const endMs = Date.now() + (options.expired === true ? -1 : 1) * HOUR_MS;
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: "0123456789",
    issuer: root.name,
    notBefore: new Date(endMs - 2 * HOUR_MS),
    notAfter: new Date(endMs),
    signingAlgorithm: ALGORITHM,
    publicKey: await publicKey(pair.publicKey),
    signingKey: await signingKey(root.key),
    extensions: [
      new x509.SubjectAlternativeNameExtension(
        [{ type: "url", value: options.uri ?? "spiffe://cluster.local/ns/production/sa/frontend" }],
        true,
      ),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    ],
  });
  const cert = write(cluster, `${name}-cert.pem`, `${leaf.toString("pem")}\n`);
  const key = write(cluster, `${name}-key.pem`, String(pair.privateKey.export({ type: "pkcs8", format: "pem" })));
  return { cert, key };
}

async function meshRoot(cluster: Cluster): Promise<{ readonly name: string; readonly key: KeyObject }> {
  const pki = join(cluster.dataDir, "pki/mesh");
  const certificate = new x509.X509Certificate(readFileSync(join(pki, "root-cert.pem"), "utf8"));
  return { name: certificate.subject, key: createPrivateKey(readFileSync(join(pki, "root-key.pem"))) };
}

async function foreignRoot(): Promise<{ readonly name: string; readonly key: KeyObject }> {
  return { name: "O=somebody else", key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey };
}

function signingKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey("pkcs8", key.export({ type: "pkcs8", format: "der" }), ALGORITHM, false, ["sign"]);
}

function publicKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = createPublicKey(key.export({ type: "spki", format: "pem" })).export({ type: "spki", format: "der" });
  return webcrypto.subtle.importKey("spki", der, ALGORITHM, true, ["verify"]);
}

function write(cluster: Cluster, name: string, text: string): string {
  const path = join(cluster.folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  if (cluster.user !== undefined) chownSync(path, cluster.user.uid, cluster.user.gid);
  return path;
}
