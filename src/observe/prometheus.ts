// The registry in Prometheus' text format 0.0.4, with the labels that Envoy gives its metrics.

import type { Histogram, Labels, Series } from "./metrics.ts";

export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

interface Family {
  readonly type: Series["metric"]["type"];
  /** Label text to the metric: what would be the same line twice is written once. */
  readonly lines: Map<string, Series["metric"]>;
}

/** `help` has what a metric means, by its name. */
export function writePrometheus(
  series: Iterable<Series>,
  keep: (series: Series) => boolean = () => true,
  help: Readonly<Record<string, string>> = {},
): string {
  const families = new Map<string, Family>();
  for (const one of series) {
    if (!keep(one)) continue;
    const { name, labels } = envoyTags(one);
    const family = families.get(name) ?? { type: one.metric.type, lines: new Map() };
    families.set(name, family);
    // One name has one type; a second one would make the whole scrape invalid.
    if (family.type !== one.metric.type) continue;
    const text = labelText(labels);
    if (!family.lines.has(text)) family.lines.set(text, one.metric);
  }
  let page = "";
  for (const [name, family] of [...families].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))) {
    if (help[name] !== undefined) page += `# HELP ${name} ${help[name]}\n`;
    page += `# TYPE ${name} ${family.type}\n`;
    for (const [labels, metric] of family.lines) page += writeMetric(name, labels, metric);
  }
  return page;
}

/** Envoy keeps response codes in the name of a stat, and makes labels of them for Prometheus. */
function envoyTags(series: Pick<Series, "name" | "labels">): { readonly name: string; readonly labels: Labels } {
  const { name, labels } = series;
  const coded = /^(.*_rq)_(?:(\d{3})|(\d)xx)$/.exec(name);
  if (coded === null) return series;
  const [, base = "", code, codeClass] = coded;
  if (code !== undefined) return { name: base, labels: { envoy_response_code: code, ...labels } };
  return { name: `${base}_xx`, labels: { envoy_response_code_class: codeClass ?? "", ...labels } };
}

function writeMetric(name: string, labels: string, metric: Series["metric"]): string {
  if (metric.type === "histogram") return writeHistogram(name, labels, metric.handle);
  return `${name}{${labels}} ${formatNumber(metric.handle.value)}\n`;
}

function writeHistogram(name: string, labels: string, histogram: Histogram): string {
  const before = labels === "" ? "" : `${labels},`;
  let text = "";
  let below = 0;
  for (const [index, bound] of histogram.bounds.entries()) {
    below += histogram.counts[index] ?? 0;
    text += `${name}_bucket{${before}le="${formatNumber(bound)}"} ${below}\n`;
  }
  text += `${name}_bucket{${before}le="+Inf"} ${histogram.count}\n`;
  text += `${name}_sum{${labels}} ${formatNumber(histogram.sum)}\n`;
  text += `${name}_count{${labels}} ${histogram.count}\n`;
  return text;
}

function labelText(labels: Labels): string {
  return Object.entries(labels)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([key, value]) => `${key.replace(/[^a-zA-Z0-9_]/g, "_")}="${escapeLabel(value)}"`)
    .join(",");
}

function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`));
}

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  return String(value);
}
