// DNS messages (RFC 1035): bytes to values and back. Any bytes may come; none of them throw.

import { err, ok, type Result } from "../base/result.ts";
import { LABEL_BYTES_MAX, NAME_BYTES_MAX, POINTERS_MAX, RECORDS_MAX } from "./limits.ts";

export const recordType = { A: 1, SOA: 6, PTR: 12, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 } as const;
export const responseCode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;
export const CLASS_IN = 1;

export interface Question {
  /** Without the closing dot, in the letters' case as asked. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
}

export interface DnsRecord {
  readonly name: string;
  readonly type: number;
  readonly class: number;
  readonly ttlSeconds: number;
  readonly data: Buffer;
}

export interface DnsMessage {
  readonly id: number;
  readonly response: boolean;
  readonly opcode: number;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly responseCode: number;
  readonly questions: readonly Question[];
  readonly answers: readonly DnsRecord[];
  readonly authorities: readonly DnsRecord[];
  readonly additionals: readonly DnsRecord[];
}

const HEADER_BYTES = 12;

export function decodeMessage(bytes: Buffer): Result<DnsMessage, string> {
  if (bytes.length < HEADER_BYTES) return err("shorter than a header");
  const flags = bytes.readUInt16BE(2);
  const reader = { bytes, offset: HEADER_BYTES };
  const questions = readMany(bytes.readUInt16BE(4), () => readQuestion(reader));
  const answers = readMany(bytes.readUInt16BE(6), () => readRecord(reader));
  const authorities = readMany(bytes.readUInt16BE(8), () => readRecord(reader));
  const additionals = readMany(bytes.readUInt16BE(10), () => readRecord(reader));
  if (questions === undefined || answers === undefined || authorities === undefined || additionals === undefined) {
    return err("a name or record runs past the end of the message or past its bounds");
  }
  return ok({
    id: bytes.readUInt16BE(0),
    response: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 15,
    authoritative: (flags & 0x0400) !== 0,
    truncated: (flags & 0x0200) !== 0,
    recursionDesired: (flags & 0x0100) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    responseCode: flags & 15,
    questions,
    answers,
    authorities,
    additionals,
  });
}

/** Names that repeat are written once and pointed to. Labels must be within their bounds. */
export function encodeMessage(message: DnsMessage): Buffer {
  const writer: Writer = { parts: [], offset: HEADER_BYTES, names: new Map() };
  for (const question of message.questions) {
    writeName(writer, question.name);
    push(writer, uint16(question.type), uint16(question.class));
  }
  for (const record of [...message.answers, ...message.authorities, ...message.additionals]) {
    writeName(writer, record.name);
    const ttl = Buffer.alloc(4);
    ttl.writeUInt32BE(record.ttlSeconds >>> 0);
    push(writer, uint16(record.type), uint16(record.class), ttl, uint16(record.data.length), record.data);
  }
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(message.id, 0);
  header.writeUInt16BE(flagsOf(message), 2);
  header.writeUInt16BE(message.questions.length, 4);
  header.writeUInt16BE(message.answers.length, 6);
  header.writeUInt16BE(message.authorities.length, 8);
  header.writeUInt16BE(message.additionals.length, 10);
  return Buffer.concat([header, ...writer.parts]);
}

/** The data of an A record, or of an AAAA record. */
export function addressData(ip: string): Buffer {
  if (!ip.includes(":")) return Buffer.from(ip.split(".").map(Number));
  const data = Buffer.alloc(16);
  const [head = "", tail] = ip.split("::");
  const front = groupsOf(head);
  const back = groupsOf(tail ?? "");
  front.forEach((group, index) => {
    data.writeUInt16BE(group, index * 2);
  });
  back.forEach((group, index) => {
    data.writeUInt16BE(group, 16 - (back.length - index) * 2);
  });
  return data;
}

/** Of a part of an IPv6 address: an IPv4 one at its end is two groups. */
function groupsOf(part: string): readonly number[] {
  if (part === "") return [];
  return part.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** The data of a zone's SOA record, whose last field says how long a missing name may be remembered. */
export function zoneData(zone: string, negativeTtlSeconds: number): Buffer {
  const numbers = Buffer.alloc(20);
  [1, 7200, 1800, 86_400, negativeTtlSeconds].forEach((value, index) => {
    numbers.writeUInt32BE(value, index * 4);
  });
  return Buffer.concat([plainName(`ns.dns.${zone}`), plainName(`hostmaster.${zone}`), numbers]);
}

function flagsOf(message: DnsMessage): number {
  return (
    (message.response ? 0x8000 : 0) |
    ((message.opcode & 15) << 11) |
    (message.authoritative ? 0x0400 : 0) |
    (message.truncated ? 0x0200 : 0) |
    (message.recursionDesired ? 0x0100 : 0) |
    (message.recursionAvailable ? 0x0080 : 0) |
    (message.responseCode & 15)
  );
}

interface Reader {
  readonly bytes: Buffer;
  offset: number;
}

function readMany<T>(count: number, read: () => T | undefined): T[] | undefined {
  if (count > RECORDS_MAX) return undefined;
  const items: T[] = [];
  for (let index = 0; index < count; index++) {
    const item = read();
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

function readQuestion(reader: Reader): Question | undefined {
  const name = readName(reader);
  if (name === undefined || reader.offset + 4 > reader.bytes.length) return undefined;
  const type = reader.bytes.readUInt16BE(reader.offset);
  const recordClass = reader.bytes.readUInt16BE(reader.offset + 2);
  reader.offset += 4;
  return { name, type, class: recordClass };
}

function readRecord(reader: Reader): DnsRecord | undefined {
  const question = readQuestion(reader);
  if (question === undefined || reader.offset + 6 > reader.bytes.length) return undefined;
  const ttlSeconds = reader.bytes.readUInt32BE(reader.offset);
  const length = reader.bytes.readUInt16BE(reader.offset + 4);
  const start = reader.offset + 6;
  if (start + length > reader.bytes.length) return undefined;
  reader.offset = start + length;
  return { ...question, ttlSeconds, data: Buffer.from(reader.bytes.subarray(start, start + length)) };
}

/** Bytes are kept one to one as Latin-1; a dot inside a label can't be told from one between labels: refused. */
function readName(reader: Reader): string | undefined {
  const labels: string[] = [];
  let offset = reader.offset;
  let length = 0;
  let pointers = 0;
  for (;;) {
    const size = reader.bytes[offset];
    if (size === undefined) return undefined;
    if (size === 0) {
      if (pointers === 0) reader.offset = offset + 1;
      return labels.join(".");
    }
    if (size >= 0xc0) {
      const low = reader.bytes[offset + 1];
      if (low === undefined || ++pointers > POINTERS_MAX) return undefined;
      if (pointers === 1) reader.offset = offset + 2;
      offset = ((size & 0x3f) << 8) | low;
      continue;
    }
    const label = readLabel(reader.bytes, offset);
    length += size + 1;
    if (label === undefined || length + 1 > NAME_BYTES_MAX) return undefined;
    labels.push(label);
    offset += size + 1;
  }
}

function readLabel(bytes: Buffer, offset: number): string | undefined {
  const end = offset + 1 + (bytes[offset] ?? 0);
  if (end - offset - 1 > LABEL_BYTES_MAX || end > bytes.length) return undefined;
  const label = bytes.toString("latin1", offset + 1, end);
  return label.includes(".") ? undefined : label;
}

interface Writer {
  readonly parts: Buffer[];
  offset: number;
  readonly names: Map<string, number>;
}

function writeName(writer: Writer, name: string): void {
  let rest = name;
  while (rest !== "") {
    const known = writer.names.get(rest);
    if (known !== undefined) {
      push(writer, uint16(0xc000 | known));
      return;
    }
    if (writer.offset < 0x3fff) writer.names.set(rest, writer.offset);
    const dot = rest.indexOf(".");
    push(writer, labelBytes(dot === -1 ? rest : rest.slice(0, dot)));
    rest = dot === -1 ? "" : rest.slice(dot + 1);
  }
  push(writer, Buffer.from([0]));
}

function plainName(name: string): Buffer {
  const labels = name === "" ? [] : name.split(".");
  return Buffer.concat([...labels.map(labelBytes), Buffer.from([0])]);
}

function labelBytes(label: string): Buffer {
  const bytes = Buffer.from(label, "latin1").subarray(0, LABEL_BYTES_MAX);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function push(writer: Writer, ...parts: Buffer[]): void {
  for (const part of parts) {
    writer.parts.push(part);
    writer.offset += part.length;
  }
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
}
