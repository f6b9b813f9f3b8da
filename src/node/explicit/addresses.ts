// Loopback addresses for the explicit mode's pods: one 127.x.y.z each, in a /16 that this cluster alone holds.

import { createServer, type Server } from "node:net";

export interface AddressPool {
  /** Undefined when every address is taken. */
  take(): string | undefined;
  release(address: string): void;
  close(): Promise<void>;
}

/** Whoever listens here owns 127.N.0.0/16; the kernel gives it back when the owner dies, however that happens. */
const CLAIM_PORT = 15015;
const CLAIM_SUFFIX = "255.254";
const BLOCKS_MAX = 250;
const ADDRESSES_MAX = 255 * 250;

/** On systems whose loopback interface has only 127.0.0.1, every pod shares it and ports can clash. */
export async function openAddressPool(platform: NodeJS.Platform): Promise<AddressPool> {
  if (platform !== "linux") {
    return { take: () => "127.0.0.1", release: () => undefined, close: async () => undefined };
  }
  for (let block = 1; block <= BLOCKS_MAX; block += 1) {
    const claim = await listen(`127.${block}.${CLAIM_SUFFIX}`);
    if (claim !== undefined) return new BlockPool(block, claim);
  }
  return { take: () => undefined, release: () => undefined, close: async () => undefined };
}

class BlockPool implements AddressPool {
  readonly #block: number;
  readonly #claim: Server;
  readonly #taken = new Set<number>();
  /** Goes round, so that an address rests as long as possible before another pod gets it. */
  #next = 0;

  constructor(block: number, claim: Server) {
    this.#block = block;
    this.#claim = claim;
  }

  take(): string | undefined {
    for (let tries = 0; tries < ADDRESSES_MAX; tries += 1) {
      const index = this.#next;
      this.#next = (this.#next + 1) % ADDRESSES_MAX;
      if (this.#taken.has(index)) continue;
      this.#taken.add(index);
      return `127.${this.#block}.${Math.floor(index / 250)}.${(index % 250) + 1}`;
    }
    return undefined;
  }

  release(address: string): void {
    const [, , high, low] = address.split(".").map(Number);
    if (high !== undefined && low !== undefined) this.#taken.delete(high * 250 + low - 1);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#claim.close(() => resolve()));
  }
}

function listen(host: string): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", () => resolve(undefined));
    server.listen(CLAIM_PORT, host, () => {
      server.unref();
      resolve(server);
    });
  });
}
