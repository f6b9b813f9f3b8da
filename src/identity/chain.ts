// Reading and checking certificates: whose they are, how long they last, whether a root vouches for them.

import { X509Certificate } from "node:crypto";
import { err, ok, type Result } from "../base/result.ts";
import { splitCertificates } from "./pem.ts";

/** A chain longer than this is refused. */
const CHAIN_CERTIFICATES_MAX = 8;

export interface CertificateFacts {
  readonly pem: string;
  readonly subject: string;
  readonly serialNumber: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Every URI among the subject alternative names. */
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
}

export function readCertificate(pem: string | Buffer): Result<CertificateFacts, string> {
  const parsed = parse(pem);
  return parsed.ok ? ok(factsOf(parsed.value)) : parsed;
}

/** The facts of each certificate of a bundle; the first that can't be read is the error. */
export function readBundle(bundlePem: string): Result<readonly CertificateFacts[], string> {
  const facts: CertificateFacts[] = [];
  for (const pem of splitCertificates(bundlePem)) {
    const one = readCertificate(pem);
    if (!one.ok) return one;
    facts.push(one.value);
  }
  if (facts.length === 0) return err("no certificate in the PEM text");
  return ok(facts);
}

/** Follows the chain (leaf first) to one of the roots; every certificate must be valid at `atMs`. Returns the leaf's facts. */
export function verifyChain(chainPem: string, rootsPem: string, atMs: number): Result<CertificateFacts, string> {
  const chain = parseAll(chainPem);
  if (!chain.ok) return chain;
  const roots = parseAll(rootsPem);
  if (!roots.ok) return err(`trust bundle: ${roots.error}`);
  const [leaf, ...intermediates] = chain.value;
  if (leaf === undefined) return err("the chain holds no certificate");
  let current = leaf;
  for (let depth = 0; depth < CHAIN_CERTIFICATES_MAX; depth += 1) {
    const problem = validityProblem(current, atMs);
    if (problem !== undefined) return err(problem);
    const root = roots.value.find((candidate) => issued(candidate, current));
    if (root !== undefined) {
      const rootProblem = validityProblem(root, atMs);
      return rootProblem === undefined ? ok(factsOf(leaf)) : err(rootProblem);
    }
    const next = intermediates.find((candidate) => candidate !== current && issued(candidate, current));
    if (next === undefined) return err(`no trusted root issued ${describe(current)}`);
    current = next;
  }
  return err(`the chain has more than ${CHAIN_CERTIFICATES_MAX} certificates`);
}

/** When this part of the time between issue and expiry has passed; `jitter`, a part of it too, keeps a fleet from renewing at once. */
export function renewalTimeMs(
  facts: Pick<CertificateFacts, "notBeforeMs" | "notAfterMs">,
  { graceRatio, jitter } = { graceRatio: 0.5, jitter: 0 },
): number {
  const lifetimeMs = facts.notAfterMs - facts.notBeforeMs;
  return facts.notBeforeMs + lifetimeMs * (1 - graceRatio + jitter);
}

/** The one of the candidates that issued a certificate; undefined where none did. */
export function issuerAmong(
  subject: CertificateFacts,
  candidates: readonly CertificateFacts[],
): CertificateFacts | undefined {
  const certificate = new X509Certificate(subject.pem);
  return candidates.find(({ pem }) => issued(new X509Certificate(pem), certificate));
}

function issued(issuer: X509Certificate, subject: X509Certificate): boolean {
  return issuer.ca && subject.checkIssued(issuer) && subject.verify(issuer.publicKey);
}

function validityProblem(certificate: X509Certificate, atMs: number): string | undefined {
  if (atMs < certificate.validFromDate.getTime()) {
    return `${describe(certificate)} is not valid before ${certificate.validFromDate.toISOString()}`;
  }
  if (atMs > certificate.validToDate.getTime()) {
    return `${describe(certificate)} expired at ${certificate.validToDate.toISOString()}`;
  }
  return undefined;
}

function describe(certificate: X509Certificate): string {
  const name = uniformNames(certificate, "URI:")[0] ?? certificate.subject?.replaceAll("\n", ", ") ?? "";
  return `the certificate ${name === "" ? certificate.serialNumber : name}`;
}

function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    pem: certificate.toString(),
    subject: certificate.subject ?? "",
    serialNumber: certificate.serialNumber.toLowerCase(),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    uris: uniformNames(certificate, "URI:"),
    dnsNames: uniformNames(certificate, "DNS:"),
  };
}

/** Names with a comma or quote are printed quoted by Node and so never match: they are no identity of a mesh. */
function uniformNames(certificate: X509Certificate, prefix: "URI:" | "DNS:"): readonly string[] {
  return (certificate.subjectAltName ?? "")
    .split(", ")
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

function parseAll(bundlePem: string): Result<readonly X509Certificate[], string> {
  const certificates: X509Certificate[] = [];
  for (const pem of splitCertificates(bundlePem)) {
    const parsed = parse(pem);
    if (!parsed.ok) return parsed;
    certificates.push(parsed.value);
  }
  return ok(certificates);
}

function parse(pem: string | Buffer): Result<X509Certificate, string> {
  try {
    return ok(new X509Certificate(pem));
  } catch (error) {
    return err(`not a certificate: ${error instanceof Error ? error.message : String(error)}`);
  }
}
