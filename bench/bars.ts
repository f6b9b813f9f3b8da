// The bars as data: what has been promised, of which case, against whom.

import { type Figures, type Metric, ratios } from "./figures.ts";

export interface Bar {
  readonly case: string;
  readonly metric: Metric;
  /** What is divided by: Envoy in the same case, or weft itself in another case; undefined: weft's own figure counts. */
  readonly against?: "envoy" | { readonly case: string };
  /** Weft's bundle on Bun instead of Node: an aim, which fails nothing. */
  readonly on?: "bun";
  readonly atMost?: number;
  readonly atLeast?: number;
}

const FULL = "pair-policies";
const RATES = "pair-policies-rates";

export const BARS: readonly Bar[] = [
  { case: FULL, metric: "cpuMicrosPerRequest", against: "envoy", atMost: 0.5 },
  { case: FULL, metric: "cpuMicrosPerRequest", against: "envoy", on: "bun", atMost: 0.4 },
  { case: FULL, metric: "requestsPerSecond", against: "envoy", atLeast: 1.8 },
  { case: "pair-policies-traced", metric: "cpuMicrosPerRequest", against: { case: FULL }, atMost: 1.15 },
  { case: RATES, metric: "p99At1000Ms", against: "envoy", atMost: 1 },
  { case: RATES, metric: "p99AddedAt1000Ms", atMost: 1 },
  { case: "plain", metric: "cpuMicrosPerRequest", against: "envoy", atMost: 0.45 },
  { case: "plain-64k", metric: "cpuMicrosPerRequest", against: "envoy", atMost: 0.8 },
  { case: "bulk-clear", metric: "gbitPerSecond", against: "envoy", atLeast: 0.9 },
  { case: "bulk-mtls", metric: "gbitPerSecond", against: "envoy", atLeast: 0.7 },
  { case: "handshake-full", metric: "cpuMicrosPerHandshake", against: "envoy", atMost: 2 },
  { case: "handshake-resumed", metric: "cpuMicrosPerHandshake", against: "envoy", atMost: 1.3 },
  { case: "routes-1000", metric: "cpuMicrosPerRequest", against: { case: "routes-10" }, atMost: 1.1 },
  { case: FULL, metric: "idlePrivateMb", atMost: 22 },
  { case: FULL, metric: "loadedPrivateMb", atMost: 35 },
  { case: FULL, metric: "idleResidentMb", against: "envoy", atMost: 1 },
  { case: FULL, metric: "loadedResidentMb", against: "envoy", atMost: 1.25 },
  { case: FULL, metric: "readyMs", atMost: 400 },
];

/** Runs of each contender, by case. */
export type CaseRuns = ReadonlyMap<string, ReadonlyMap<string, readonly Figures[]>>;

export interface BarResult {
  readonly text: string;
  /** Undefined: not measured, because the case was not run or the other is not installed. */
  readonly value: number | undefined;
  readonly met: boolean;
  /** Not met fails the run. */
  readonly binding: boolean;
}

export function judge(bar: Bar, runs: CaseRuns): BarResult {
  const value = figureOf(bar, runs);
  const limit = bar.atMost !== undefined ? `≤ ${bar.atMost}` : `≥ ${bar.atLeast ?? 0}`;
  const of = bar.against === undefined ? "" : bar.against === "envoy" ? " / Envoy" : ` / ${bar.against.case}`;
  const on = bar.on === "bun" ? " on Bun" : "";
  const met = value !== undefined && value <= (bar.atMost ?? Infinity) && value >= (bar.atLeast ?? -Infinity);
  return { text: `${bar.case}: ${bar.metric}${on}${of} ${limit}`, value, met, binding: bar.on === undefined };
}

function figureOf(bar: Bar, runs: CaseRuns): number | undefined {
  const here = runs.get(bar.case);
  const own = here?.get(bar.on ?? "weft") ?? [];
  const other =
    bar.against === undefined
      ? own.map(() => ({ [bar.metric]: 1 }))
      : bar.against === "envoy"
        ? here?.get("envoy")
        : runs.get(bar.against.case)?.get(bar.on ?? "weft");
  return other === undefined ? undefined : ratios(own, other)[bar.metric];
}
