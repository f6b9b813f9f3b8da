// What a Canary asks for, with every default filled in.

import { parseDurationMs } from "../api/istio/rules.ts";
import type { CanarySetting, CanarySpec } from "../api/weft/canary.ts";

export interface PlanStep {
  readonly setting: CanarySetting;
  readonly intervalMs: number;
}

export interface Analysis {
  /** Fewer requests than these tell nothing. */
  readonly minRequests: number;
  /** How much larger the canary's share of failures may be: 0.01 is one of a hundred requests. */
  readonly maxFailureIncrease: number;
  readonly quantile: "p50" | "p90" | "p99";
  readonly maxLatencyIncrease: number;
  /** Added to what is allowed, so that small numbers may differ. */
  readonly toleranceMs: number;
  /** How often a step is gone on with because it can't be told yet. */
  readonly maxHolds: number;
}

export interface Plan {
  readonly stable: string;
  readonly canary: string;
  /** Never empty; the last one gives the canary everything. */
  readonly steps: readonly PlanStep[];
  readonly analysis: Analysis;
}

export const DEFAULT_WEIGHTS: readonly number[] = [10, 25, 50, 100];
export const DEFAULT_INTERVAL = "5m";

export function planOf(spec: CanarySpec): Plan {
  const generalMs = parseDurationMs(spec.interval ?? DEFAULT_INTERVAL) ?? 0;
  const written = spec.steps ?? DEFAULT_WEIGHTS.map((weight) => ({ weight }));
  const last = written.at(-1)?.weight;
  const { analysis } = spec;
  return {
    stable: spec.stable,
    canary: spec.canary,
    steps: [...written, ...(last === 100 ? [] : [{ weight: 100 }])].map((step, index, all) => ({
      setting: settingOf(step, all.slice(0, index)),
      intervalMs: ("interval" in step ? parseDurationMs(step.interval ?? "") : undefined) ?? generalMs,
    })),
    analysis: {
      minRequests: analysis?.minRequests ?? 50,
      maxFailureIncrease: (analysis?.maxFailureIncrease ?? 1) / 100,
      quantile: analysis?.latency?.quantile ?? "p90",
      maxLatencyIncrease: (analysis?.latency?.maxIncreasePercent ?? 50) / 100,
      toleranceMs: parseDurationMs(analysis?.latency?.tolerance ?? "25ms") ?? 0,
      maxHolds: analysis?.maxHolds ?? 6,
    },
  };
}

type Step = NonNullable<CanarySpec["steps"]>[number];

/** A step by header or mirror keeps the weight that there was. */
function settingOf(step: Step, earlier: readonly Step[]): CanarySetting {
  const weight = step.weight ?? earlier.findLast((each) => each.weight !== undefined)?.weight ?? 0;
  return {
    kind: "step",
    weight,
    ...(step.headers === undefined ? {} : { headers: step.headers }),
    ...(step.mirror === undefined ? {} : { mirror: step.mirror }),
  };
}

/** `25 %`, `requests with x-canary`, `a copy of 10 %`. */
export function settingText(setting: CanarySetting): string {
  if (setting.kind !== "step") return setting.kind;
  if (setting.headers !== undefined) return `requests with ${Object.keys(setting.headers).join(", ")}`;
  if (setting.mirror !== undefined) return `a copy of ${setting.mirror} %`;
  return `${setting.weight ?? 0} %`;
}
