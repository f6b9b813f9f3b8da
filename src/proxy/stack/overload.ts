// How much of what comes is turned away at the moment, so that the process lives: shares from 0 to 1, written by whoever
// watches the memory, read once a request and once a connection.

import type { Random } from "../../base/random.ts";
import { CONNECTIONS_BEFORE_LOOK } from "../limits.ts";

export class Overload {
  refuseRequests = 0;
  refuseConnections = 0;
  endKeepAlive = 0;
  /** Looks at the memory at once. */
  look: (() => void) | undefined;
  readonly #random: Random;
  #accepted = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get refusesRequest(): boolean {
    return this.refuseRequests > 0 && this.#random() < this.refuseRequests;
  }

  /** Asked for each that comes. Connections are what memory goes to, and many of them may come before a timer is due. */
  refusesConnection(): boolean {
    this.#accepted += 1;
    if (this.#accepted % CONNECTIONS_BEFORE_LOOK === 0) this.look?.();
    return this.refuseConnections > 0 && this.#random() < this.refuseConnections;
  }

  get endsKeepAlive(): boolean {
    return this.endKeepAlive > 0 && this.#random() < this.endKeepAlive;
  }
}
