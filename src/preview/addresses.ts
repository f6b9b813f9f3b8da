// Addresses for what has none yet: by name, so that one more pod or Service leaves the others' as they were. Pure.

import { xxHash64 } from "../base/hash.ts";

/** The first few of each network are kept for well-known services. */
const FIRST = 16;
const LAST = 65_534;

/** Of 10.244.0.0/16 (pods) or 10.96.0.0/16 (Services), as the local cluster and most others have them. */
export class Addresses {
  readonly #network: string;
  readonly #taken: Set<string>;

  constructor(network: "10.244" | "10.96", taken: Iterable<string>) {
    this.#network = network;
    this.#taken = new Set(taken);
  }

  /** Beyond the network's 65,519 addresses the first one is given again. */
  give(name: string): string {
    const count = LAST - FIRST + 1;
    const start = xxHash64(name).low % count;
    for (let offset = 0; offset < count; offset++) {
      const host = FIRST + ((start + offset) % count);
      const address = `${this.#network}.${host >> 8}.${host & 255}`;
      if (this.#taken.has(address)) continue;
      this.#taken.add(address);
      return address;
    }
    return `${this.#network}.0.${FIRST}`;
  }
}
