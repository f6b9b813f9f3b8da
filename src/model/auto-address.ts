// Addresses for the hosts of ServiceEntries that have none, so that a client which asks the mesh's DNS gets one to call.
// What an entry's status says stands; the rest follows from names alone, so that every replica chooses the same.

import { isIPv4 } from "node:net";
import type { ServiceEntry } from "../api/istio/service-entry.ts";
import { byAge } from "./finding.ts";

export interface HostAddress {
  readonly value: string;
  readonly host: string;
}

export interface Allocation {
  /** Of one host of an entry: IPv4 first. */
  addressesOf(entry: ServiceEntry, host: string): readonly string[];
  /** What the status of each entry should say, by `namespace/name`; of entries that get none, nothing. */
  readonly wanted: ReadonlyMap<string, readonly HostAddress[]>;
}

/** Opts an entry out. */
const LABEL = "networking.istio.io/enable-autoallocate-ip";

export function allocateAddresses(entries: ReadonlyMap<string, ServiceEntry>): Allocation {
  const taken = new Set<number>();
  const numbers = new Map<string, number>();
  const eligible = [...entries.values()].filter(isEligible).sort(byAge);
  for (const entry of eligible) {
    for (const host of hostsOf(entry)) {
      const number = writtenNumber(entry, host);
      if (number === undefined || taken.has(number)) continue;
      taken.add(number);
      numbers.set(keyOf(entry, host), number);
    }
  }
  for (const entry of eligible) {
    for (const host of hostsOf(entry)) {
      const key = keyOf(entry, host);
      const number = numbers.has(key) ? undefined : freeNumber(key, taken);
      if (number === undefined) continue;
      taken.add(number);
      numbers.set(key, number);
    }
  }
  const addressesOf = (entry: ServiceEntry, host: string): readonly string[] => {
    const number = numbers.get(keyOf(entry, host));
    return number === undefined ? [] : [v4(number), v6(number)];
  };
  const wanted = new Map(
    eligible.map((entry) => [
      `${entry.metadata.namespace ?? ""}/${entry.metadata.name}`,
      hostsOf(entry).flatMap((host) => addressesOf(entry, host).map((value) => ({ value, host }))),
    ]),
  );
  return { addressesOf, wanted };
}

/** A host that is called by whatever address it has, or that stands for many, gets none. */
function isEligible({ spec, metadata }: ServiceEntry): boolean {
  if (metadata.labels?.[LABEL] === "false") return false;
  const resolution = spec.resolution ?? "NONE";
  return (spec.addresses ?? []).length === 0 && resolution !== "NONE" && resolution !== "DYNAMIC_DNS";
}

function hostsOf({ spec }: ServiceEntry): readonly string[] {
  return spec.hosts.map((host) => host.toLowerCase()).filter((host) => !host.startsWith("*"));
}

function keyOf({ metadata }: ServiceEntry, host: string): string {
  return `${metadata.namespace ?? ""}/${metadata.name}/${host}`;
}

/** 240.240.0.0/16 without the addresses that end in 0 or 255. */
function isUsable(number: number): boolean {
  const last = number & 255;
  return last !== 0 && last !== 255;
}

function v4(number: number): string {
  return `240.240.${number >> 8}.${number & 255}`;
}

function v6(number: number): string {
  return `2001:2::f0f0:${number.toString(16)}`;
}

function writtenNumber({ status }: ServiceEntry, host: string): number | undefined {
  const written = status?.addresses?.find((each) => each.host === host && isIPv4(each.value ?? ""))?.value;
  const [first, second, high = 0, low = 0] = (written ?? "").split(".").map(Number);
  const number = high * 256 + low;
  return first === 240 && second === 240 && isUsable(number) ? number : undefined;
}

const NUMBERS = 65_536;

/** From where its name's hash says on, the first that is free; undefined: all are taken. */
function freeNumber(key: string, taken: ReadonlySet<number>): number | undefined {
  const start = hashOf(key) % NUMBERS;
  for (let step = 0; step < NUMBERS; step++) {
    const number = (start + step) % NUMBERS;
    if (isUsable(number) && !taken.has(number)) return number;
  }
  return undefined;
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
