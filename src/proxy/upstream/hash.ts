// Consistent hashing: a 32-bit string hash, a ring, and Maglev's table.

import { HASH_TABLE_SIZE_MAX } from "../limits.ts";

/** FNV-1a with a final mix: stable over runs and machines, spread enough for rings. */
export function hashText(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let at = 0; at < text.length; at += 1) {
    hash ^= text.charCodeAt(at);
    hash = Math.imul(hash, 0x01000193);
  }
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

export interface Weighted {
  readonly key: string;
  readonly weight: number;
}

/** Picks an index by hash; `attempt` moves on to the next place, for retries on another host. */
export type HashPick = (hash: number, attempt: number) => number;

export function buildRing(hosts: readonly Weighted[], sizeMin: number, sizeMax: number): HashPick {
  const total = hosts.reduce((sum, host) => sum + host.weight, 0);
  const lightest = Math.min(...hosts.map((host) => host.weight / total));
  const scale = Math.min(Math.ceil(lightest * sizeMin) / lightest, sizeMax, HASH_TABLE_SIZE_MAX);
  const points: { hash: number; index: number }[] = [];
  for (const [index, host] of hosts.entries()) {
    const count = Math.max(1, Math.round((host.weight / total) * scale));
    for (let replica = 0; replica < count; replica += 1)
      points.push({ hash: hashText(`${host.key}_${replica}`), index });
  }
  points.sort((a, b) => a.hash - b.hash);
  return (hash, attempt) => {
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((points[middle]?.hash ?? 0) < hash) low = middle + 1;
      else high = middle;
    }
    return points[(low + attempt) % points.length]?.index ?? 0;
  };
}

export function buildMaglev(hosts: readonly Weighted[], wantedSize: number): HashPick {
  const size = Math.min(wantedSize, HASH_TABLE_SIZE_MAX);
  const table = new Int32Array(size).fill(-1);
  const heaviest = Math.max(...hosts.map((host) => host.weight));
  const states = hosts.map((host) => ({
    offset: hashText(host.key) % size,
    skip: (hashText(host.key, 0x9e3779b9) % (size - 1)) + 1,
    next: 0,
    target: 0,
    share: host.weight / heaviest,
  }));
  let filled = 0;
  for (let round = 1; filled < size; round += 1) {
    for (const [index, state] of states.entries()) {
      if (filled >= size) break;
      if (round * state.share < state.target) continue;
      state.target += 1;
      let place = (state.offset + state.skip * state.next) % size;
      while (table[place] !== -1) {
        state.next += 1;
        place = (state.offset + state.skip * state.next) % size;
      }
      table[place] = index;
      state.next += 1;
      filled += 1;
    }
  }
  return (hash, attempt) => table[(hash + attempt) % size] ?? 0;
}
