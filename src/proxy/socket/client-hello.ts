// The first bytes of a connection: is it TLS (with which server name and protocols), HTTP/1, HTTP/2, or something else?

export interface Sniffed {
  readonly transport: "tls" | "raw_buffer";
  readonly serverName: string;
  /** ALPN of TLS, or what the plain bytes look like. */
  readonly protocols: readonly string[];
}

export const NOTHING: Sniffed = { transport: "raw_buffer", serverName: "", protocols: [] };

/** Undefined: more bytes are needed. */
export function sniff(bytes: Buffer): Sniffed | undefined {
  if (bytes[0] === 0x16) return sniffTls(bytes);
  return sniffPlain(bytes);
}

const H2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

function sniffPlain(bytes: Buffer): Sniffed | undefined {
  const text = bytes.toString("latin1", 0, Math.min(bytes.length, 16 * 1024));
  if (text.startsWith(H2_PREFACE)) return { transport: "raw_buffer", serverName: "", protocols: ["h2c"] };
  if (H2_PREFACE.startsWith(text)) return undefined;
  const lineEnd = text.indexOf("\n");
  if (lineEnd === -1)
    return /^[\r\n]*[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}( [\x21-\x7e]*( [HTP/1.0]*)?)?\r?$/.test(text)
      ? undefined
      : NOTHING;
  const match = /^(?:\r\n)?[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^ ]+ HTTP\/1\.([01])\r?\n/.exec(text);
  if (match === null) return text.startsWith("\r\n") && text.length === 2 ? undefined : NOTHING;
  return { transport: "raw_buffer", serverName: "", protocols: [match[1] === "0" ? "http/1.0" : "http/1.1"] };
}

function sniffTls(bytes: Buffer): Sniffed | undefined {
  const hello = handshakeBytes(bytes);
  if (hello === undefined) return bytes.length > 5 && bytes[1] !== 3 ? NOTHING : undefined;
  const reader = { bytes: hello, at: 4 + 2 + 32 };
  skip(reader, 1);
  skip(reader, 2);
  skip(reader, 1);
  let serverName = "";
  let protocols: string[] = [];
  const end = Math.min(hello.length, reader.at + 2 + u16(hello, reader.at));
  let at = reader.at + 2;
  while (at + 4 <= end) {
    const type = u16(hello, at);
    const length = u16(hello, at + 2);
    const data = hello.subarray(at + 4, at + 4 + length);
    if (type === 0 && data.length > 5) serverName = data.toString("latin1", 5, 5 + u16(data, 3)).toLowerCase();
    if (type === 16) protocols = readAlpn(data);
    at += 4 + length;
  }
  return { transport: "tls", serverName, protocols };
}

/** The whole ClientHello, out of one or more records. */
function handshakeBytes(bytes: Buffer): Buffer | undefined {
  const parts: Buffer[] = [];
  let have = 0;
  let at = 0;
  while (at + 5 <= bytes.length && bytes[at] === 0x16) {
    const length = u16(bytes, at + 3);
    const part = bytes.subarray(at + 5, at + 5 + length);
    parts.push(part);
    have += part.length;
    at += 5 + length;
    const head = parts[0];
    if (head === undefined || head.length < 4) return undefined;
    const wanted = 4 + (((head[1] ?? 0) << 16) | u16(head, 2));
    if (have >= wanted) return Buffer.concat(parts, wanted);
  }
  return undefined;
}

function readAlpn(data: Buffer): string[] {
  const protocols: string[] = [];
  let at = 2;
  while (at < data.length) {
    const length = data[at] ?? 0;
    protocols.push(data.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return protocols;
}

function skip(reader: { bytes: Buffer; at: number }, sizeBytes: 1 | 2): void {
  const length = sizeBytes === 1 ? (reader.bytes[reader.at] ?? 0) : u16(reader.bytes, reader.at);
  reader.at += sizeBytes + length;
}

function u16(bytes: Buffer, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
