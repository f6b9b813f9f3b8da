// Hashes of 64 bits, as two halves, since numbers are exact to 53 bits only: xxHash64 and MurmurHash2 (64A).
// Text is taken byte for byte: one byte for each character up to U+00FF, which is what header values are.

export interface Hash64 {
  /** Upper 32 bits, unsigned. */
  readonly high: number;
  /** Lower 32 bits, unsigned. */
  readonly low: number;
}

// The accumulator of the function that runs: an object for every step would cost more than the arithmetic.
let high = 0;
let low = 0;

export function xxHash64(text: string, seed: Hash64 = ZERO): Hash64 {
  const { length } = text;
  let at = 0;
  if (length >= 32) {
    at = stripes(text, seed);
  } else {
    set(seed.high, seed.low);
    add(P5H, P5L);
  }
  add(0, length);
  for (; at + 8 <= length; at += 8) {
    const [accHigh, accLow] = [high, low];
    round(0, 0, text, at);
    xor(accHigh, accLow);
    rotate(27);
    multiply(P1H, P1L);
    add(P4H, P4L);
  }
  if (at + 4 <= length) {
    const [accHigh, accLow] = [high, low];
    set(0, word(text, at));
    multiply(P1H, P1L);
    xor(accHigh, accLow);
    rotate(23);
    multiply(P2H, P2L);
    add(P3H, P3L);
    at += 4;
  }
  for (; at < length; at += 1) {
    const [accHigh, accLow] = [high, low];
    set(0, text.charCodeAt(at) & 0xff);
    multiply(P5H, P5L);
    xor(accHigh, accLow);
    rotate(11);
    multiply(P1H, P1L);
  }
  shiftXor(33);
  multiply(P2H, P2L);
  shiftXor(29);
  multiply(P3H, P3L);
  shiftXor(32);
  return { high, low };
}

/** As libstdc++ hashes strings, with its seed. */
export function murmurHash2(text: string): Hash64 {
  const { length } = text;
  set(0, length);
  multiply(MURMUR_HIGH, MURMUR_LOW);
  xor(0, MURMUR_SEED);
  let at = 0;
  for (; at + 8 <= length; at += 8) {
    const [accHigh, accLow] = [high, low];
    set(word(text, at + 4), word(text, at));
    multiply(MURMUR_HIGH, MURMUR_LOW);
    shiftXor(47);
    multiply(MURMUR_HIGH, MURMUR_LOW);
    xor(accHigh, accLow);
    multiply(MURMUR_HIGH, MURMUR_LOW);
  }
  if (at < length) {
    let restHigh = 0;
    let restLow = 0;
    for (let index = length - 1; index >= at; index -= 1) {
      restHigh = ((restHigh << 8) | (restLow >>> 24)) >>> 0;
      restLow = ((restLow << 8) | (text.charCodeAt(index) & 0xff)) >>> 0;
    }
    xor(restHigh, restLow);
    multiply(MURMUR_HIGH, MURMUR_LOW);
  }
  shiftXor(47);
  multiply(MURMUR_HIGH, MURMUR_LOW);
  shiftXor(47);
  return { high, low };
}

/** The remainder by a divisor of at most 2^32, exactly. */
export function hashModulo(hash: Hash64, divisor: number): number {
  const upper = hash.high % divisor;
  // In two steps of 16 bits, so that nothing exceeds 2^53.
  const middle = (upper * 65_536 + (hash.low >>> 16)) % divisor;
  return (middle * 65_536 + (hash.low & 0xffff)) % divisor;
}

const ZERO: Hash64 = { high: 0, low: 0 };
const [P1H, P1L] = [0x9e3779b1, 0x85ebca87];
const [P2H, P2L] = [0xc2b2ae3d, 0x27d4eb4f];
const [P3H, P3L] = [0x165667b1, 0x9e3779f9];
const [P4H, P4L] = [0x85ebca77, 0xc2b2ae63];
const [P5H, P5L] = [0x27d4eb2f, 0x165667c5];
const [MURMUR_HIGH, MURMUR_LOW] = [0xc6a4a793, 0x5bd1e995];
const MURMUR_SEED = 0xc70f6907;

/** The part that takes 32 bytes at a time, in four lanes; leaves their merger in the accumulator. */
function stripes(text: string, seed: Hash64): number {
  set(seed.high, seed.low);
  add(P1H, P1L);
  add(P2H, P2L);
  let [aHigh, aLow] = [high, low];
  set(seed.high, seed.low);
  add(P2H, P2L);
  let [bHigh, bLow] = [high, low];
  let [cHigh, cLow] = [seed.high, seed.low];
  set(seed.high, seed.low);
  // Minus P1.
  add(~P1H >>> 0, ~P1L >>> 0);
  add(0, 1);
  let [dHigh, dLow] = [high, low];
  let at = 0;
  for (; at + 32 <= text.length; at += 32) {
    round(aHigh, aLow, text, at);
    [aHigh, aLow] = [high, low];
    round(bHigh, bLow, text, at + 8);
    [bHigh, bLow] = [high, low];
    round(cHigh, cLow, text, at + 16);
    [cHigh, cLow] = [high, low];
    round(dHigh, dLow, text, at + 24);
    [dHigh, dLow] = [high, low];
  }
  set(aHigh, aLow);
  rotate(1);
  let [sumHigh, sumLow] = [high, low];
  for (const [laneHigh, laneLow, turn] of [
    [bHigh, bLow, 7],
    [cHigh, cLow, 12],
    [dHigh, dLow, 18],
  ] as const) {
    set(laneHigh, laneLow);
    rotate(turn);
    add(sumHigh, sumLow);
    [sumHigh, sumLow] = [high, low];
  }
  for (const [laneHigh, laneLow] of [
    [aHigh, aLow],
    [bHigh, bLow],
    [cHigh, cLow],
    [dHigh, dLow],
  ] as const) {
    set(laneHigh, laneLow);
    multiply(P2H, P2L);
    rotate(31);
    multiply(P1H, P1L);
    xor(sumHigh, sumLow);
    multiply(P1H, P1L);
    add(P4H, P4L);
    [sumHigh, sumLow] = [high, low];
  }
  return at;
}

/** The accumulator becomes (lane + bytes × P2) turned by 31, × P1. */
function round(laneHigh: number, laneLow: number, text: string, at: number): void {
  set(word(text, at + 4), word(text, at));
  multiply(P2H, P2L);
  add(laneHigh, laneLow);
  rotate(31);
  multiply(P1H, P1L);
}

function word(text: string, at: number): number {
  return (
    ((text.charCodeAt(at) & 0xff) |
      ((text.charCodeAt(at + 1) & 0xff) << 8) |
      ((text.charCodeAt(at + 2) & 0xff) << 16) |
      ((text.charCodeAt(at + 3) & 0xff) << 24)) >>>
    0
  );
}

function set(toHigh: number, toLow: number): void {
  high = toHigh;
  low = toLow;
}

function add(byHigh: number, byLow: number): void {
  const sum = low + byLow;
  high = (high + byHigh + (sum > 0xffffffff ? 1 : 0)) >>> 0;
  low = sum >>> 0;
}

function xor(byHigh: number, byLow: number): void {
  high = (high ^ byHigh) >>> 0;
  low = (low ^ byLow) >>> 0;
}

/** By less than 32. */
function rotate(by: number): void {
  const up = ((high << by) | (low >>> (32 - by))) >>> 0;
  low = ((low << by) | (high >>> (32 - by))) >>> 0;
  high = up;
}

/** Exclusive or with itself moved down. */
function shiftXor(by: number): void {
  if (by >= 32) low = (low ^ (high >>> (by - 32))) >>> 0;
  else {
    low = (low ^ ((low >>> by) | (high << (32 - by)))) >>> 0;
    high = (high ^ (high >>> by)) >>> 0;
  }
}

function multiply(byHigh: number, byLow: number): void {
  const [a0, a1, b0, b1] = [low & 0xffff, low >>> 16, byLow & 0xffff, byLow >>> 16];
  const [p00, p01, p10] = [a0 * b0, a0 * b1, a1 * b0];
  const middle = (p00 >>> 16) + (p01 & 0xffff) + (p10 & 0xffff);
  const crossed = Math.imul(high, byLow) + Math.imul(low, byHigh);
  high = (a1 * b1 + (p01 >>> 16) + (p10 >>> 16) + (middle >>> 16) + crossed) >>> 0;
  low = ((middle << 16) | (p00 & 0xffff)) >>> 0;
}
