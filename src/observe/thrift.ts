// Thrift's compact protocol, as far as the Jaeger agent's messages need it.

export const TRUE = 1;
export const I32 = 5;
export const I64 = 6;
export const STRING = 8;
export const LIST = 9;
export const STRUCT = 12;

const PROTOCOL = 0x82;
/** Version 1 in the low bits, the message type "oneway" in the high ones. */
const ONEWAY = 0x81;

export class CompactWriter {
  #bytes = Buffer.allocUnsafe(512);
  #length = 0;
  /** The last field's number in each struct that is open. */
  #fields: number[] = [];

  oneway(name: string): void {
    this.#byte(PROTOCOL);
    this.#byte(ONEWAY);
    this.#varint(0n);
    this.string(name);
    // The arguments are a struct.
    this.beginStruct();
  }

  beginStruct(): void {
    this.#fields.push(0);
  }

  endStruct(): void {
    this.#fields.pop();
    this.#byte(0);
  }

  field(type: number, number: number): void {
    const delta = number - (this.#fields.at(-1) ?? 0);
    this.#byte((delta << 4) | type);
    this.#passed(number);
  }

  #passed(number: number): void {
    this.#fields[this.#fields.length - 1] = number;
  }

  list(type: number, size: number): void {
    if (size < 15) this.#byte((size << 4) | type);
    else {
      this.#byte(0xf0 | type);
      this.#varint(BigInt(size));
    }
  }

  string(text: string): void {
    const bytes = Buffer.from(text);
    this.#varint(BigInt(bytes.length));
    this.raw(bytes);
  }

  integer(value: number): void {
    this.#zigzag(BigInt(value));
  }

  /** Sixteen hexadecimal digits as the 64 bits that they are. */
  hex64(digits: string): void {
    this.#zigzag(BigInt.asIntN(64, BigInt(`0x${digits}`)));
  }

  raw(bytes: Buffer): void {
    this.#reserve(bytes.length);
    bytes.copy(this.#bytes, this.#length);
    this.#length += bytes.length;
  }

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #zigzag(value: bigint): void {
    this.#varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
  }

  #varint(value: bigint): void {
    let rest = value;
    while (rest > 0x7fn) {
      this.#byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#byte(Number(rest));
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = byte;
    this.#length += 1;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + more));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}
