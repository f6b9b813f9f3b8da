// Reads messages of Thrift's compact protocol into plain data, fields by their numbers. What is no message throws.

export type ThriftValue = boolean | number | bigint | string | readonly ThriftValue[] | ThriftStruct;
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

export interface ThriftMessage {
  readonly name: string;
  readonly body: ThriftStruct;
}

const PROTOCOL = 0x82;
const VERSION = 1;
const DEPTH_MAX = 16;

const TRUE = 1;
const FALSE = 2;
const BYTE = 3;
const I16 = 4;
const I32 = 5;
const I64 = 6;
const DOUBLE = 7;
const STRING = 8;
const LIST = 9;
const SET = 10;
const STRUCT = 12;

export function readThrift(bytes: Buffer): ThriftMessage {
  const reader = new CompactReader(bytes);
  if (reader.byte() !== PROTOCOL) throw new Error("it is not of Thrift's compact protocol");
  if ((reader.byte() & 0x1f) !== VERSION) throw new Error("it is of another version of Thrift's compact protocol");
  // The sequence number.
  reader.varint();
  const name = reader.string();
  return { name, body: reader.struct(0) };
}

class CompactReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  struct(depth: number): ThriftStruct {
    if (depth > DEPTH_MAX) throw new Error("it is nested too deep");
    const fields = new Map<number, ThriftValue>();
    for (let number = 0; ; ) {
      const head = this.byte();
      if (head === 0) return fields;
      const delta = head >> 4;
      number = delta === 0 ? Number(this.#zigzag()) : number + delta;
      const type = head & 0x0f;
      // A boolean's value is its type.
      fields.set(number, type === TRUE || type === FALSE ? type === TRUE : this.#value(type, depth));
    }
  }

  string(): string {
    const length = Number(this.varint());
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new Error("it ends too early");
    const text = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end;
    return text;
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new Error("a number is too long");
  }

  byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Error("it ends too early");
    this.#at += 1;
    return byte;
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      case TRUE:
      case FALSE:
        return this.byte() === TRUE;
      case BYTE:
        return this.byte();
      case I16:
      case I32:
        return Number(this.#zigzag());
      case I64:
        return this.#zigzag();
      case DOUBLE:
        this.#at += 8;
        if (this.#at > this.#bytes.length) throw new Error("it ends too early");
        return this.#bytes.readDoubleLE(this.#at - 8);
      case STRING:
        return this.string();
      case LIST:
      case SET:
        return this.#list(depth);
      case STRUCT:
        return this.struct(depth + 1);
      default:
        throw new Error(`there is no type ${type}`);
    }
  }

  #list(depth: number): readonly ThriftValue[] {
    const head = this.byte();
    const size = head >> 4 === 15 ? Number(this.varint()) : head >> 4;
    // Every value takes a byte at least.
    if (size > this.#bytes.length - this.#at) throw new Error("it ends too early");
    return Array.from({ length: size }, () => this.#value(head & 0x0f, depth + 1));
  }

  #zigzag(): bigint {
    const coded = this.varint();
    return (coded >> 1n) ^ -(coded & 1n);
  }
}
