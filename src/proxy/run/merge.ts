// What several workers counted, as one: counters and histograms are summed, gauges as they mean.

import { Counter, Gauge, Histogram, Registry, type Series } from "../../observe/metrics.ts";
import type { ClusterView, HostView } from "../admin/view.ts";
import type { PlainSeries, Report } from "./worker-wire.ts";

/** The main thread's own: of the whole process, or of what it alone does. */
const OF_MAIN = /^(server|cluster_manager|listener_manager|runtime|control_plane|cds|lds|eds|rds|sds)\./;
/** The same in every worker, so that a sum would count it several times. */
const SAME_EVERYWHERE =
  /\.(circuit_breakers\.|membership_|outlier_detection\.ejections_active$|lb_subsets_active$|max_host_weight$)/;

export function mergeSeries(main: Iterable<Series>, reports: readonly Report[]): Registry {
  const merged = new Map<string, Series>();
  const known = new Set<string>();
  for (const one of main) merged.set(keyOf(one), one);
  for (const { series, index } of reports) {
    for (const one of series) {
      if (OF_MAIN.test(one.stat)) continue;
      const single = ofWorker(one, index);
      if (single !== undefined) merged.set(keyOf(single), single);
      const key = keyOf(one);
      const before = known.has(key) ? merged.get(key) : undefined;
      known.add(key);
      merged.set(key, before === undefined ? revive(one) : added(before, one));
    }
  }
  const registry = new Registry(merged.size + 1);
  for (const one of merged.values()) registry.adopt(one);
  return registry;
}

/** Envoy shows how many connections each worker has of a listener. */
function ofWorker(one: PlainSeries, index: number): Series | undefined {
  const found = /^(listener\..*\.)(downstream_cx_(?:total|active))$/.exec(one.stat);
  if (found === null) return undefined;
  const [, prefix = "", name = ""] = found;
  const labels = { ...one.labels, envoy_worker_id: String(index) };
  return { ...revive(one), stat: `${prefix}worker_${index}.${name}`, name: `envoy_listener_worker_${name}`, labels };
}

function keyOf({ stat, labels }: Pick<Series, "stat" | "labels">): string {
  return `${stat} ${JSON.stringify(labels)}`;
}

function revive({ stat, name, labels, metric }: PlainSeries): Series {
  if (metric.type === "histogram") {
    const handle = new Histogram(metric.bounds);
    handle.counts.set(metric.counts);
    handle.sum = metric.sum;
    handle.count = metric.count;
    return { stat, name, labels, metric: { type: "histogram", handle } };
  }
  if (metric.type === "counter") {
    const handle = new Counter();
    handle.value = metric.value;
    return { stat, name, labels, metric: { type: "counter", handle } };
  }
  const handle = new Gauge();
  handle.value = metric.value;
  return { stat, name, labels, metric: { type: "gauge", handle } };
}

/** `before` was revived here, so that it may be changed. */
function added(before: Series, one: PlainSeries): Series {
  const { metric } = before;
  if (metric.type === "histogram" && one.metric.type === "histogram") {
    for (const [index, count] of one.metric.counts.entries()) {
      metric.handle.counts[index] = (metric.handle.counts[index] ?? 0) + count;
    }
    metric.handle.sum += one.metric.sum;
    metric.handle.count += one.metric.count;
  } else if (metric.type !== "histogram" && one.metric.type !== "histogram") {
    const same = metric.type === "gauge" && SAME_EVERYWHERE.test(one.stat);
    metric.handle.value = same
      ? Math.max(metric.handle.value, one.metric.value)
      : metric.handle.value + one.metric.value;
  }
  return before;
}

export function mergeClusters(reports: readonly Report[]): readonly ClusterView[] {
  const merged = new Map<string, ClusterView>();
  for (const { clusters } of reports) {
    for (const cluster of clusters) {
      const before = merged.get(cluster.name);
      merged.set(
        cluster.name,
        before === undefined ? cluster : { ...cluster, hosts: mergeHosts(before.hosts, cluster.hosts) },
      );
    }
  }
  return [...merged.values()];
}

function mergeHosts(before: readonly HostView[], more: readonly HostView[]): readonly HostView[] {
  const merged = new Map(before.map((host) => [host.address, host]));
  for (const host of more) {
    const known = merged.get(host.address);
    if (known === undefined) {
      merged.set(host.address, host);
      continue;
    }
    const stats = Object.fromEntries(
      Object.entries(host.stats).map(([name, value]) => [name, value + (known.stats[name] ?? 0)]),
    );
    const healthFlags = [...new Set([...known.healthFlags, ...host.healthFlags])];
    merged.set(host.address, {
      ...known,
      stats,
      healthFlags,
      successRate: Math.max(known.successRate, host.successRate),
    });
  }
  return [...merged.values()];
}
