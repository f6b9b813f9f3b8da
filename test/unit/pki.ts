// Certificates for tests, made with nothing but Node: roots, intermediates, leaves, self-signed ones.

import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { importKey, serialNumber, x509PublicKey } from "../../src/ca/signer.ts";
import { privateKeyToPem } from "../../src/identity/key.ts";

export type KeyKind = "P-256" | "P-384" | "RSA";

export interface Certified {
  readonly key: KeyObject;
  readonly keyPem: string;
  readonly pem: string;
}

export interface Wanted {
  readonly subject: string;
  readonly key?: KeyKind;
  readonly names?: readonly { readonly type: "url" | "dns" | "ip"; readonly value: string }[];
  readonly isCa?: true;
  /** Signs itself otherwise. */
  readonly issuer?: Certified;
  readonly days?: number;
}

const DAY_MS = 86_400_000;

export async function certify(wanted: Wanted): Promise<Certified> {
  const key = newKey(wanted.key ?? "P-256");
  const signing = await importKey(wanted.issuer?.key ?? key);
  assert.ok(signing.ok, signing.ok ? "" : signing.error);
  const { issuer, names = [] } = wanted;
  const isCa = wanted.isCa === true;
  const usage = isCa
    ? x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign
    : x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: wanted.subject,
    issuer: issuer === undefined ? wanted.subject : new x509.X509Certificate(issuer.pem).subject,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + (wanted.days ?? 2) * DAY_MS),
    publicKey: x509PublicKey(key),
    ...signing.value,
    extensions: [
      new x509.KeyUsagesExtension(usage, true),
      new x509.BasicConstraintsExtension(isCa, undefined, true),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])]),
    ],
  });
  return { key, keyPem: privateKeyToPem(key), pem: `${certificate.toString("pem")}\n` };
}

function newKey(kind: KeyKind): KeyObject {
  return kind === "RSA"
    ? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
    : generateKeyPairSync("ec", { namedCurve: kind }).privateKey;
}
