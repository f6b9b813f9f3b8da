// How many pods start at the same time: all at once they would starve what already serves, and each other.

import type { Clock, Timer } from "../base/clock.ts";
import { START_HOLD_MS } from "./limits.ts";

/** A pod's turn to start. Given back by whoever has it, or taken back after a while: a pod may wait for something else. */
export interface Turn {
  readonly isHeld: boolean;
  release(): void;
}

export class StartGate {
  readonly #clock: Clock;
  readonly #placesMax: number;
  #held = 0;
  /** As many as there are pods, at most. */
  readonly #waiting: (() => void)[] = [];

  constructor(clock: Clock, placesMax: number) {
    this.#clock = clock;
    this.#placesMax = placesMax;
  }

  /** In the order of asking. */
  ask(onTurn: () => void): Turn {
    let state: "waiting" | "held" | "released" = "waiting";
    let timer: Timer | undefined;
    const release = (): void => {
      if (state === "held") this.#held -= 1;
      state = "released";
      timer?.cancel();
      this.#next();
    };
    this.#waiting.push(() => {
      if (state !== "waiting") return;
      state = "held";
      this.#held += 1;
      timer = this.#clock.after(START_HOLD_MS, release);
      onTurn();
    });
    this.#next();
    return {
      get isHeld() {
        return state !== "waiting";
      },
      release,
    };
  }

  #next(): void {
    while (this.#held < this.#placesMax) {
      const begin = this.#waiting.shift();
      if (begin === undefined) return;
      begin();
    }
  }
}
