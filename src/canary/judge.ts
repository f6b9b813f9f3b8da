// Whether the new version does as well as the old one, by what was counted of both at the same time.

import type { Measured } from "../api/weft/canary.ts";
import type { Numbers } from "../traffic/query.ts";
import { CLEAR_FAILURES_MIN } from "./limits.ts";
import type { Analysis } from "./plan.ts";

/** The two versions as one side saw them: their callers, or their own sidecars. */
export interface View {
  readonly stable: Numbers;
  readonly canary: Numbers;
}

export interface Verdict {
  /** `hold`: it can't be told yet. */
  readonly kind: "pass" | "fail" | "hold";
  readonly message: string;
  readonly canary: Measured | undefined;
  readonly stable: Measured | undefined;
}

/** `baseline`: how the old version did when it last had requests enough. */
export function judge(views: readonly View[], analysis: Analysis, baseline: Measured | undefined): Verdict {
  const [most] = views.toSorted((a, b) => b.canary.requests - a.canary.requests);
  const measuredViews = {
    canary: most === undefined ? undefined : measured(most.canary, analysis),
    stable: most === undefined ? undefined : measured(most.stable, analysis),
  };
  const told = views.map((view) => judgeView(view, analysis, baseline));
  const failed = told.find(({ kind }) => kind === "fail");
  if (failed !== undefined) return { ...failed, ...measuredViews };
  const enough = told.filter((_verdict, index) => (views[index]?.canary.requests ?? 0) >= analysis.minRequests);
  if (enough.length === 0) {
    const requests = Math.round(most?.canary.requests ?? 0);
    const message = `${requests} requests have reached the canary; ${analysis.minRequests} are needed to tell`;
    return { kind: "hold", message, ...measuredViews };
  }
  const chosen = enough.find(({ kind }) => kind === "hold") ?? enough[0];
  return { kind: chosen?.kind ?? "hold", message: chosen?.message ?? "", ...measuredViews };
}

type Told = Pick<Verdict, "kind" | "message">;

function judgeView({ stable, canary }: View, analysis: Analysis, baseline: Measured | undefined): Told {
  const known = stable.requests >= analysis.minRequests ? measured(stable, analysis) : baseline;
  const { requests, failures, failureShare } = canary;
  const allowed = (known?.failurePercent ?? 0) / 100 + analysis.maxFailureIncrease;
  const compared = known === undefined ? "" : `, of the stable version's ${percent(known.failurePercent / 100)}`;
  const failing = `${count(failures)} of the canary's ${count(requests)} requests failed (${percent(failureShare)})${compared}`;
  if (failures >= CLEAR_FAILURES_MIN && lowerBound(failures, requests) > allowed)
    return { kind: "fail", message: failing };
  if (requests < analysis.minRequests) return { kind: "hold", message: failing };
  const slow = slowness(canary, analysis, known);
  if (slow !== undefined) return { kind: "fail", message: slow };
  if (failureShare > allowed) return { kind: "hold", message: `${failing}: not enough to tell whether that is chance` };
  return { kind: "pass", message: failing };
}

function slowness(canary: Numbers, analysis: Analysis, known: Measured | undefined): string | undefined {
  const { latencyMs } = measured(canary, analysis);
  const stableMs = known?.latencyMs;
  if (latencyMs === undefined || stableMs === undefined) return undefined;
  const allowedMs = stableMs * (1 + analysis.maxLatencyIncrease) + analysis.toleranceMs;
  if (latencyMs <= allowedMs) return undefined;
  return `the canary's ${analysis.quantile} is ${ms(latencyMs)}, the stable version's ${ms(stableMs)}: ${ms(allowedMs)} are allowed`;
}

function measured(numbers: Numbers, { quantile }: Analysis): Measured {
  const latencyMs = numbers[`${quantile}Ms`];
  return {
    requests: Math.round(numbers.requests),
    failurePercent: round(numbers.failureShare * 100),
    ...(latencyMs === undefined ? {} : { latencyMs: round(latencyMs) }),
  };
}

/** The least share that would still give so many failures in nineteen of twenty cases (Wilson's interval). */
function lowerBound(failures: number, requests: number): number {
  if (requests <= 0) return 0;
  const z = 1.645;
  const share = failures / requests;
  const middle = share + (z * z) / (2 * requests);
  const spread = z * Math.sqrt((share * (1 - share) + (z * z) / (4 * requests)) / requests);
  return (middle - spread) / (1 + (z * z) / requests);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function count(value: number): string {
  return String(Math.round(value));
}

function percent(share: number): string {
  return `${round(share * 100)} %`;
}

function ms(value: number): string {
  return `${round(value)} ms`;
}
