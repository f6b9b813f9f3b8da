// Medians and ratios, as a table for people.

import type { BenchCase } from "./cases.ts";
import type { Machine } from "./machine.ts";
import type { Figures } from "./measure.ts";

export interface BarResult {
  readonly text: string;
  readonly value: number;
  readonly met: boolean;
}

export interface Row {
  readonly name: string;
  readonly weft: Figures;
  readonly envoy: Figures | undefined;
  /** weft / Envoy, run by run, then the median. */
  readonly ratios: Figures | undefined;
  readonly bars: readonly BarResult[];
}

export interface Report {
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
  readonly rows: readonly Row[];
}

const FIELDS = [
  "cpuMicrosPerRequest",
  "requestsPerSecond",
  "p50Ms",
  "p99Ms",
  "readyMs",
  "idlePrivateMb",
  "loadedPrivateMb",
  "idleResidentMb",
  "loadedResidentMb",
  "failures",
] as const satisfies readonly (keyof Figures)[];

export function summarise(entry: BenchCase, figures: ReadonlyMap<string, readonly Figures[]>): Row {
  const weftRuns = figures.get("weft") ?? [];
  const envoyRuns = figures.get("envoy") ?? [];
  const weft = medians(weftRuns);
  const envoy = envoyRuns.length === 0 ? undefined : medians(envoyRuns);
  const ratios =
    envoy === undefined ? undefined : medians(weftRuns.map((run, index) => ratio(run, envoyRuns[index] ?? envoy)));
  const bars = entry.bars.flatMap((bar): BarResult[] => {
    const value = bar.of === "ratio" ? ratios?.[bar.field] : weft[bar.field];
    if (value === undefined) return [];
    const met = bar.atMost !== undefined ? value <= bar.atMost : value >= (bar.atLeast ?? 0);
    const limit = bar.atMost !== undefined ? `≤ ${bar.atMost}` : `≥ ${bar.atLeast}`;
    return [{ text: `${bar.field}${bar.of === "ratio" ? " / Envoy" : ""} ${limit}`, value, met }];
  });
  return { name: entry.name, weft, envoy, ratios, bars };
}

export function formatTable(report: Report): string {
  const { machine } = report;
  const lines = [
    `weft on Node ${machine.node}, Envoy ${machine.envoy}, commit ${machine.commit}, Linux ${machine.kernel}, ${machine.cores} cores of ${machine.cpu}`,
    `${report.rounds} rounds of ${report.seconds} s, alternating; medians`,
    "",
    `${"".padEnd(22)}${FIELDS.map((field) => field.padStart(field.length + 2)).join("")}`,
  ];
  for (const row of report.rows) {
    lines.push(formatFigures(`${row.name} weft`, row.weft));
    if (row.envoy !== undefined) lines.push(formatFigures(`${row.name} envoy`, row.envoy));
    if (row.ratios !== undefined) lines.push(formatFigures(`${row.name} ratio`, row.ratios));
    for (const bar of row.bars) lines.push(`  ${bar.met ? "met    " : "NOT MET"} ${bar.text}: ${round(bar.value)}`);
  }
  return lines.join("\n");
}

function formatFigures(title: string, figures: Figures): string {
  return `${title.padEnd(22)}${FIELDS.map((field) => round(figures[field]).padStart(field.length + 2)).join("")}`;
}

function round(value: number): string {
  return Number.isNaN(value) ? "-" : value >= 100 ? value.toFixed(0) : value.toFixed(2);
}

function medians(runs: readonly Figures[]): Figures {
  return build((field) => median(runs.map((run) => run[field])));
}

function ratio(left: Figures, right: Figures): Figures {
  return build((field) => left[field] / right[field]);
}

function build(value: (field: keyof Figures) => number): Figures {
  return {
    cpuMicrosPerRequest: value("cpuMicrosPerRequest"),
    requestsPerSecond: value("requestsPerSecond"),
    p50Ms: value("p50Ms"),
    p99Ms: value("p99Ms"),
    readyMs: value("readyMs"),
    idlePrivateMb: value("idlePrivateMb"),
    loadedPrivateMb: value("loadedPrivateMb"),
    idleResidentMb: value("idleResidentMb"),
    loadedResidentMb: value("loadedResidentMb"),
    failures: value("failures"),
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
