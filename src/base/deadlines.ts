// Timeouts of requests: many at a time, of few lengths, nearly all of them cancelled. One list a length, in the order in
// which they fall due, and one timer for each list's first; setting and cancelling one is a few assignments.

import type { Clock, Timer } from "./clock.ts";

export interface DeadlineOwner {
  onDeadline(deadline: Deadline): void;
}

/** Lists kept; a length beyond them (clients may ask for lengths of their own) gets a timer to itself. */
const LENGTHS_MAX = 256;
/** A timer may come this much before its time, by the clocks' own grain. */
const GRAIN_MS = 1;

export class Deadline {
  readonly owner: DeadlineOwner;
  readonly dueMs: number;
  /** Set while it waits in a list. */
  list: List | undefined;
  before: Deadline | undefined;
  after: Deadline | undefined;
  alone: Timer | undefined;

  constructor(owner: DeadlineOwner, dueMs: number) {
    this.owner = owner;
    this.dueMs = dueMs;
  }

  cancel(): void {
    this.list?.remove(this);
    this.alone?.cancel();
  }
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #lists = new Map<number, List>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `owner.onDeadline` once after `afterMs`, unless it is cancelled before. */
  set(afterMs: number, owner: DeadlineOwner): Deadline {
    const deadline = new Deadline(owner, this.#clock.monotonicMs() + afterMs);
    const list = this.#lists.get(afterMs) ?? this.#newList(afterMs);
    if (list === undefined) deadline.alone = this.#clock.after(afterMs, () => owner.onDeadline(deadline));
    else list.add(deadline, afterMs);
    return deadline;
  }

  #newList(afterMs: number): List | undefined {
    if (this.#lists.size >= LENGTHS_MAX) this.#dropEmpty();
    if (this.#lists.size >= LENGTHS_MAX) return undefined;
    const list = new List(this.#clock);
    this.#lists.set(afterMs, list);
    return list;
  }

  #dropEmpty(): void {
    for (const [afterMs, list] of this.#lists) if (list.idle) this.#lists.delete(afterMs);
  }
}

class List {
  readonly #clock: Clock;
  #first: Deadline | undefined;
  #last: Deadline | undefined;
  #armed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get idle(): boolean {
    return this.#first === undefined && !this.#armed;
  }

  add(deadline: Deadline, afterMs: number): void {
    deadline.list = this;
    deadline.before = this.#last;
    if (this.#last === undefined) this.#first = deadline;
    else this.#last.after = deadline;
    this.#last = deadline;
    // A timer that is set for one that was cancelled meanwhile is left as it is: it looks at the list anew.
    if (!this.#armed) this.#arm(afterMs);
  }

  remove(deadline: Deadline): void {
    const { before, after } = deadline;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    deadline.list = undefined;
    deadline.before = undefined;
    deadline.after = undefined;
  }

  #arm(afterMs: number): void {
    this.#armed = true;
    this.#clock.after(afterMs, () => this.#fire());
  }

  #fire(): void {
    this.#armed = false;
    const nowMs = this.#clock.monotonicMs();
    for (let due = this.#first; due !== undefined && due.dueMs <= nowMs + GRAIN_MS; due = this.#first) {
      this.remove(due);
      due.owner.onDeadline(due);
    }
    if (this.#first !== undefined && !this.#armed) this.#arm(Math.max(1, this.#first.dueMs - nowMs));
  }
}
