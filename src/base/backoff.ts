// Exponential back-off with full jitter.

import type { Random } from "./random.ts";

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly random: Random;
}

/** Delay before the try after `failures` consecutive failures (1, 2, …), in milliseconds: between half and all of min(maxMs, baseMs · 2^(failures-1)). */
export function backoffMs(failures: number, options: BackoffOptions): number {
  const exponent = Math.min(Math.max(failures - 1, 0), 30);
  const ceilingMs = Math.min(options.maxMs, options.baseMs * 2 ** exponent);
  return ceilingMs / 2 + (ceilingMs / 2) * options.random();
}
