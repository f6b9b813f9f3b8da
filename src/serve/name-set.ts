// Names that a proxy subscribes to. Proxies that want the same thousand names have one set of them, until one differs.

import { SHARED_NAMES_MIN } from "./limits.ts";

let latest: WeakRef<ReadonlySet<string>> | undefined;

export class NameSet {
  #names: Set<string> = new Set();
  #shared = false;

  get size(): number {
    return this.#names.size;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  values(): IterableIterator<string> {
    return this.#names.values();
  }

  add(names: readonly string[]): void {
    const fresh = names.filter((name) => !this.#names.has(name));
    if (fresh.length === 0) return;
    if (this.#names.size === 0 && fresh.length >= SHARED_NAMES_MIN) {
      const known = latest?.deref();
      this.#shared = true;
      if (known instanceof Set && known.size === fresh.length && fresh.every((name) => known.has(name))) {
        this.#names = known;
        return;
      }
      this.#names = new Set(fresh);
      latest = new WeakRef(this.#names);
      return;
    }
    this.#make();
    for (const name of fresh) this.#names.add(name);
  }

  delete(name: string): void {
    if (!this.#names.has(name)) return;
    this.#make();
    this.#names.delete(name);
  }

  /** Its own copy, which may be written to. */
  #make(): void {
    if (!this.#shared) return;
    this.#names = new Set(this.#names);
    this.#shared = false;
  }
}
