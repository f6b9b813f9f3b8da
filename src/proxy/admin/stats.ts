// /stats in Envoy's three forms, and /reset_counters.

import type { Series } from "../../observe/metrics.ts";
import { PROMETHEUS_CONTENT_TYPE, writePrometheus } from "../../observe/prometheus.ts";
import { namedStats, writeStatsJson, writeStatsText } from "../../observe/stats-text.ts";
import { type AdminContext, type Answer, type Endpoint, type Query, text } from "./answer.ts";
import { compile } from "./pattern.ts";

export const statsEndpoint: Endpoint = {
  path: "/stats",
  help: "print server stats; filter=REGEX, usedonly, type=Counters|Gauges|Histograms, format=text|json|prometheus",
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
    for (const { metric } of view.registry.series()) if (metric.type === "counter") metric.handle.value = 0;
    return text("OK\n");
  },
};

const TYPES: Readonly<Record<string, Series["metric"]["type"]>> = {
  counters: "counter",
  gauges: "gauge",
  histograms: "histogram",
};

function stats({ view }: AdminContext, query: Query, format: string): Answer {
  const pattern = compile(query.get("filter") ?? "");
  if (pattern === undefined) return text("Invalid re2 regex\n", 400);
  const wantedType = query.get("type")?.toLowerCase();
  const type = wantedType === undefined || wantedType === "all" ? undefined : TYPES[wantedType];
  if (wantedType !== undefined && wantedType !== "all" && type === undefined) {
    return text("invalid &type= param: Counters, Gauges, Histograms or All\n", 400);
  }
  const usedOnly = query.has("usedonly");
  const keep = (series: Series) =>
    pattern.test(series.stat) &&
    (!usedOnly || isUsed(series.metric)) &&
    (type === undefined || series.metric.type === type);
  switch (format) {
    case "prometheus": {
      const body = writePrometheus(view.registry.series(), keep);
      return { code: 200, type: PROMETHEUS_CONTENT_TYPE, body };
    }
    case "json":
      return { code: 200, type: "application/json", body: writeStatsJson(kept(view.registry.series(), keep)) };
    case "text":
      return text(writeStatsText(kept(view.registry.series(), keep)));
    default:
      return text(`usage: /stats?format=json  or /stats?format=prometheus, not ${format}\n`, 400);
  }
}

function kept(series: Iterable<Series>, keep: (series: Series) => boolean) {
  return namedStats([...series].filter(keep));
}

function isUsed(metric: Series["metric"]): boolean {
  return metric.type === "histogram" ? metric.handle.count > 0 : metric.handle.value !== 0;
}
