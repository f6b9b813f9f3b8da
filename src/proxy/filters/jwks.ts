// The keys that tokens are verified with: given in the configuration, or fetched through a cluster and kept for a time.

import { backoffMs } from "../../base/backoff.ts";
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { HeaderList } from "../codec/headers.ts";
import { type KeySet, readKeySet } from "../compile/jwks.ts";
import type { KeySource, RemoteKeys } from "../compile/jwt.ts";
import { JWKS_BYTES_MAX, JWKS_WAITING_MAX } from "../limits.ts";
import type { Caller, CallResult } from "./caller.ts";

export interface KeysAround {
  readonly clock: Clock;
  readonly random: Random;
  readonly caller: Caller;
  onFetched(outcome: "success" | "failed"): void;
}

export class KeyStore {
  readonly #source: KeySource;
  readonly #around: KeysAround;
  #set: KeySet | undefined;
  #expiresMs = Number.POSITIVE_INFINITY;
  #fetching: (() => void) | undefined;
  #waiting: ((set: KeySet | undefined) => void)[] = [];
  #timer: { cancel(): void } | undefined;
  #closed = false;

  constructor(source: KeySource, around: KeysAround) {
    this.#source = source;
    this.#around = around;
    if (source.kind === "local") this.#set = source.set;
    else if (source.ahead) this.#timer = around.clock.after(0, () => this.#fetch(source));
  }

  /** The keys if they are there now. */
  get current(): KeySet | undefined {
    return this.#around.clock.monotonicMs() < this.#expiresMs ? this.#set : undefined;
  }

  /** Waits for keys; returns what gives the waiting up. Many who wait share one fetch. */
  wait(done: (set: KeySet | undefined) => void): () => void {
    const source = this.#source;
    if (source.kind === "local" || this.#closed || this.#waiting.length >= JWKS_WAITING_MAX) {
      done(undefined);
      return () => undefined;
    }
    this.#waiting.push(done);
    if (this.#fetching === undefined) this.#fetch(source);
    return () => {
      this.#waiting = this.#waiting.filter((one) => one !== done);
    };
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#fetching?.();
    this.#settle(undefined);
  }

  #fetch(source: RemoteKeys, tries = 0): void {
    this.#timer?.cancel();
    this.#fetching = this.#around.caller.call(
      {
        cluster: source.cluster,
        method: "GET",
        path: source.path,
        authority: source.authority,
        headers: new HeaderList(),
        body: undefined,
        timeoutMs: source.timeoutMs,
        responseBytesMax: JWKS_BYTES_MAX,
      },
      (result) => this.#onResult(source, tries, result),
    );
  }

  #onResult(source: RemoteKeys, tries: number, result: CallResult): void {
    const { clock, random } = this.#around;
    if (tries < source.retries && (result.kind === "failed" || result.status >= 500)) {
      const delayMs = backoffMs(tries + 1, { baseMs: source.retryBaseMs, maxMs: source.retryMaxMs, random });
      const timer = clock.after(delayMs, () => this.#fetch(source, tries + 1));
      this.#fetching = () => timer.cancel();
      return;
    }
    this.#fetching = undefined;
    const read =
      result.kind === "answer" && result.status === 200 ? readKeySet(result.body.toString("utf8")) : undefined;
    const set = read?.ok === true ? read.value : undefined;
    this.#around.onFetched(set === undefined ? "failed" : "success");
    if (set !== undefined) {
      this.#set = set;
      this.#expiresMs = clock.monotonicMs() + source.cacheMs;
    }
    if (source.ahead) {
      const nextMs =
        set === undefined ? source.failedRefetchMs : Math.max(source.cacheMs - AHEAD_MS, source.cacheMs / 2);
      this.#timer = clock.after(nextMs, () => this.#fetch(source));
    }
    this.#settle(set);
  }

  #settle(set: KeySet | undefined): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const done of waiting) done(set);
  }
}

/** Keys that are fetched ahead are fetched this long before they expire. */
const AHEAD_MS = 5000;
