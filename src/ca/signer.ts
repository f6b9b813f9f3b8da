// A key that signs workload certificates, and what vouches for it: a root by itself, or an intermediate below one.

import "reflect-metadata";
import { createPublicKey, type KeyObject, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import * as x509 from "@peculiar/x509";
import { err, ok, type Result } from "../base/result.ts";
import { type CertificateFacts, issuerAmong, readBundle, readCertificate, verifyChain } from "../identity/chain.ts";
import { type RevocationLists, readRevocationLists } from "./crl.ts";
import { BACK_DATE_MS, SERIAL_BYTES } from "./limits.ts";

export interface SignRequest {
  /** SubjectPublicKeyInfo. */
  readonly publicKeyDer: Uint8Array<ArrayBuffer>;
  readonly names: readonly { readonly type: "url" | "dns" | "ip"; readonly value: string }[];
  readonly lifetimeMs: number;
}

export interface Signer {
  readonly certificate: CertificateFacts;
  /** What a leaf is followed by on the wire: this certificate and those above it, without the root. Empty for a root. */
  readonly chainPem: string;
  /** Every root that is trusted, this signer's first. */
  readonly rootsPem: string;
  readonly lists: RevocationLists | undefined;
  /** The root that vouches for this signer. */
  readonly root: CertificateFacts;
  /** The signed certificate in PEM. It never outlives any certificate that vouches for it. */
  sign(request: SignRequest, nowMs: number): Promise<string>;
}

export interface SignerMaterial {
  readonly key: KeyObject;
  readonly certificatePem: string;
  /** From the signer's issuer upwards; the root may be there or not. */
  readonly chainPem: string;
  readonly rootsPem: string;
  /** Revocation lists; empty for none. */
  readonly crlPem: string;
}

/** Refused where the key is another one's, the certificate may not sign, or no root vouches for it at `nowMs`. */
export async function makeSigner(material: SignerMaterial, nowMs: number): Promise<Result<Signer, string>> {
  const read = readCertificate(material.certificatePem);
  if (!read.ok) return err(`the signing certificate: ${read.error}`);
  const own = new X509Certificate(material.certificatePem);
  if (!own.checkPrivateKey(material.key)) return err("the key is not the one of the signing certificate");
  if (!own.ca) return err("the signing certificate may not sign others: it is no CA");
  const verified = verifyChain(`${material.certificatePem}\n${material.chainPem}`, material.rootsPem, nowMs);
  if (!verified.ok) return err(verified.error);
  const roots = readBundle(material.rootsPem);
  if (!roots.ok) return err(`the roots: ${roots.error}`);
  const above = material.chainPem.trim() === "" ? ok([]) : readBundle(material.chainPem);
  if (!above.ok) return err(`the chain: ${above.error}`);
  const chain = chainOf(read.value, above.value, roots.value);
  const top = chain.at(-1) ?? read.value;
  const vouching = [...chain, issuerAmong(top, roots.value) ?? top];
  const lists = await readLists(material.crlPem, [...chain, ...roots.value], nowMs);
  if (!lists.ok) return lists;
  const signing = await importKey(material.key);
  if (!signing.ok) return signing;
  const notAfterMs = Math.min(...vouching.map((each) => each.notAfterMs));
  const notBeforeMs = Math.max(...vouching.map((each) => each.notBeforeMs));
  return ok({
    certificate: read.value,
    chainPem: chain.map(({ pem }) => pem).join(""),
    rootsPem: firstOf(roots.value, vouching.at(-1) ?? read.value),
    lists: lists.value,
    root: vouching.at(-1) ?? read.value,
    sign: (request, atMs) => {
      const validity = {
        notBefore: new Date(Math.max(atMs - BACK_DATE_MS, notBeforeMs)),
        notAfter: new Date(Math.min(atMs + request.lifetimeMs, notAfterMs)),
      };
      return signLeaf(request, validity, { certificatePem: material.certificatePem, ...signing.value });
    },
  });
}

async function readLists(
  pem: string,
  authorities: readonly CertificateFacts[],
  nowMs: number,
): Promise<Result<RevocationLists | undefined, string>> {
  if (pem.trim() === "") return ok(undefined);
  const read = await readRevocationLists(pem, authorities, nowMs);
  return read.ok ? read : err(`the revocation lists: ${read.error}`);
}

function firstOf(roots: readonly CertificateFacts[], first: CertificateFacts): string {
  const others = roots.filter(({ pem }) => pem !== first.pem);
  return [first, ...others].map(({ pem }) => pem).join("");
}

/** The signer and what stands above it, up to but without a root. */
function chainOf(
  own: CertificateFacts,
  above: readonly CertificateFacts[],
  roots: readonly CertificateFacts[],
): readonly CertificateFacts[] {
  const isRoot = (facts: CertificateFacts): boolean => roots.some(({ pem }) => pem === facts.pem);
  return [own, ...above.filter(({ pem }) => pem !== own.pem)].filter((each) => !isRoot(each));
}

type SigningAlgorithm = { name: "ECDSA"; hash: string } | { name: "RSASSA-PKCS1-v1_5"; hash: string };

interface SigningKey {
  readonly signingKey: webcrypto.CryptoKey;
  readonly signingAlgorithm: SigningAlgorithm;
}

async function signLeaf(
  request: SignRequest,
  validity: { readonly notBefore: Date; readonly notAfter: Date },
  signer: SigningKey & { readonly certificatePem: string },
): Promise<string> {
  const issuer = new x509.X509Certificate(signer.certificatePem);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    // The subject is empty, so the names must be critical (RFC 5280, 4.2.1.6).
    subject: "",
    issuer: issuer.subjectName,
    ...validity,
    publicKey: new x509.PublicKey(request.publicKeyDer),
    signingKey: signer.signingKey,
    signingAlgorithm: signer.signingAlgorithm,
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

/** ECDSA on P-256 and P-384, and RSA. */
export async function importKey(key: KeyObject): Promise<Result<SigningKey, string>> {
  const der = new Uint8Array(key.export({ type: "pkcs8", format: "der" }));
  const { namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "rsa") {
    const signingAlgorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" } as const;
    const signingKey = await webcrypto.subtle.importKey("pkcs8", der, signingAlgorithm, false, ["sign"]);
    return ok({ signingKey, signingAlgorithm });
  }
  const curve = CURVES[namedCurve ?? ""];
  if (key.asymmetricKeyType !== "ec" || curve === undefined) {
    const kind = namedCurve ?? key.asymmetricKeyType ?? "unknown";
    return err(`a signing key of type ${kind}: EC on P-256 or P-384, and RSA, are possible`);
  }
  const algorithm = { name: "ECDSA", namedCurve: curve.name };
  const signingKey = await webcrypto.subtle.importKey("pkcs8", der, algorithm, false, ["sign"]);
  return ok({ signingKey, signingAlgorithm: { name: "ECDSA", hash: curve.hash } });
}

const CURVES: Readonly<Record<string, { readonly name: string; readonly hash: string }>> = {
  prime256v1: { name: "P-256", hash: "SHA-256" },
  secp384r1: { name: "P-384", hash: "SHA-384" },
};

export function x509PublicKey(key: KeyObject): x509.PublicKey {
  return new x509.PublicKey(new Uint8Array(createPublicKey(key).export({ type: "spki", format: "der" })));
}

/** Positive, as RFC 5280 asks. */
export function serialNumber(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}
