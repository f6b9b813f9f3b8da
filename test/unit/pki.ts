// Certificates for tests, made with nothing but Node: roots, intermediates, leaves, self-signed ones.

import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { importKey, serialNumber, x509PublicKey } from "../../src/ca/signer.ts";
import { privateKeyToPem } from "../../src/identity/key.ts";
import { formatPem } from "../../src/identity/pem.ts";

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
  /** From now on; negative: it is over. */
  readonly days?: number;
  /** When it begins, in days from now. */
  readonly fromDays?: number;
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
    notBefore: new Date(Date.now() + (wanted.fromDays ?? -1 / 1440) * DAY_MS),
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

/** The list of what an authority has revoked. */
export async function revoke(
  issuer: Certified,
  revoked: readonly Certified[],
  days: { readonly from: number; readonly until: number } = { from: -1, until: 1 },
): Promise<string> {
  const signing = await importKey(issuer.key);
  assert.ok(signing.ok, signing.ok ? "" : signing.error);
  const list = await x509.X509CrlGenerator.create({
    issuer: new x509.X509Certificate(issuer.pem).subject,
    thisUpdate: new Date(Date.now() + days.from * DAY_MS),
    nextUpdate: new Date(Date.now() + days.until * DAY_MS),
    entries: revoked.map(({ pem }) => ({
      serialNumber: new x509.X509Certificate(pem).serialNumber,
      reason: x509.X509CrlReason.keyCompromise,
    })),
    ...signing.value,
  });
  return formatPem("X509 CRL", new Uint8Array(list.rawData));
}

function newKey(kind: KeyKind): KeyObject {
  return kind === "RSA"
    ? generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey
    : generateKeyPairSync("ec", { namedCurve: kind }).privateKey;
}
