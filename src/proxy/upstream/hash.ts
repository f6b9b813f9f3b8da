// Consistent hashing as Envoy does it, so that a key leads to the same host: a ring, and Maglev's table.

import { type Hash64, hashModulo, murmurHash2, xxHash64 } from "../../base/hash.ts";
import { HASH_TABLE_SIZE_MAX } from "../limits.ts";

export interface Weighted {
  readonly key: string;
  readonly weight: number;
}

/** Picks an index by hash; `attempt` moves on to another place, for retries on another host. */
export type HashPick = (hash: Hash64, attempt: number) => number;

export interface RingSize {
  readonly sizeMin: number;
  readonly sizeMax: number;
  readonly hash: "xx" | "murmur";
}

export function buildRing(hosts: readonly Weighted[], size: RingSize): HashPick {
  const total = hosts.reduce((sum, host) => sum + host.weight, 0);
  const lightest = Math.min(...hosts.map((host) => host.weight / total));
  // The lightest host gets a whole number of points.
  const scale = Math.min(Math.ceil(lightest * size.sizeMin) / lightest, size.sizeMax, HASH_TABLE_SIZE_MAX);
  const points: { hash: Hash64; index: number }[] = [];
  let wanted = 0;
  for (const [index, host] of hosts.entries()) {
    // Sums run on over all hosts, so that fractions of points are not lost.
    wanted += scale * (host.weight / total);
    for (let replica = 0; points.length < wanted; replica += 1) {
      const text = `${host.key}_${replica}`;
      points.push({ hash: size.hash === "xx" ? xxHash64(text) : murmurHash2(text), index });
    }
  }
  points.sort((a, b) => a.hash.high - b.hash.high || a.hash.low - b.hash.low);
  const high = Uint32Array.from(points, (point) => point.hash.high);
  const low = Uint32Array.from(points, (point) => point.hash.low);
  const indexes = Uint32Array.from(points, (point) => point.index);
  return (hash, attempt) => indexes[(lowerBound(high, low, hash) + attempt) % indexes.length] ?? 0;
}

/** The first place whose hash is not below; one past the end, which is the first again, when all are below. */
function lowerBound(high: Uint32Array, low: Uint32Array, hash: Hash64): number {
  let from = 0;
  let to = high.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    const upper = high[middle] ?? 0;
    if (upper < hash.high || (upper === hash.high && (low[middle] ?? 0) < hash.low)) from = middle + 1;
    else to = middle;
  }
  return from;
}

export function buildMaglev(hosts: readonly Weighted[], wantedSize: number): HashPick {
  const size = Math.min(wantedSize, HASH_TABLE_SIZE_MAX);
  const table = new Int32Array(size).fill(-1);
  const total = hosts.reduce((sum, host) => sum + host.weight, 0);
  const heaviest = Math.max(...hosts.map((host) => host.weight)) / total;
  const states = hosts.map((host) => ({
    place: hashModulo(xxHash64(host.key), size),
    skip: hashModulo(xxHash64(host.key, ONE), size - 1) + 1,
    target: 0,
    share: host.weight / total,
  }));
  let filled = 0;
  for (let round = 1; filled < size; round += 1) {
    for (const [index, state] of states.entries()) {
      if (filled >= size) break;
      // The heaviest host takes a place in every round, one of half its weight in every second.
      if (round * state.share < state.target) continue;
      state.target += heaviest;
      while (table[state.place] !== -1) state.place = (state.place + state.skip) % size;
      table[state.place] = index;
      state.place = (state.place + state.skip) % size;
      filled += 1;
    }
  }
  return (hash, attempt) => table[hashModulo(attempt === 0 ? hash : moved(hash, attempt), size)] ?? 0;
}

const ONE: Hash64 = { high: 0, low: 1 };

/** Another key for a retry: most bits turn over. */
function moved(hash: Hash64, attempt: number): Hash64 {
  return { high: ~hash.high >>> 0, low: (hash.low ^ (0xffffffff - attempt + 1)) >>> 0 };
}
