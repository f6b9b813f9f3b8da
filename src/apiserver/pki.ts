// What the API's TLS and its tokens need, made once and kept for the owner's eyes only.

import { randomBytes, webcrypto } from "node:crypto";
import fs from "node:fs";
import { isIP } from "node:net";
import path from "node:path";
import { err, ok, type Result } from "../base/result.ts";
import { readCertificate } from "../identity/chain.ts";
import { generateKey, privateKeyToPem } from "../identity/key.ts";
import { makeTokenKeyPem } from "./tokens.ts";

export interface Pki {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  readonly adminToken: string;
  readonly tokenKeyPem: string;
}

const DAY_MS = 24 * 3600_000;
const LIFETIME_MS = 3650 * DAY_MS;
const RENEW_BEFORE_MS = 30 * DAY_MS;
const TOKEN_BYTES = 32;
const NAMES = [
  "localhost",
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  "127.0.0.1",
  "::1",
  "10.96.0.1",
];
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;
const KEYS = { name: "ECDSA", namedCurve: "P-256" } as const;

/** Loads or makes everything in `directory`. */
export async function openPki(
  directory: string,
  options: { host: string; wallMs: number },
): Promise<Result<Pki, string>> {
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const adminToken = keep(path.join(directory, "admin.token"), () => randomBytes(TOKEN_BYTES).toString("base64url"));
    const tokenKeyPem = keep(path.join(directory, "service-account.key"), makeTokenKeyPem);
    const stored = readStored(directory, options.wallMs);
    const tls = stored ?? (await makeCertificates(directory, options));
    return ok({ adminToken, tokenKeyPem, ...tls });
  } catch (error) {
    return err(`cannot use ${directory}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

type Tls = Pick<Pki, "caPem" | "certificatePem" | "privateKeyPem">;

const CA_FILE = "ca.crt";
const CERTIFICATE_FILE = "apiserver.crt";
const KEY_FILE = "apiserver.key";

function readStored(directory: string, wallMs: number): Tls | undefined {
  const [caPem, certificatePem, privateKeyPem] = [CA_FILE, CERTIFICATE_FILE, KEY_FILE].map((name) => {
    const file = path.join(directory, name);
    return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
  });
  if (caPem === undefined || certificatePem === undefined || privateKeyPem === undefined) return undefined;
  if (caPem === "" || certificatePem === "" || privateKeyPem === "") return undefined;
  const facts = readCertificate(certificatePem);
  if (!facts.ok || facts.value.notAfterMs - RENEW_BEFORE_MS < wallMs) return undefined;
  return { caPem, certificatePem, privateKeyPem };
}

function keep(file: string, make: () => string): string {
  if (fs.existsSync(file)) return fs.readFileSync(file, "utf8").trim();
  const value = make();
  writePrivate(file, value);
  return value;
}

function writePrivate(file: string, text: string): void {
  fs.writeFileSync(`${file}.new`, text, { mode: 0o600 });
  fs.renameSync(`${file}.new`, file);
}

/** A CA whose key is forgotten as soon as it has signed the one certificate that it is for. */
async function makeCertificates(directory: string, options: { host: string; wallMs: number }): Promise<Tls> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const notBefore = new Date(options.wallMs - DAY_MS);
  const notAfter = new Date(options.wallMs + LIFETIME_MS);
  const caKeys = await webcrypto.subtle.generateKey(KEYS, true, ["sign", "verify"]);
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: "CN=weft-cluster-ca",
    notBefore,
    notAfter,
    keys: caKeys,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  const key = generateKey();
  const privateKeyPem = privateKeyToPem(key);
  const publicKey = await webcrypto.subtle
    .importKey("jwk", key.export({ format: "jwk" }), KEYS, true, ["sign"])
    .then((imported) => publicHalf(imported));
  const names = [...new Set([...NAMES, options.host])].filter((name) => name !== "0.0.0.0" && name !== "::");
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: "CN=weft-apiserver",
    issuer: ca.subject,
    notBefore,
    notAfter,
    publicKey,
    signingKey: caKeys.privateKey,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
      ),
    ],
  });
  const tls: Tls = {
    caPem: `${ca.toString("pem")}\n`,
    certificatePem: `${certificate.toString("pem")}\n`,
    privateKeyPem,
  };
  writePrivate(path.join(directory, CA_FILE), tls.caPem);
  writePrivate(path.join(directory, KEY_FILE), tls.privateKeyPem);
  writePrivate(path.join(directory, CERTIFICATE_FILE), tls.certificatePem);
  return tls;
}

async function publicHalf(privateKey: webcrypto.CryptoKey): Promise<webcrypto.CryptoKey> {
  const { d: _, key_ops: __, ...jwk } = await webcrypto.subtle.exportKey("jwk", privateKey);
  return webcrypto.subtle.importKey("jwk", jwk, KEYS, true, ["verify"]);
}

function serial(): string {
  return `01${randomBytes(15).toString("hex")}`;
}
