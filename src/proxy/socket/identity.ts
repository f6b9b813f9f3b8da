// Who is at the other end: the names in a peer's certificate, read once for a connection.

import { createHash, X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import type { CertificateView, TlsView } from "../../observe/access-record.ts";
import type { SanMatcher, TlsConfig } from "./tls-config.ts";

export interface Peer {
  readonly uris: readonly string[];
  readonly dnsNames: readonly string[];
  readonly subject: string;
  /** SHA-256 of the certificate in lower-case hexadecimal. */
  readonly fingerprint: string;
  readonly certificate: X509Certificate;
}

export function peerOf(certificate: X509Certificate): Peer {
  const names = subjectAltNames(certificate.subjectAltName);
  return {
    uris: names.filter((name) => name.type === "URI").map((name) => name.value),
    dnsNames: names.filter((name) => name.type === "DNS").map((name) => name.value),
    subject: nameText(certificate.subject),
    fingerprint: hexOf(certificate.fingerprint256),
    certificate,
  };
}

/** A fingerprint in lower case, without the colons. */
function hexOf(fingerprint: string): string {
  return fingerprint.replaceAll(":", "").toLowerCase();
}

/** Undefined for an empty name, whatever the type says: a workload's certificate has its name elsewhere. */
function nameText(name: string | undefined): string {
  return (name ?? "").split("\n").reverse().join(",");
}

/** What the log can say of a TLS connection; undefined for one in the clear. */
export function tlsViewOf(socket: Socket, peer: X509Certificate | undefined): TlsView | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  const raw: unknown = socket.getCertificate();
  const own = typeof raw === "object" && raw !== null && "raw" in raw ? raw.raw : undefined;
  return {
    version: socket.getProtocol() ?? undefined,
    cipher: socket.getCipher()?.name,
    peer: peer === undefined ? undefined : certificateView(peer),
    local: own instanceof Uint8Array ? certificateView(new X509Certificate(own)) : undefined,
  };
}

function certificateView(certificate: X509Certificate): CertificateView {
  const names = subjectAltNames(certificate.subjectAltName);
  const sans = (type: string) => names.filter((name) => name.type === type).map((name) => name.value);
  return {
    uriSans: sans("URI"),
    dnsSans: sans("DNS"),
    ipSans: sans("IP Address"),
    emailSans: sans("email"),
    subject: nameText(certificate.subject),
    issuer: nameText(certificate.issuer),
    serial: certificate.serialNumber.toLowerCase(),
    fingerprint256: hexOf(certificate.fingerprint256),
    fingerprint1: hexOf(certificate.fingerprint),
    pem: certificate.toString(),
    validFromMs: Date.parse(certificate.validFrom),
    validToMs: Date.parse(certificate.validTo),
  };
}

/** Whether a certificate is one of those that are pinned, by its own hash or its key's; true where none is. */
export function isPinned(certificate: X509Certificate, config: Pick<TlsConfig, "hashes" | "spkis">): boolean {
  const { hashes, spkis } = config;
  if (hashes.size === 0 && spkis.size === 0) return true;
  if (hashes.has(hexOf(certificate.fingerprint256))) return true;
  if (spkis.size === 0) return false;
  const der = certificate.publicKey.export({ type: "spki", format: "der" });
  return spkis.has(createHash("sha256").update(der).digest("base64"));
}

/** One SPIFFE id and no other URI beside it, as its standard has it: who is several workloads is none. True without any. */
export function isOneWorkload(certificate: X509Certificate): boolean {
  const uris = subjectAltNames(certificate.subjectAltName).filter(({ type }) => type === "URI");
  return uris.length < 2 || !uris.some(({ value }) => value.startsWith("spiffe://"));
}

/** A session that goes on shows no certificate: the one that it began with may have ended since. */
export function isOver(certificate: X509Certificate, nowMs = Date.now()): boolean {
  return certificate.validToDate.getTime() <= nowMs;
}

export function sanMatches(certificate: X509Certificate, matchers: readonly SanMatcher[]): boolean {
  if (matchers.length === 0) return true;
  const names = subjectAltNames(certificate.subjectAltName);
  return matchers.some((matcher) =>
    names.some((name) => (matcher.type === "any" || matcher.type === name.type) && matcher.matches(name.value)),
  );
}

interface Name {
  readonly type: string;
  readonly value: string;
}

/** Node's text form: `URI:spiffe://…, DNS:"quoted when odd"`. */
function subjectAltNames(text: string | undefined): readonly Name[] {
  if (text === undefined) return [];
  const names: Name[] = [];
  for (const match of text.matchAll(/(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const [, type = "", raw = ""] = match;
    const quoted = raw.startsWith('"');
    names.push({ type, value: quoted ? raw.slice(1, -1).replace(/\\(.)/g, "$1") : raw });
  }
  return names;
}
