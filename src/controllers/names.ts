// Names and hashes that look like Kubernetes' own: letters that form no words.

import type { Random } from "../base/random.ts";

const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const GENERATED_LENGTH = 5;
const NAME_PREFIX_MAX = 63 - GENERATED_LENGTH;

export function generatedName(prefix: string, random: Random): string {
  let suffix = "";
  for (let index = 0; index < GENERATED_LENGTH; index += 1) {
    suffix += ALPHABET[Math.floor(random() * ALPHABET.length)] ?? "x";
  }
  return `${prefix.slice(0, NAME_PREFIX_MAX)}${suffix}`;
}

/** FNV-1a of the text, in the alphabet of names. */
export function shortHash(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) {
    hash ^= byte;
    hash = Math.imul(hash, 0x01000193) >>> 0;
  }
  return String(hash)
    .split("")
    .map((digit) => ALPHABET[Number(digit) * 2 + 1] ?? "x")
    .join("");
}
