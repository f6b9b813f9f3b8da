// How far a count may be from what the weights promise: the exact binomial interval.

const CONFIDENCE = 0.999;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** The central interval that holds a right split's count with 99.9 % probability. */
export function binomialInterval(trials: number, probability: number): Interval {
  if (probability <= 0) return { low: 0, high: 0 };
  if (probability >= 1) return { low: trials, high: trials };
  const tail = (1 - CONFIDENCE) / 2;
  let logMass = trials * Math.log1p(-probability);
  let below = 0;
  let low = -1;
  for (let count = 0; count <= trials; count += 1) {
    const upTo = below + Math.exp(logMass);
    if (low < 0 && upTo > tail) low = count;
    if (upTo >= 1 - tail) return { low, high: count };
    below = upTo;
    logMass += Math.log((trials - count) / (count + 1)) + Math.log(probability / (1 - probability));
  }
  return { low, high: trials };
}
