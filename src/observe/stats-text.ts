// The registry as Envoy's /stats prints it: `name: value`, sorted, histograms as quantiles at the end; or as JSON.

import type { Histogram, Series } from "./metrics.ts";

const QUANTILES = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100] as const;

export interface NamedStat {
  readonly name: string;
  readonly metric: Series["metric"];
}

/** Sorted; series that share a dotted name (they differ by labels) are told apart by their labels. */
export function namedStats(series: Iterable<Series>): readonly NamedStat[] {
  const seen = new Map<string, number>();
  const all = [...series];
  for (const { stat } of all) seen.set(stat, (seen.get(stat) ?? 0) + 1);
  return all
    .map((one) => ({ name: (seen.get(one.stat) ?? 0) > 1 ? labelled(one) : one.stat, metric: one.metric }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

export function writeStatsText(stats: readonly NamedStat[]): string {
  let numbers = "";
  let histograms = "";
  for (const { name, metric } of stats) {
    if (metric.type === "histogram") histograms += `${name}: ${histogramText(metric.handle)}\n`;
    else numbers += `${name}: ${metric.handle.value}\n`;
  }
  return numbers + histograms;
}

/** Envoy's `/stats?format=json`. */
export function writeStatsJson(stats: readonly NamedStat[]): string {
  const values: unknown[] = [];
  const computed: unknown[] = [];
  for (const { name, metric } of stats) {
    if (metric.type !== "histogram") {
      values.push({ name, value: metric.handle.value });
      continue;
    }
    const { handle } = metric;
    const quantiles = QUANTILES.map((q) => ({
      interval: null,
      cumulative: handle.count === 0 ? null : quantile(handle, q),
    }));
    computed.push({ name, values: quantiles });
  }
  if (computed.length > 0) {
    values.push({ histograms: { supported_quantiles: QUANTILES, computed_quantiles: computed } });
  }
  return JSON.stringify({ stats: values });
}

function histogramText(histogram: Histogram): string {
  if (histogram.count === 0) return "No recorded values";
  return QUANTILES.map((q) => `P${q}(nan,${round(quantile(histogram, q))})`).join(" ");
}

/** Interpolated within the bucket that holds it. */
function quantile(histogram: Histogram, percent: number): number {
  const target = (histogram.count * percent) / 100;
  let below = 0;
  for (const [index, count] of histogram.counts.entries()) {
    const lower = index === 0 ? 0 : (histogram.bounds[index - 1] ?? 0);
    const upper = histogram.bounds[index] ?? lower;
    if (count > 0 && below + count >= target) return lower + (upper - lower) * Math.max(0, (target - below) / count);
    below += count;
  }
  return histogram.bounds.at(-1) ?? 0;
}

function round(value: number): number {
  return Number(value.toPrecision(5));
}

function labelled(series: Series): string {
  const labels = Object.entries(series.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return series.stat + labels.map(([key, value]) => `.${key}.${value}`).join("");
}
