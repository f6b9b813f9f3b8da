// A map that is never changed, only replaced: each version shares with the one that it was made from all but what differs,
// so that a change of one entry, and finding it between two versions, costs the same however many entries there are.

type Replaced<K, V> = ReadonlyMap<K, V | undefined>;

/** What a version's entries are laid over, and what became of the former one to make it. */
interface Ground<K, V> {
  readonly entries: ReadonlyMap<K, V>;
  readonly former: { readonly ground: WeakRef<object>; readonly replaced: readonly K[] } | undefined;
}

/** From so many replaced entries on, but for the root of all of them, a version gets a ground of its own. */
const REPLACED_MIN = 32;

export class VersionedMap<K, V extends object | string> implements ReadonlyMap<K, V> {
  readonly #ground: Ground<K, V>;
  /** Instead of the ground's; undefined: gone. */
  readonly #replaced: Replaced<K, V>;
  readonly size: number;

  private constructor(ground: Ground<K, V>, replaced: Replaced<K, V>, size: number) {
    this.#ground = ground;
    this.#replaced = replaced;
    this.size = size;
  }

  static of<K, V extends object | string>(entries: Iterable<readonly [K, V]>): VersionedMap<K, V> {
    if (entries instanceof VersionedMap) return entries;
    const map = new Map(entries);
    return new VersionedMap<K, V>({ entries: map, former: undefined }, new Map(), map.size);
  }

  /** Itself where nothing differs. A value of undefined takes the entry away. */
  with(changes: Iterable<readonly [K, V | undefined]>): VersionedMap<K, V> {
    const replaced = new Map(this.#replaced);
    let size = this.size;
    let differs = false;
    for (const [key, value] of changes) {
      const before = replaced.has(key) ? replaced.get(key) : this.#ground.entries.get(key);
      if (before === value) continue;
      differs = true;
      size += (value === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
      replaced.set(key, value);
    }
    if (!differs) return this;
    const made = new VersionedMap(this.#ground, replaced, size);
    return replaced.size < Math.max(REPLACED_MIN, Math.sqrt(size)) ? made : made.#grounded();
  }

  #grounded(): VersionedMap<K, V> {
    const former = { ground: new WeakRef<object>(this.#ground), replaced: [...this.#replaced.keys()] };
    return new VersionedMap<K, V>({ entries: new Map(this.entries()), former }, new Map(), this.size);
  }

  /** The keys whose values may differ; undefined where the two have nothing in common. */
  static #candidates<K, V extends object | string>(
    from: VersionedMap<K, V>,
    to: VersionedMap<K, V>,
  ): ReadonlySet<K> | undefined {
    const own = [...from.#replaced.keys(), ...to.#replaced.keys()];
    if (from.#ground === to.#ground) return new Set(own);
    const { former } = to.#ground;
    return former?.ground.deref() === from.#ground ? new Set([...own, ...former.replaced]) : undefined;
  }

  /** The keys of whose values two maps have different ones; of two versions of one map without looking at all of them. */
  static changes<K, V extends object | string>(from: ReadonlyMap<K, V>, to: ReadonlyMap<K, V>): readonly K[] {
    if (from === to) return [];
    const versions = from instanceof VersionedMap && to instanceof VersionedMap;
    const known: ReadonlySet<K> | undefined = versions ? VersionedMap.#candidates<K, V>(from, to) : undefined;
    const all = known ?? new Set([...from.keys(), ...to.keys()]);
    return [...all].filter((key) => from.get(key) !== to.get(key));
  }

  get(key: K): V | undefined {
    return this.#replaced.has(key) ? this.#replaced.get(key) : this.#ground.entries.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  *entries(): MapIterator<[K, V]> {
    const { entries } = this.#ground;
    for (const [key, value] of entries) {
      const current = this.#replaced.has(key) ? this.#replaced.get(key) : value;
      if (current !== undefined) yield [key, current];
    }
    for (const [key, value] of this.#replaced) if (value !== undefined && !entries.has(key)) yield [key, value];
  }

  *keys(): MapIterator<K> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries();
  }

  forEach(run: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) run(value, key, this);
  }
}
