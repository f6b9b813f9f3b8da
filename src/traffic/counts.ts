// What was counted of a flow in some span of time.

import { CODES_MAX } from "./limits.ts";

/** Envoy's default bucket bounds, in milliseconds. A bucket with another bound is left out, which only makes quantiles coarser. */
export const BOUNDS_MS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

export class Counts {
  requests = 0;
  /** Without an answer, answered by 5xx, or by a gRPC status that blames the server. */
  failures = 0;
  durationSumMs = 0;
  durations = 0;
  /** How many took no longer than each bound: cumulative, as Prometheus has it. Made with the first one. */
  buckets: Float64Array | undefined;
  sentBytes = 0;
  receivedBytes = 0;
  opened = 0;
  closed = 0;
  /** `503 UH` to how many. */
  readonly codes = new Map<string, number>();

  answered(code: string, by: number): void {
    // A code more than there is room for is still told by its class.
    const key = this.codes.has(code) || this.codes.size < CODES_MAX ? code : `${code.charAt(0)}xx`;
    this.codes.set(key, (this.codes.get(key) ?? 0) + by);
  }

  inBucket(index: number, by: number): void {
    this.buckets ??= new Float64Array(BOUNDS_MS.length);
    this.buckets[index] = (this.buckets[index] ?? 0) + by;
  }

  add(other: Counts): void {
    this.requests += other.requests;
    this.failures += other.failures;
    this.durationSumMs += other.durationSumMs;
    this.durations += other.durations;
    this.sentBytes += other.sentBytes;
    this.receivedBytes += other.receivedBytes;
    this.opened += other.opened;
    this.closed += other.closed;
    for (const [code, count] of other.codes) this.answered(code, count);
    if (other.buckets === undefined) return;
    for (const [index, count] of other.buckets.entries()) this.inBucket(index, count);
  }

  /** By linear interpolation within the bucket, as Prometheus' histogram_quantile; undefined where nothing was measured. */
  quantileMs(share: number): number | undefined {
    if (this.durations <= 0) return undefined;
    const rank = share * this.durations;
    let below = 0;
    let lowerMs = 0;
    for (const [index, upperMs] of BOUNDS_MS.entries()) {
      // A page without this bucket has nothing for it: what is below is at least what the one before had.
      const upTo = Math.max(below, this.buckets?.[index] ?? 0);
      if (upTo >= rank && upTo > below) return lowerMs + ((upperMs - lowerMs) * (rank - below)) / (upTo - below);
      below = upTo;
      lowerMs = upperMs;
    }
    return lowerMs;
  }
}
