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

/** How a histogram is shown: by quantiles, or by what its buckets hold. */
export type HistogramForm = "summary" | "cumulative" | "disjoint";

export function writeStatsText(stats: readonly NamedStat[], form: HistogramForm = "summary"): string {
  let numbers = "";
  let histograms = "";
  for (const { name, metric } of stats) {
    if (metric.type === "histogram")
      histograms += `${name}: ${form === "summary" ? histogramText(metric.handle) : bucketText(metric.handle, form)}\n`;
    else numbers += `${name}: ${metric.handle.value}\n`;
  }
  return numbers + histograms;
}

/** Envoy's `/stats?format=json`. */
export function writeStatsJson(stats: readonly NamedStat[], form: HistogramForm = "summary"): string {
  const values: unknown[] = [];
  const computed: unknown[] = [];
  const bucketed: unknown[] = [];
  for (const { name, metric } of stats) {
    if (metric.type !== "histogram") {
      values.push({ name, value: metric.handle.value });
      continue;
    }
    const { handle } = metric;
    if (form !== "summary") {
      const buckets = bucketsOf(handle, form).map(([bound, count]) => {
        return { upper_bound: bound, interval: count, cumulative: count };
      });
      bucketed.push({ name, buckets });
      continue;
    }
    const quantiles = QUANTILES.map((q) => ({
      interval: null,
      cumulative: handle.count === 0 ? null : quantile(handle, q),
    }));
    computed.push({ name, values: quantiles });
  }
  if (computed.length > 0) {
    values.push({ histograms: { supported_quantiles: QUANTILES, computed_quantiles: computed } });
  }
  if (bucketed.length > 0) values.push({ histograms: bucketed });
  return JSON.stringify({ stats: values });
}

/** Each bound with what lies up to it (cumulative), or between the one before and it. */
function bucketsOf(histogram: Histogram, form: "cumulative" | "disjoint"): readonly (readonly [number, number])[] {
  let below = 0;
  return histogram.bounds.map((bound, index) => {
    const count = histogram.counts[index] ?? 0;
    below += count;
    return [bound, form === "cumulative" ? below : count];
  });
}

function bucketText(histogram: Histogram, form: "cumulative" | "disjoint"): string {
  if (histogram.count === 0) return "No recorded values";
  return bucketsOf(histogram, form)
    .map(([bound, count]) => `B${bound >= 1e6 ? bound.toExponential().replace("e+", "e+0") : bound}(${count},${count})`)
    .join(" ");
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
