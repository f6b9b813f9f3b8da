// The life of a rollout as a pure step from what is to what comes next. The status says what the VirtualService is to say
// before it says so: whoever starts again in the middle finds out from the two what is left to do.

import type { Canary, CanarySetting, CanaryStatus, Measured } from "../api/weft/canary.ts";
import type { Verdict } from "./judge.ts";
import { HISTORY_MAX, MEASURED_FOR_MS } from "./limits.ts";
import { type Plan, settingText } from "./plan.ts";

/** The VirtualService as it is now. */
export type Live =
  | { readonly kind: "missing" | "unmanaged"; readonly why: string }
  | {
      readonly kind: "routes";
      /** Its weights, for messages: `90/10`. */
      readonly text: string;
      says(setting: CanarySetting): boolean;
      original(): NonNullable<CanaryStatus["original"]>;
    };

export interface Observed {
  readonly nowMs: number;
  readonly live: Live;
  /** Endpoints of the new version that take requests. */
  readonly canaryEndpoints: number;
  readonly isPaused: boolean;
  readonly request: Canary["spec"]["request"];
  verdict(sinceMs: number, baseline: Measured | undefined): Verdict;
}

export interface Note {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

export interface Decision {
  readonly status: CanaryStatus;
  /** What the Virtualservice is to say now; to be written after the status. */
  readonly set: CanarySetting | undefined;
  readonly notes: readonly Note[];
}

const ORIGINAL: CanarySetting = { kind: "original" };
const ANY: CanarySetting = { kind: "any" };
const STABLE_ONLY: CanarySetting = { kind: "step", weight: 0 };

export function decide(plan: Plan, before: CanaryStatus | undefined, observed: Observed): Decision {
  const asked = observed.request;
  const isNew = asked !== undefined && asked.id !== before?.handledRequest;
  const status = isNew ? { ...before, handledRequest: asked.id } : (before ?? {});
  const action = isNew ? asked.action : undefined;
  const at: Turn = { plan, status, observed, action };
  switch (status.phase) {
    case undefined:
    case "Waiting":
      return waiting(at);
    case "Progressing":
      return progressing(at);
    case "Paused":
      return paused(at);
    case "RollingBack":
      return rollingBack(at);
    default:
      return action === "restart" ? waiting({ ...at, status: restarted(status) }) : stay(status);
  }
}

interface Turn {
  readonly plan: Plan;
  readonly status: CanaryStatus;
  readonly observed: Observed;
  readonly action: NonNullable<Canary["spec"]["request"]>["action"] | undefined;
}

function stay(status: CanaryStatus, set?: CanarySetting): Decision {
  return { status, set, notes: [] };
}

function restarted({ handledRequest, history }: CanaryStatus): CanaryStatus {
  return {
    ...(handledRequest === undefined ? {} : { handledRequest }),
    ...(history === undefined ? {} : { history }),
  };
}

function waiting(at: Turn): Decision {
  const { plan, status, observed, action } = at;
  const { live, canaryEndpoints, isPaused } = observed;
  const wait = (message: string): Decision => stay({ ...status, phase: "Waiting", message });
  if (action === "abort") return ended(at, "Aborted", "aborted before it began");
  if (live.kind !== "routes") return wait(live.why);
  if (canaryEndpoints === 0) return wait(`the subset ${plan.canary} has no ready endpoint yet`);
  if (isPaused) return wait("paused before it began");
  const begun: CanaryStatus = {
    ...status,
    original: live.original(),
    steps: plan.steps.length,
  };
  return enter({ ...at, status: begun }, 0, ORIGINAL, "Started");
}

/** Into a step: what comes before says what the VirtualService may say until it is written. */
function enter({ plan, status, observed }: Turn, index: number, from: CanarySetting, event: string): Decision {
  const setting = plan.steps[index]?.setting ?? STABLE_ONLY;
  const message = `step ${index + 1} of ${plan.steps.length}: ${settingText(setting)}`;
  const {
    stepStartedAt: _started,
    reason: _reason,
    canary: _canary,
    stable: _stable,
    measuredAt: _at,
    ...kept
  } = status;
  return noted(
    {
      ...kept,
      phase: "Progressing",
      step: index,
      weight: setting.weight ?? 0,
      setting,
      before: from,
      holds: 0,
      message,
    },
    { nowMs: observed.nowMs, event, note: { type: "Normal", reason: event, message } },
    setting,
  );
}

function progressing(at: Turn): Decision {
  const { plan, status, observed, action } = at;
  const { live, nowMs, isPaused } = observed;
  const setting = status.setting ?? STABLE_ONLY;
  if (action === "abort") return rollBack(at, "aborted on request");
  const isLast = (status.step ?? 0) + 1 >= plan.steps.length;
  if (action === "promoteAll" || (action === "promote" && isLast)) return enterLast(at);
  if (action === "promote") return advance(at);
  if (live.kind !== "routes") return pause(at, "Conflict", live.why);
  if (!live.says(setting)) {
    if (live.says(status.before ?? ANY)) return stay(status, setting);
    return pause(
      at,
      "Conflict",
      `the weights of the VirtualService are ${live.text}, which this rollout did not write (${settingText(setting)})`,
    );
  }
  if (status.isWhole === true) return ended(at, "Succeeded", "promoted on request: the canary has all requests");
  if (status.stepStartedAt === undefined) {
    return stay({ ...status, before: setting, stepStartedAt: timeText(nowMs) });
  }
  if (isPaused) return pause(at, "User", "paused on request");
  return judged(at, plan.steps[status.step ?? 0]?.intervalMs ?? 0);
}

function judged(at: Turn, intervalMs: number): Decision {
  const { plan, status, observed } = at;
  const startedMs = Date.parse(status.stepStartedAt ?? "");
  const holds = status.holds ?? 0;
  if (observed.canaryEndpoints === 0) return rollBack(at, `the subset ${plan.canary} has no ready endpoint any more`);
  const verdict = observed.verdict(startedMs, status.baseline);
  const seen = withMeasured(status, verdict, observed.nowMs);
  if (verdict.kind === "fail") return rollBack({ ...at, status: seen }, verdict.message);
  if (observed.nowMs < startedMs + intervalMs * (holds + 1)) return stay(seen);
  if (verdict.kind === "pass") return advance({ ...at, status: withBaseline(seen, verdict, plan) });
  const held = `step ${(status.step ?? 0) + 1} goes on: ${verdict.message}`;
  if (holds >= plan.analysis.maxHolds) {
    return pause({ ...at, status: seen }, "Inconclusive", `${verdict.message}, after ${holds + 1} intervals`);
  }
  return noted(
    { ...seen, holds: holds + 1, message: held },
    { nowMs: observed.nowMs, event: "Held", note: { type: "Warning", reason: "Held", message: held } },
    undefined,
  );
}

/** After the last step the canary has everything already. */
function advance(at: Turn): Decision {
  const { plan, status } = at;
  const next = (status.step ?? 0) + 1;
  if (next >= plan.steps.length) return ended(at, "Succeeded", "the canary has all requests");
  return enter(at, next, status.setting ?? ANY, "Advanced");
}

/** To the last step at once, and there to the end without being judged. */
function enterLast(at: Turn): Decision {
  const { plan, status } = at;
  return enter(
    { ...at, status: { ...status, isWhole: true } },
    plan.steps.length - 1,
    status.setting ?? ANY,
    "Promoted",
  );
}

function paused(at: Turn): Decision {
  const { plan, status, observed, action } = at;
  if (action === "abort") return rollBack(at, "aborted on request");
  const index = Math.min(status.step ?? 0, plan.steps.length - 1);
  if (action === "promoteAll" || (action === "promote" && index + 1 >= plan.steps.length)) {
    return enterLast({ ...at, status: { ...status, setting: ANY } });
  }
  if (action === "promote") return enter(at, index + 1, ANY, "Advanced");
  const isOver = status.reason === "User" ? !observed.isPaused : action === "resume";
  if (!isOver || observed.isPaused) return stay(status);
  return enter(at, index, ANY, "Resumed");
}

function pause({ status, observed }: Turn, reason: NonNullable<CanaryStatus["reason"]>, why: string): Decision {
  const message =
    reason === "User" ? why : `${why}. Go on with "weft canary resume", or give it up with "weft canary abort"`;
  return noted(
    { ...status, phase: "Paused", reason, message },
    {
      nowMs: observed.nowMs,
      event: "Paused",
      note: { type: reason === "User" ? "Normal" : "Warning", reason: `Paused${reason}`, message },
    },
    undefined,
  );
}

/** Back to the stable version, whatever the VirtualService says now. */
function rollBack({ status, observed }: Turn, message: string): Decision {
  const { reason: _reason, ...kept } = status;
  return noted(
    { ...kept, phase: "RollingBack", weight: 0, setting: STABLE_ONLY, before: ANY, message },
    { nowMs: observed.nowMs, event: "RollingBack", note: { type: "Warning", reason: "RollingBack", message } },
    STABLE_ONLY,
  );
}

function rollingBack(at: Turn): Decision {
  const { status, observed } = at;
  if (observed.live.kind === "routes" && !observed.live.says(STABLE_ONLY)) return stay(status, STABLE_ONLY);
  return ended(at, "Aborted", status.message ?? "aborted");
}

function ended({ status, observed }: Turn, phase: "Succeeded" | "Aborted", message: string): Decision {
  const { stepStartedAt: _started, reason: _reason, before: _before, isWhole: _whole, ...kept } = status;
  const type = phase === "Succeeded" ? "Normal" : "Warning";
  return noted(
    { ...kept, phase, message },
    { nowMs: observed.nowMs, event: phase, note: { type, reason: phase, message } },
    undefined,
  );
}

function noted(
  status: CanaryStatus,
  what: { readonly nowMs: number; readonly event: string; readonly note: Note },
  set: CanarySetting | undefined,
): Decision {
  const entry = {
    at: timeText(what.nowMs),
    step: status.step ?? 0,
    event: what.event,
    message: what.note.message,
  };
  const history = [...(status.history ?? []), entry].slice(-HISTORY_MAX);
  return { status: { ...status, history }, set, notes: [what.note] };
}

/** Numbers are written now and then, not with each look. */
function withMeasured(status: CanaryStatus, verdict: Verdict, nowMs: number): CanaryStatus {
  const { canary, stable } = verdict;
  if (canary === undefined || stable === undefined) return status;
  const isFresh = status.measuredAt !== undefined && nowMs - Date.parse(status.measuredAt) < MEASURED_FOR_MS;
  if (isFresh && verdict.kind !== "fail") return status;
  return { ...status, canary, stable, measuredAt: timeText(nowMs) };
}

/** How the stable version did is remembered for steps in which it has too few requests to be compared with. */
function withBaseline(status: CanaryStatus, { stable }: Verdict, { analysis }: Plan): CanaryStatus {
  return stable === undefined || stable.requests < analysis.minRequests ? status : { ...status, baseline: stable };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}
