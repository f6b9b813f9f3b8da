// The priorities that a request's tries have led to: after so many tries, others come first.

export class PriorityTrail {
  /** Left out until none is left otherwise. */
  excluded: ReadonlySet<number> = new Set();
  readonly #frequency: number;
  #tried: number[] = [];

  constructor(frequency: number) {
    this.#frequency = frequency;
  }

  onTried(priority: number): void {
    this.#tried.push(priority);
    if (this.#tried.length < this.#frequency) return;
    this.excluded = new Set([...this.excluded, ...this.#tried]);
    this.#tried = [];
  }

  /** Every priority has had its turn: all may be taken again. */
  restart(): void {
    this.excluded = new Set();
  }
}
