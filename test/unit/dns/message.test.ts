// The DNS codec: what it writes it reads back, and no bytes make it throw.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type DnsMessage, type DnsRecord, decodeMessage, encodeMessage } from "../../../src/dns/message.ts";

const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/);
const name = fc.array(label, { maxLength: 6 }).map((labels) => labels.join("."));
const uint16 = fc.integer({ min: 0, max: 0xffff });
const plain = { noNullPrototype: true } as const;
const question = fc.record({ name, type: uint16, class: uint16 }, plain);
const record: fc.Arbitrary<DnsRecord> = fc.record(
  {
    name,
    type: uint16,
    class: uint16,
    ttlSeconds: fc.integer({ min: 0, max: 0xffffffff }),
    data: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  },
  plain,
);
const records = fc.array(record, { maxLength: 5 });
const message: fc.Arbitrary<DnsMessage> = fc.record(
  {
    id: uint16,
    response: fc.boolean(),
    opcode: fc.integer({ min: 0, max: 15 }),
    authoritative: fc.boolean(),
    truncated: fc.boolean(),
    recursionDesired: fc.boolean(),
    recursionAvailable: fc.boolean(),
    responseCode: fc.integer({ min: 0, max: 15 }),
    questions: fc.array(question, { maxLength: 3 }),
    answers: records,
    authorities: records,
    additionals: records,
  },
  plain,
);

describe("DNS messages", () => {
  it("come back as they were written", () => {
    fc.assert(
      fc.property(message, (original) => {
        assert.deepEqual(decodeMessage(encodeMessage(original)), { ok: true, value: original });
      }),
    );
  });

  it("never throw, whatever the bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void decodeMessage(Buffer.from(bytes))));
  });

  it("never throw when a good message is damaged", () => {
    fc.assert(
      fc.property(message, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat(), (good, hits, cut) => {
        const bytes = encodeMessage(good);
        for (const [at, value] of hits) bytes[at % bytes.length] = value;
        decodeMessage(bytes.subarray(0, cut % (bytes.length + 1)));
      }),
    );
  });

  it("refuse a name that points to itself", () => {
    const bytes = Buffer.alloc(18);
    bytes.writeUInt16BE(1, 4);
    bytes.writeUInt16BE(0xc00c, 12);
    assert.equal(decodeMessage(bytes).ok, false);
  });
});
