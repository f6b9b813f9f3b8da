// A message's header lines in the order they came: names in lower case, flat in one array (name, value, name, value, …).

export class HeaderList {
  raw: string[];
  /**
   * A bit for each length (modulo 32) that a name had: most of the names that are asked for are absent, and few names are
   * equally long. Bits stay when names go, so that a clear bit says "not there" and a set one nothing.
   */
  #lengths = 0;

  constructor(raw: string[] = []) {
    this.raw = raw;
    for (let at = 0; at < raw.length; at += 2) this.#lengths |= 1 << (raw[at]?.length ?? 0);
  }

  /** The first value. */
  get(name: string): string | undefined {
    if ((this.#lengths & (1 << name.length)) === 0) return undefined;
    const { raw } = this;
    for (let at = 0; at < raw.length; at += 2) if (raw[at] === name) return raw[at + 1];
    return undefined;
  }

  /** Every value, joined by commas: what a matcher sees of a repeated header. */
  joined(name: string): string | undefined {
    if ((this.#lengths & (1 << name.length)) === 0) return undefined;
    const { raw } = this;
    let value: string | undefined;
    for (let at = 0; at < raw.length; at += 2) {
      if (raw[at] === name) value = value === undefined ? raw[at + 1] : `${value},${raw[at + 1]}`;
    }
    return value;
  }

  /** Whether one of the values passes; undefined: there is none. */
  some(name: string, passes: (value: string) => boolean): boolean | undefined {
    const { raw } = this;
    let found: boolean | undefined;
    for (let at = 0; at < raw.length; at += 2) {
      if (raw[at] !== name) continue;
      if (passes(raw[at + 1] ?? "")) return true;
      found = false;
    }
    return found;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  add(name: string, value: string): void {
    this.#lengths |= 1 << name.length;
    this.raw.push(name, value);
  }

  /** Replaces the first value in its place and drops the others; adds where there is none. */
  set(name: string, value: string): void {
    const { raw } = this;
    const bit = 1 << name.length;
    if ((this.#lengths & bit) === 0) {
      this.add(name, value);
      return;
    }
    for (let at = 0; at < raw.length; at += 2) {
      if (raw[at] !== name) continue;
      raw[at + 1] = value;
      this.#removeFrom(name, at + 2);
      return;
    }
    raw.push(name, value);
  }

  /** Appends to an existing value with a comma, as Envoy does for the headers it knows. */
  append(name: string, value: string, between = ","): void {
    const { raw } = this;
    const bit = 1 << name.length;
    if ((this.#lengths & bit) === 0) {
      this.add(name, value);
      return;
    }
    for (let at = 0; at < raw.length; at += 2) {
      if (raw[at] !== name) continue;
      raw[at + 1] = raw[at + 1] === "" ? value : `${raw[at + 1]}${between}${value}`;
      return;
    }
    raw.push(name, value);
  }

  remove(name: string): void {
    if ((this.#lengths & (1 << name.length)) !== 0) this.#removeFrom(name, 0);
  }

  removeMatching(matches: (name: string) => boolean): void {
    this.raw = this.raw.filter((_, at, raw) => !matches(raw[at - (at % 2)] ?? ""));
  }

  clone(): HeaderList {
    return new HeaderList(this.raw.slice());
  }

  #removeFrom(name: string, start: number): void {
    const { raw } = this;
    let to = start;
    for (let at = start; at < raw.length; at += 2) {
      if (raw[at] === name) continue;
      if (to !== at) {
        raw[to] = raw[at] ?? "";
        raw[to + 1] = raw[at + 1] ?? "";
      }
      to += 2;
    }
    if (to !== raw.length) raw.length = to;
  }
}
