// Earliest deadline first: turns in proportion to weights, evenly interleaved, with weights that may change from turn to turn.

interface Entry<Item> {
  readonly item: Item;
  deadline: number;
  order: number;
}

export class EdfScheduler<Item> {
  readonly #heap: Entry<Item>[] = [];
  readonly #weightOf: (item: Item) => number;
  #now = 0;
  #order = 0;

  /** `skip`: turns that are over already, so that not every proxy begins with the same host. */
  constructor(items: readonly Item[], weightOf: (item: Item) => number, skip: number) {
    this.#weightOf = weightOf;
    for (const item of items) this.#push({ item, deadline: this.#deadline(item), order: this.#order++ });
    for (let turn = 0; turn < skip; turn += 1) this.pick();
  }

  pick(): Item | undefined {
    const first = this.#heap[0];
    if (first === undefined) return undefined;
    this.#now = first.deadline;
    first.deadline = this.#deadline(first.item);
    first.order = this.#order++;
    this.#sink(0);
    return first.item;
  }

  #deadline(item: Item): number {
    return this.#now + 1 / this.#weightOf(item);
  }

  #push(entry: Entry<Item>): void {
    const heap = this.#heap;
    heap.push(entry);
    let at = heap.length - 1;
    while (at > 0) {
      const above = (at - 1) >>> 1;
      const parent = heap[above];
      if (parent === undefined || before(parent, entry)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = entry;
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const entry = heap[from];
    if (entry === undefined) return;
    let at = from;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const child = left !== undefined && right !== undefined && before(right, left) ? 2 * at + 2 : 2 * at + 1;
      const lesser = heap[child];
      if (lesser === undefined || before(entry, lesser)) break;
      heap[at] = lesser;
      at = child;
    }
    heap[at] = entry;
  }
}

function before(a: Entry<unknown>, b: Entry<unknown>): boolean {
  return a.deadline < b.deadline || (a.deadline === b.deadline && a.order < b.order);
}
