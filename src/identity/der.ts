// The few shapes of DER that a certificate signing request is made of. A whole ASN.1 library would cost a sidecar 25 MB.

const LONG_FORM = 0x80;

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectId: 0x06,
  sequence: 0x30,
  set: 0x31,
  /** [0], constructed: a request's attributes. */
  attributes: 0xa0,
  /** [2] of a GeneralName. */
  dnsName: 0x82,
  /** [6] of a GeneralName. */
  uri: 0x86,
} as const;

export function encodeDer(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag, ...encodeLength(body.length)]), body]);
}

/** `1.2.840.10045.4.3.2` as an OBJECT IDENTIFIER. */
export function encodeObjectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) bytes.push(...base128(part));
  return encodeDer(TAG.objectId, Buffer.from(bytes));
}

function encodeLength(length: number): number[] {
  if (length < LONG_FORM) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return [LONG_FORM | bytes.length, ...bytes];
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f];
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}
