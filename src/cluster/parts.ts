// What was started so far: stopped in reverse when a later part fails, or when all ends.

export class Parts {
  readonly #stops: (() => Promise<void> | void)[] = [];
  readonly #warn: (message: string) => void;

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  add(stop: () => Promise<void> | void): void {
    this.#stops.push(stop);
  }

  /** Never rejects: a part that can't be stopped doesn't keep the others. */
  async stop(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        this.#warn(`while stopping: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
}
