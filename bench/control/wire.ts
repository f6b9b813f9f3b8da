// As much of discovery's messages as a counting client needs: names, nonces and sizes, without decoding resources.

/** What one response holds. `names` are slices of its bytes. */
export interface Seen {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  readonly names: readonly Buffer[];
  /** Route configurations whose virtual hosts come by themselves. */
  readonly apart: readonly Buffer[];
}

interface Field {
  readonly number: number;
  readonly bytes: Buffer;
}

/** The length-delimited fields of a message, in their order. */
function fieldsOf(message: Buffer): readonly Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const wire = tag & 7;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else {
      const length = varint();
      fields.push({ number: tag >>> 3, bytes: message.subarray(at, at + length) });
      at += length;
    }
  }
  return fields;
}

const NOTHING = Buffer.alloc(0);

function field(fields: readonly Field[], number: number): Buffer {
  return fields.find((each) => each.number === number)?.bytes ?? NOTHING;
}

const ROUTE = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
const VHDS_FIELD = 9;

export function readDelta(message: Buffer): Seen {
  const fields = fieldsOf(message);
  const typeUrl = field(fields, 4).toString("latin1");
  const resources = fields.filter(({ number }) => number === 2).map(({ bytes }) => fieldsOf(bytes));
  return {
    typeUrl,
    nonce: field(fields, 5).toString("latin1"),
    version: "",
    names: resources.map((resource) => field(resource, 3)),
    apart:
      typeUrl === ROUTE
        ? resources.filter((resource) => isApart(field(resource, 2))).map((resource) => field(resource, 3))
        : [],
  };
}

function isApart(any: Buffer): boolean {
  return fieldsOf(field(fieldsOf(any), 2)).some(({ number }) => number === VHDS_FIELD);
}

/** A resource's name is the first field of each of the four types. */
export function readState(message: Buffer): Seen {
  const fields = fieldsOf(message);
  return {
    typeUrl: field(fields, 4).toString("latin1"),
    nonce: field(fields, 5).toString("latin1"),
    version: field(fields, 1).toString("latin1"),
    names: fields
      .filter(({ number }) => number === 2)
      .map(({ bytes }) => field(fieldsOf(field(fieldsOf(bytes), 2)), 1)),
    apart: [],
  };
}

export function textField(number: number, value: Uint8Array | string): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  const head = [(number << 3) | 2];
  let length = bytes.length;
  for (; length > 127; length >>>= 7) head.push((length & 127) | 128);
  head.push(length);
  return Buffer.concat([Buffer.from(head), bytes]);
}

const HEAD = 5;

export function frame(fields: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(
    fields.reduce((sum, each) => sum + each.length, 0),
    1,
  );
  return Buffer.concat([head, ...fields]);
}

/** gRPC messages out of the chunks that they arrive in. */
export class Deframer {
  #chunks: Buffer[] = [];
  #length = 0;

  push(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    while (this.#length >= HEAD) {
      const wanted = HEAD + this.#peekLength();
      if (this.#length < wanted) return;
      const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks, this.#length);
      if (all === undefined) return;
      this.#chunks = all.length > wanted ? [all.subarray(wanted)] : [];
      this.#length = all.length - wanted;
      onMessage(all.subarray(HEAD, wanted));
    }
  }

  #peekLength(): number {
    let [first] = this.#chunks;
    if (first === undefined) return 0;
    if (first.length < HEAD) {
      first = Buffer.concat(this.#chunks, this.#length);
      this.#chunks = [first];
    }
    return first.readUInt32BE(1);
  }
}
