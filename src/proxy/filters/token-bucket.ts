// A bucket of tokens that fills with time, without a timer.

import type { BucketConfig } from "../compile/local-ratelimit.ts";

export class TokenBucket {
  readonly config: BucketConfig;
  readonly #tokensPerMs: number;
  #tokens: number;
  #atMs: number;

  constructor(config: BucketConfig, nowMs: number) {
    this.config = config;
    this.#tokensPerMs = config.tokensPerFill / config.fillIntervalMs;
    this.#tokens = config.tokensMax;
    this.#atMs = nowMs;
  }

  /** Takes a token where there is a whole one. */
  consume(nowMs: number): boolean {
    this.#fill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  remaining(nowMs: number): number {
    this.#fill(nowMs);
    return Math.floor(this.#tokens);
  }

  /** How long until there is a whole token; 0 where there is one. */
  waitMs(nowMs: number): number {
    this.#fill(nowMs);
    return this.#tokens >= 1 ? 0 : (1 - this.#tokens) / this.#tokensPerMs;
  }

  get fillsPerMs(): number {
    return this.#tokensPerMs;
  }

  #fill(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    this.#tokens = Math.min(this.config.tokensMax, this.#tokens + (nowMs - this.#atMs) * this.#tokensPerMs);
    this.#atMs = nowMs;
  }
}
