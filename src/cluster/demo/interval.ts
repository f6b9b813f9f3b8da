// How far a random split may be from its weight by chance alone.

/** 99.9 % of a normal distribution lies within so many standard deviations. */
const DEVIATIONS = 3.29;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** Bounds of how many of `total` draws hit, each with `probability`. */
export function binomialInterval(total: number, probability: number): Interval {
  const mean = total * probability;
  const spread = DEVIATIONS * Math.sqrt(total * probability * (1 - probability));
  return { low: Math.max(0, Math.floor(mean - spread)), high: Math.min(total, Math.ceil(mean + spread)) };
}
