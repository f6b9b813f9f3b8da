// Whether a rule of telemetry is for what a workload calls, or for what calls it.

export type TelemetryMode = "CLIENT" | "SERVER";

interface Matching {
  readonly match?: { readonly mode?: TelemetryMode | "CLIENT_AND_SERVER" };
}

export function concerns(rule: Matching, mode: TelemetryMode): boolean {
  const wanted = rule.match?.mode ?? "CLIENT_AND_SERVER";
  return wanted === "CLIENT_AND_SERVER" || wanted === mode;
}
