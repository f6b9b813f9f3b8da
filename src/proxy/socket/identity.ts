// Who is at the other end: the names in a peer's certificate, read once for a connection.

import type { X509Certificate } from "node:crypto";
import type { SanMatcher } from "./tls-config.ts";

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
    // Undefined for an empty subject, whatever the type says: a workload's certificate has its name elsewhere.
    subject: (certificate.subject ?? "").split("\n").reverse().join(","),
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    certificate,
  };
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
