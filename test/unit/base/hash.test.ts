// Hashes as others compute them: published vectors, and a second implementation with big integers.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Hash64, hashModulo, murmurHash2, xxHash64 } from "../../../src/base/hash.ts";

const big = (hash: Hash64): bigint => (BigInt(hash.high) << 32n) | BigInt(hash.low);
const hex = (hash: Hash64): string => big(hash).toString(16).padStart(16, "0");

test("xxHash64 gives the published values", () => {
  assert.equal(hex(xxHash64("")), "ef46db3751d8e999");
  assert.equal(hex(xxHash64("a")), "d24ec4f1a98c6e5b");
  assert.equal(hex(xxHash64("abc")), "44bc2cf5ad770999");
  assert.equal(hex(xxHash64("Nobody inspects the spammish repetition")), "fbcea83c8a378bf1");
});

const MASK = (1n << 64n) - 1n;
const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;
const turn = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (64n - by))) & MASK;
const step = (lane: bigint, input: bigint): bigint => (turn((lane + input * P2) & MASK, 31n) * P1) & MASK;

function slowXxHash(bytes: Buffer, seed: bigint): bigint {
  let at = 0;
  let sum = (seed + P5) & MASK;
  if (bytes.length >= 32) {
    let lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map((lane) => lane & MASK);
    for (; at + 32 <= bytes.length; at += 32)
      lanes = lanes.map((lane, index) => step(lane, bytes.readBigUInt64LE(at + index * 8)));
    sum = lanes.reduce((total, lane, index) => total + turn(lane, [1n, 7n, 12n, 18n][index] ?? 0n), 0n) & MASK;
    for (const lane of lanes) sum = ((sum ^ step(0n, lane)) * P1 + P4) & MASK;
  }
  sum = (sum + BigInt(bytes.length)) & MASK;
  for (; at + 8 <= bytes.length; at += 8) sum = (turn(sum ^ step(0n, bytes.readBigUInt64LE(at)), 27n) * P1 + P4) & MASK;
  if (at + 4 <= bytes.length) {
    sum = (turn(sum ^ ((BigInt(bytes.readUInt32LE(at)) * P1) & MASK), 23n) * P2 + P3) & MASK;
    at += 4;
  }
  for (const byte of bytes.subarray(at)) sum = (turn(sum ^ ((BigInt(byte) * P5) & MASK), 11n) * P1) & MASK;
  sum = ((sum ^ (sum >> 33n)) * P2) & MASK;
  sum = ((sum ^ (sum >> 29n)) * P3) & MASK;
  return sum ^ (sum >> 32n);
}

function slowMurmur(bytes: Buffer): bigint {
  const by = 0xc6a4a7935bd1e995n;
  const mix = (value: bigint) => value ^ (value >> 47n);
  let hash = 0xc70f6907n ^ ((BigInt(bytes.length) * by) & MASK);
  let at = 0;
  for (; at + 8 <= bytes.length; at += 8) {
    const data = (mix((bytes.readBigUInt64LE(at) * by) & MASK) * by) & MASK;
    hash = ((hash ^ data) * by) & MASK;
  }
  if (at < bytes.length) {
    let rest = 0n;
    for (const byte of bytes.subarray(at).reverse()) rest = (rest << 8n) | BigInt(byte);
    hash = ((hash ^ rest) * by) & MASK;
  }
  return mix((mix(hash) * by) & MASK);
}

test("both hashes are those of big integers, for any bytes and seed", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.bigInt({ min: 0n, max: MASK }), (array, seed) => {
      const bytes = Buffer.from(array);
      const text = bytes.toString("latin1");
      const parts = { high: Number(seed >> 32n), low: Number(seed & 0xffffffffn) };
      assert.equal(big(xxHash64(text, parts)), slowXxHash(Buffer.from(bytes), seed));
      assert.equal(big(murmurHash2(text)), slowMurmur(Buffer.from(bytes)));
    }),
  );
});

test("the remainder of a hash is exact", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: MASK }), fc.integer({ min: 1, max: 8_388_608 }), (value, divisor) => {
      const hash = { high: Number(value >> 32n), low: Number(value & 0xffffffffn) };
      assert.equal(hashModulo(hash, divisor), Number(value % BigInt(divisor)));
    }),
  );
});
