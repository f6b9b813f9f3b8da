// Medians, ratios and bars, as a table for people.

import type { BarResult } from "./bars.ts";
import { CONTENDERS, type ContenderName, type Figures, METRICS, medians, ratios } from "./figures.ts";
import type { Machine } from "./machine.ts";

export interface Row {
  readonly name: string;
  readonly medians: Readonly<Partial<Record<ContenderName, Figures>>>;
  /** Divided by Envoy run by run, then the median. */
  readonly ratios: Readonly<Partial<Record<ContenderName, Figures>>>;
  readonly runs: Readonly<Partial<Record<ContenderName, readonly Figures[]>>>;
}

export interface Report {
  readonly machine: Machine;
  readonly rounds: number;
  readonly seconds: number;
  readonly notes: readonly string[];
  readonly rows: readonly Row[];
  readonly bars: readonly BarResult[];
}

export function summarise(name: string, runs: ReadonlyMap<ContenderName, readonly Figures[]>): Row {
  const envoy = runs.get("envoy");
  const others = [...runs].filter(([contender]) => contender !== "envoy");
  return {
    name,
    medians: Object.fromEntries([...runs].map(([contender, list]) => [contender, medians(list)])),
    ratios:
      envoy === undefined
        ? {}
        : Object.fromEntries(others.map(([contender, list]) => [contender, ratios(list, envoy)])),
    runs: Object.fromEntries(runs),
  };
}

const COLUMN = 12;
const FIRST_COLUMN = 26;

export function formatReport(report: Report): string {
  const { machine } = report;
  return [
    `weft ${machine.commit} on Node ${machine.node}; Envoy ${machine.envoy}; nginx ${machine.nginx}; Bun ${machine.bun}`,
    `Linux ${machine.kernel}, ${machine.cores} cores of ${machine.cpu}; ${machine.pinning}`,
    `${report.rounds} rounds of ${report.seconds} s, alternating; medians; ratios to Envoy run by run, then their median`,
    ...report.notes,
    ...report.rows.flatMap((row) => ["", ...formatRow(row)]),
    "",
    ...report.bars.map(formatBar),
  ].join("\n");
}

function formatRow(row: Row): readonly string[] {
  const present = CONTENDERS.filter((name) => row.medians[name] !== undefined);
  const compared = present.filter((name) => row.ratios[name] !== undefined);
  const titles = [...present, ...compared.map((name) => `${name}/envoy`)];
  const lines = METRICS.flatMap((metric) => {
    const cells = [
      ...present.map((name) => row.medians[name]?.[metric]),
      ...compared.map((name) => row.ratios[name]?.[metric]),
    ];
    if (cells.every((cell) => cell === undefined)) return [];
    return [`  ${metric.padEnd(FIRST_COLUMN - 2)}${cells.map((cell) => round(cell).padStart(COLUMN)).join("")}`];
  });
  return [`${row.name.padEnd(FIRST_COLUMN)}${titles.map((title) => title.padStart(COLUMN)).join("")}`, ...lines];
}

function formatBar(bar: BarResult): string {
  const verdict = bar.value === undefined ? "not measured" : bar.met ? "met" : "NOT MET";
  return `${verdict.padEnd(13)} ${bar.text}${bar.value === undefined ? "" : `: ${round(bar.value)}`}`;
}

function round(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return "-";
  return value >= 100 ? value.toFixed(0) : value.toFixed(2);
}
