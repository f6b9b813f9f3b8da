// The registry behind every number that weft shows: Envoy's dotted names for /stats, Prometheus names and labels for scrapes.
// Handles are plain objects with a number field, so that counting on the hot path is one addition.

import { assert } from "../base/assert.ts";

export type Labels = Readonly<Record<string, string>>;

export class Counter {
  value = 0;
  inc(by = 1): void {
    this.value += by;
  }
}

export class Gauge {
  value = 0;
  set(value: number): void {
    this.value = value;
  }
  add(by: number): void {
    this.value += by;
  }
}

/** Envoy's default bucket bounds, in the histogram's own unit (mostly milliseconds). */
const DEFAULT_BUCKETS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
];

export class Histogram {
  readonly bounds: readonly number[];
  /** Not cumulative; one more than bounds, the last for what is above all of them. */
  readonly counts: Float64Array;
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[] = DEFAULT_BUCKETS) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let index = 0;
    while (index < this.bounds.length && value > (this.bounds[index] ?? 0)) index += 1;
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += value;
    this.count += 1;
  }
}

export type Metric =
  | { readonly type: "counter"; readonly handle: Counter }
  | { readonly type: "gauge"; readonly handle: Gauge }
  | { readonly type: "histogram"; readonly handle: Histogram };

export interface Series {
  /** Envoy's dotted name: `cluster.outbound|8080||api.ns.svc.cluster.local.upstream_rq_total`. */
  readonly stat: string;
  /** Prometheus name: `envoy_cluster_upstream_rq_total`. */
  readonly name: string;
  readonly labels: Labels;
  readonly metric: Metric;
}

export interface ScopeOptions {
  /** Begins every dotted name: `cluster.NAME.`. */
  readonly statPrefix: string;
  /** Begins every Prometheus name: `envoy_cluster_`. */
  readonly namePrefix: string;
  readonly labels: Labels;
}

/** What a metric belongs to (a cluster, a listener …). Disposing removes its series. */
export interface Scope {
  counter(name: string, labels?: Labels): Counter;
  gauge(name: string, labels?: Labels): Gauge;
  /** `bounds` where Envoy's milliseconds are not the unit. */
  histogram(name: string, labels?: Labels, bounds?: readonly number[]): Histogram;
  dispose(): void;
}

/** Bounded: beyond `seriesMax`, new series all share one unlisted handle a type, and `weft_metrics_overflow_total` counts them. */
export class Registry {
  readonly seriesMax: number;
  readonly overflow = new Counter();
  #series = new Map<string, Series>();
  #lost = { counter: new Counter(), gauge: new Gauge(), histogram: new Histogram() };

  constructor(seriesMax = 20_000) {
    assert(seriesMax > 0, "a registry needs room for a series");
    this.seriesMax = seriesMax;
    this.#series.set("weft.metrics_overflow", {
      stat: "weft.metrics_overflow",
      name: "weft_metrics_overflow_total",
      labels: {},
      metric: { type: "counter", handle: this.overflow },
    });
  }

  scope(options: ScopeOptions): Scope {
    const owned = new Set<string>();
    const resolve = (name: string, labels: Labels | undefined, make: () => Metric): Metric => {
      const stat = `${options.statPrefix}${name}`;
      const all = labels === undefined ? options.labels : { ...options.labels, ...labels };
      const key = labels === undefined ? stat : `${stat} ${JSON.stringify(labels)}`;
      const found = this.#series.get(key);
      if (found !== undefined) return found.metric;
      if (this.#series.size >= this.seriesMax) return this.#spill(make());
      const metric = make();
      const promName = `${options.namePrefix}${name}`.replace(/[^a-zA-Z0-9_:]/g, "_");
      this.#series.set(key, { stat, name: promName, labels: all, metric });
      owned.add(key);
      return metric;
    };
    return {
      counter: (name, labels) => asCounter(resolve(name, labels, () => ({ type: "counter", handle: new Counter() }))),
      gauge: (name, labels) => asGauge(resolve(name, labels, () => ({ type: "gauge", handle: new Gauge() }))),
      histogram: (name, labels, bounds) =>
        asHistogram(resolve(name, labels, () => ({ type: "histogram", handle: new Histogram(bounds) }))),
      dispose: () => {
        for (const key of owned) this.#series.delete(key);
        owned.clear();
      },
    };
  }

  /** Takes over a series that was counted elsewhere, in place of the one that has its name and labels. */
  adopt(series: Series): void {
    const plain = this.#series.get(series.stat);
    const isOther = plain !== undefined && JSON.stringify(plain.labels) !== JSON.stringify(series.labels);
    this.#series.set(isOther ? `${series.stat} ${JSON.stringify(series.labels)}` : series.stat, series);
  }

  /** Every series, in the order they were made. */
  *series(): IterableIterator<Series> {
    yield* this.#series.values();
  }

  #spill(wanted: Metric): Metric {
    this.overflow.inc();
    switch (wanted.type) {
      case "counter":
        return { type: "counter", handle: this.#lost.counter };
      case "gauge":
        return { type: "gauge", handle: this.#lost.gauge };
      case "histogram":
        return { type: "histogram", handle: this.#lost.histogram };
    }
  }
}

function asCounter(metric: Metric): Counter {
  assert(metric.type === "counter", `metric is a ${metric.type}, not a counter`);
  return metric.handle;
}

function asGauge(metric: Metric): Gauge {
  assert(metric.type === "gauge", `metric is a ${metric.type}, not a gauge`);
  return metric.handle;
}

function asHistogram(metric: Metric): Histogram {
  assert(metric.type === "histogram", `metric is a ${metric.type}, not a histogram`);
  return metric.handle;
}
