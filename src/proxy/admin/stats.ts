// /stats in Envoy's three forms, and /reset_counters.

import type { Series } from "../../observe/metrics.ts";
import { PROMETHEUS_CONTENT_TYPE, writePrometheus } from "../../observe/prometheus.ts";
import { type HistogramForm, namedStats, writeStatsJson, writeStatsText } from "../../observe/stats-text.ts";
import { type AdminContext, type Answer, type Endpoint, type Query, text } from "./answer.ts";
import { compile } from "./pattern.ts";

export const statsEndpoint: Endpoint = {
  path: "/stats",
  help: "print server stats; filter=REGEX, invert_filter, usedonly, histogram_buckets=summary|cumulative|disjoint, type=Counters|Gauges|Histograms, format=text|json|prometheus",
  mutates: false,
  run: (context, query) => stats(context, query, query.get("format") ?? "text"),
};

export const prometheusEndpoint: Endpoint = {
  path: "/stats/prometheus",
  help: "print server stats in prometheus format",
  mutates: false,
  run: (context, query) => stats(context, query, "prometheus"),
};

export const resetCountersEndpoint: Endpoint = {
  path: "/reset_counters",
  help: "reset all counters to zero",
  mutates: true,
  run({ view }) {
    view.resetCounters();
    return text("OK\n");
  },
};

const TYPES: Readonly<Record<string, Series["metric"]["type"]>> = {
  counters: "counter",
  gauges: "gauge",
  histograms: "histogram",
};

const HISTOGRAM_FORMS: Readonly<Record<string, HistogramForm>> = {
  summary: "summary",
  cumulative: "cumulative",
  disjoint: "disjoint",
};

function stats({ view }: AdminContext, query: Query, format: string): Answer {
  const pattern = compile(query.get("filter") ?? "");
  if (pattern === undefined) return text("Invalid re2 regex", 400);
  const wantedType = query.get("type")?.toLowerCase();
  const type = wantedType === undefined || wantedType === "all" ? undefined : TYPES[wantedType];
  if (wantedType !== undefined && wantedType !== "all" && type === undefined) {
    return text("invalid &type= param", 400);
  }
  const form = HISTOGRAM_FORMS[query.get("histogram_buckets") ?? "summary"];
  if (form === undefined) return text("usage: /stats?histogram_buckets=(cumulative|disjoint|summary)\n", 400);
  const usedOnly = query.has("usedonly");
  const inverted = query.has("invert_filter");
  const keep = (series: Series) =>
    pattern.test(series.stat) !== inverted &&
    (!usedOnly || isUsed(series.metric)) &&
    (type === undefined || series.metric.type === type);
  switch (format) {
    case "prometheus": {
      const body = writePrometheus(view.registry.series(), keep);
      return { code: 200, type: PROMETHEUS_CONTENT_TYPE, body };
    }
    case "json":
      return { code: 200, type: "application/json", body: writeStatsJson(kept(view.registry.series(), keep), form) };
    case "text":
      return text(writeStatsText(kept(view.registry.series(), keep), form));
    default:
      return text("usage: /stats?format=(json|prometheus|text)\n\n", 400);
  }
}

function kept(series: Iterable<Series>, keep: (series: Series) => boolean) {
  return namedStats([...series].filter(keep));
}

function isUsed(metric: Series["metric"]): boolean {
  return metric.type === "histogram" ? metric.handle.count > 0 : metric.handle.value !== 0;
}
