// A queue of keys: what is added twice while it waits is done once, one key is never worked on twice at a time,
// and a key that fails comes back after a growing delay.

import { backoffMs } from "../base/backoff.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { BoundedQueue } from "../base/queue.ts";
import type { Random } from "../base/random.ts";
import { QUEUE_KEYS_MAX, QUEUE_PARALLEL_MAX, RETRY_BASE_MS, RETRY_FAILURES_MAX, RETRY_MAX_MS } from "./limits.ts";

export type Outcome =
  | { readonly kind: "done" }
  /** Nothing is wrong, but time alone will change the answer. */
  | { readonly kind: "again"; readonly afterMs: number }
  | { readonly kind: "failed"; readonly message: string };

export const DONE: Outcome = { kind: "done" };

export interface WorkQueueOptions {
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly reconcile: (key: string) => Promise<Outcome>;
  readonly onFailure: (failure: { readonly queue: string; readonly key: string; readonly message: string }) => void;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #ready = new BoundedQueue<string>(QUEUE_KEYS_MAX);
  readonly #waiting = new Set<string>();
  readonly #active = new Set<string>();
  /** Added again while being worked on: to be done once more afterwards. */
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, Timer>();
  readonly #failures = new Map<string, number>();
  #closed = false;
  #onIdle: (() => void) | undefined;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  add(key: string): void {
    if (this.#closed || this.#waiting.has(key)) return;
    if (this.#active.has(key)) {
      this.#again.add(key);
      return;
    }
    if (!this.#ready.push(key)) {
      this.#addAfter(key, RETRY_BASE_MS);
      return;
    }
    this.#waiting.add(key);
    queueMicrotask(() => this.#pump());
  }

  /** Resolves when what is being worked on is finished; nothing new is begun. */
  close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    if (this.#active.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onIdle = resolve;
    });
  }

  #addAfter(key: string, delayMs: number): void {
    if (this.#closed) return;
    this.#timers.get(key)?.cancel();
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(key);
      this.add(key);
    });
    this.#timers.set(key, timer);
  }

  #pump(): void {
    while (!this.#closed && this.#active.size < QUEUE_PARALLEL_MAX) {
      const key = this.#ready.shift();
      if (key === undefined) return;
      this.#waiting.delete(key);
      this.#active.add(key);
      void this.#work(key);
    }
  }

  async #work(key: string): Promise<void> {
    const outcome = await this.#reconcile(key);
    this.#active.delete(key);
    this.#settle(key, outcome);
    if (this.#again.delete(key)) this.add(key);
    this.#pump();
    if (this.#closed && this.#active.size === 0) this.#onIdle?.();
  }

  async #reconcile(key: string): Promise<Outcome> {
    try {
      return await this.#options.reconcile(key);
    } catch (error) {
      // A mistake in one controller must not end the cluster: it is told and tried again.
      return { kind: "failed", message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  }

  #settle(key: string, outcome: Outcome): void {
    if (outcome.kind !== "failed") {
      this.#failures.delete(key);
      if (outcome.kind === "again") this.#addAfter(key, outcome.afterMs);
      return;
    }
    const failures = Math.min((this.#failures.get(key) ?? 0) + 1, RETRY_FAILURES_MAX);
    this.#failures.set(key, failures);
    this.#options.onFailure({ queue: this.#options.name, key, message: outcome.message });
    this.#addAfter(
      key,
      backoffMs(failures, { baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, random: this.#options.random }),
    );
  }
}
