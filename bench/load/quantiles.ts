// Sorted once, read by share.

export function quantiles(samples: Float64Array): { readonly p50Ms: number; readonly p99Ms: number } {
  const sorted = samples.toSorted();
  return { p50Ms: at(sorted, 0.5), p99Ms: at(sorted, 0.99) };
}

function at(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? 0;
}
