// The mesh's root of trust: one self-signed key, made once and kept in the data directory, that signs certificates.

import "reflect-metadata";
import { createPublicKey, type KeyObject, randomBytes, webcrypto } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import * as x509 from "@peculiar/x509";
import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import { type CertificateFacts, readCertificate } from "../identity/chain.ts";
import { generateKey, privateKeyFromPem, privateKeyToPem } from "../identity/key.ts";
import { BACK_DATE_MS, ROOT_LIFETIME_MS, SERIAL_BYTES } from "./limits.ts";

export interface SignRequest {
  /** SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
  readonly names: readonly { readonly type: "url" | "dns" | "ip"; readonly value: string }[];
  readonly lifetimeMs: number;
}

export interface Authority {
  readonly trustDomain: string;
  readonly rootPem: string;
  readonly root: CertificateFacts;
  /** The signed certificate in PEM. It never outlives the root. */
  sign(request: SignRequest): Promise<string>;
}

export interface AuthorityOptions {
  /** Kept readable by its owner only; made when missing. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
}

const KEY_FILE = "root-key.pem";
const CERTIFICATE_FILE = "root-cert.pem";
const SIGNING = { name: "ECDSA", hash: "SHA-256" } as const;

/** Loads the root from `directory`, or makes it there. */
export async function openAuthority(options: AuthorityOptions): Promise<Result<Authority, string>> {
  const loaded = await loadOrCreate(options);
  if (!loaded.ok) return err(`certificate authority in ${options.directory}: ${loaded.error}`);
  const { key, rootPem } = loaded.value;
  const root = readCertificate(rootPem);
  if (!root.ok) return err(`${path.join(options.directory, CERTIFICATE_FILE)}: ${root.error}`);
  if (root.value.notAfterMs <= options.clock.wallMs()) {
    return err(
      `the mesh root certificate expired at ${new Date(root.value.notAfterMs).toISOString()}: ` +
        `move ${options.directory} away to have a new one made; every workload then needs a restart`,
    );
  }
  const signingKey = await importKey(key);
  return ok({
    trustDomain: options.trustDomain,
    rootPem,
    root: root.value,
    sign: (request) => signWith(request, { signingKey, root: root.value, rootPem, clock: options.clock }),
  });
}

interface Signer {
  readonly signingKey: webcrypto.CryptoKey;
  readonly root: CertificateFacts;
  readonly rootPem: string;
  readonly clock: Clock;
}

async function signWith(request: SignRequest, signer: Signer): Promise<string> {
  const issuer = new x509.X509Certificate(signer.rootPem);
  const nowMs = signer.clock.wallMs();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    // The subject is empty, so the names must be critical (RFC 5280, 4.2.1.6).
    subject: "",
    issuer: issuer.subjectName,
    notBefore: new Date(Math.max(nowMs - BACK_DATE_MS, signer.root.notBeforeMs)),
    notAfter: new Date(Math.min(nowMs + request.lifetimeMs, signer.root.notAfterMs)),
    publicKey: new x509.PublicKey(request.publicKeyDer),
    signingKey: signer.signingKey,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      new x509.BasicConstraintsExtension(false, undefined, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      new x509.SubjectAlternativeNameExtension([...request.names], true),
    ],
  });
  return `${certificate.toString("pem")}\n`;
}

interface RootMaterial {
  readonly key: KeyObject;
  readonly rootPem: string;
}

async function loadOrCreate(options: AuthorityOptions): Promise<Result<RootMaterial, string>> {
  const keyPath = path.join(options.directory, KEY_FILE);
  const certificatePath = path.join(options.directory, CERTIFICATE_FILE);
  try {
    fs.mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    // The certificate is written last: without it, an earlier start was cut short and nothing was ever signed.
    if (!fs.existsSync(certificatePath)) return ok(await create(options, keyPath, certificatePath));
    if (!fs.existsSync(keyPath)) {
      return err(`${certificatePath} is there but its key ${KEY_FILE} is not: restore it, or remove both`);
    }
    const key = privateKeyFromPem(fs.readFileSync(keyPath, "utf8"));
    if (!key.ok) return err(`${keyPath} holds no private key (${key.error}): restore it, or remove both`);
    return ok({ key: key.value, rootPem: fs.readFileSync(certificatePath, "utf8") });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

async function create(options: AuthorityOptions, keyPath: string, certificatePath: string): Promise<RootMaterial> {
  const key = generateKey();
  const nowMs = options.clock.wallMs();
  const signingKey = await importKey(key);
  const publicKey = x509PublicKey(key);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `O=${options.trustDomain}`,
    issuer: `O=${options.trustDomain}`,
    notBefore: new Date(nowMs - BACK_DATE_MS),
    notAfter: new Date(nowMs + ROOT_LIFETIME_MS),
    publicKey,
    signingKey,
    signingAlgorithm: SIGNING,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      new x509.BasicConstraintsExtension(true, undefined, true),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  const rootPem = `${certificate.toString("pem")}\n`;
  writePrivate(keyPath, privateKeyToPem(key));
  writePrivate(certificatePath, rootPem);
  return { key, rootPem };
}

/** Whole or not at all, on the disk when this returns, for its owner only. */
function writePrivate(file: string, text: string): void {
  const partial = `${file}.new`;
  fs.rmSync(partial, { force: true });
  const handle = fs.openSync(partial, "wx", 0o600);
  try {
    fs.writeSync(handle, text);
    fs.fsyncSync(handle);
  } finally {
    fs.closeSync(handle);
  }
  fs.renameSync(partial, file);
}

function importKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const der = key.export({ type: "pkcs8", format: "der" });
  return webcrypto.subtle.importKey("pkcs8", new Uint8Array(der), { name: "ECDSA", namedCurve: "P-256" }, false, [
    "sign",
  ]);
}

function x509PublicKey(key: KeyObject): x509.PublicKey {
  return new x509.PublicKey(new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" })));
}

/** Positive, as RFC 5280 asks. */
function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}
