// Reads any message of Thrift's compact protocol into plain data, by the protocol's own description: fields by their numbers.

export type ThriftValue = boolean | number | bigint | string | readonly ThriftValue[] | ThriftStruct;
export type ThriftStruct = ReadonlyMap<number, ThriftValue>;

export interface ThriftMessage {
  readonly type: number;
  readonly name: string;
  readonly body: ThriftStruct;
}

export function readMessage(bytes: Buffer): ThriftMessage {
  const reader = new Reader(bytes);
  const message = reader.message();
  if (!reader.atEnd) throw new Error("there are bytes behind the message");
  return message;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  message(): ThriftMessage {
    if (this.#byte() !== 0x82) throw new Error("not the compact protocol");
    const head = this.#byte();
    if ((head & 0x1f) !== 1) throw new Error(`version ${head & 0x1f}`);
    this.#varint();
    const name = this.#string();
    return { type: head >> 5, name, body: this.#struct() };
  }

  #struct(): ThriftStruct {
    const fields = new Map<number, ThriftValue>();
    let number = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return fields;
      const delta = head >> 4;
      number = delta === 0 ? Number(this.#zigzag()) : number + delta;
      const type = head & 0x0f;
      fields.set(number, type === 1 || type === 2 ? type === 1 : this.#value(type));
    }
  }

  #value(type: number): ThriftValue {
    switch (type) {
      case 1:
      case 2:
        return this.#byte() === 1;
      case 3:
        return this.#bytes.readInt8(this.#at++);
      case 4:
      case 5:
        return Number(this.#zigzag());
      case 6:
        return this.#zigzag();
      case 7: {
        this.#at += 8;
        return this.#bytes.readDoubleLE(this.#at - 8);
      }
      case 8:
        return this.#string();
      case 9:
      case 10: {
        const head = this.#byte();
        const size = head >> 4 === 15 ? Number(this.#varint()) : head >> 4;
        return Array.from({ length: size }, () => this.#value(head & 0x0f));
      }
      case 12:
        return this.#struct();
      default:
        throw new Error(`type ${type}`);
    }
  }

  #string(): string {
    const length = Number(this.#varint());
    this.#at += length;
    return this.#bytes.toString("utf8", this.#at - length, this.#at);
  }

  #zigzag(): bigint {
    const coded = this.#varint();
    return (coded >> 1n) ^ -(coded & 1n);
  }

  #varint(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw new Error("the message ends too early");
    this.#at += 1;
    return byte;
  }
}
