// PEM text to blocks and back.

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\s+([A-Za-z0-9+/=\s]+?)-----END \1-----/g;

export interface PemBlock {
  /** `CERTIFICATE`, `CERTIFICATE REQUEST`, … */
  readonly label: string;
  readonly der: Buffer;
}

export function parsePem(text: string): readonly PemBlock[] {
  return Array.from(text.matchAll(BLOCK), ([, label = "", body = ""]) => ({ label, der: Buffer.from(body, "base64") }));
}

export function formatPem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** Every certificate of a bundle as its own PEM text. */
export function splitCertificates(bundlePem: string): readonly string[] {
  return parsePem(bundlePem)
    .filter((block) => block.label === "CERTIFICATE")
    .map((block) => formatPem(block.label, block.der));
}
