// Writes that follow the newest state: one run at a time, and one more when there was a change meanwhile.

export class SerialRun {
  readonly #run: () => Promise<void>;
  #running = false;
  #again = false;
  #stopped = false;

  /** `run` reads the state as it is then, and looks at `isStopped` between its writes. */
  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  trigger(): void {
    if (this.#running) this.#again = true;
    else void this.#loop();
  }

  stop(): void {
    this.#stopped = true;
  }

  async #loop(): Promise<void> {
    this.#running = true;
    do {
      this.#again = false;
      await this.#run();
    } while (this.#again && !this.#stopped);
    this.#running = false;
  }
}
