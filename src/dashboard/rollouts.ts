// The rollouts under way and those that are over, and what may be asked of one.

import type { KubeClient } from "../api/client.ts";
import { type Canary, type CanarySpec, canaryKind, type Measured } from "../api/weft/canary.ts";
import { err, ok, type Result } from "../base/result.ts";
import { planOf, settingText } from "../canary/plan.ts";
import { ROWS_MAX } from "./limits.ts";
import type { RolloutAction, RolloutFigures, RolloutList, RolloutRow } from "./shapes.ts";

export type RolloutClient = Pick<KubeClient, "list" | "mergePatch">;

export async function listRollouts(client: Pick<RolloutClient, "list">): Promise<Result<RolloutList, string>> {
  const listed = await client.list(canaryKind);
  if (!listed.ok) return err(listed.error.message);
  return ok({ rows: listed.value.slice(0, ROWS_MAX).map(rolloutRow).sort(underWayFirst) });
}

export function isRolloutAction(text: string): text is RolloutAction {
  return Object.hasOwn(BODIES, text);
}

/** As `weft canary` asks: by a field of the Canary, which the control plane carries out. */
export async function steerRollout(
  client: Pick<RolloutClient, "mergePatch">,
  ref: { readonly namespace: string; readonly name: string },
  asked: { readonly action: RolloutAction; readonly id: string },
): Promise<Result<void, string>> {
  const patched = await client.mergePatch(canaryKind, ref, { body: { spec: BODIES[asked.action](asked.id) } });
  return patched.ok ? ok(undefined) : err(patched.error.message);
}

const BODIES: Readonly<Record<RolloutAction, (id: string) => Pick<CanarySpec, "paused" | "request">>> = {
  promote: (id) => ({ request: { id, action: "promote" } }),
  pause: () => ({ paused: true }),
  resume: (id) => ({ paused: false, request: { id, action: "resume" } }),
  abort: (id) => ({ request: { id, action: "abort" } }),
};

function rolloutRow({ metadata, spec, status = {} }: Canary): RolloutRow {
  const { phase = "Waiting", message = "", step = 0, holds = 0, stepStartedAt = "", history = [] } = status;
  return {
    namespace: metadata.namespace ?? "",
    name: metadata.name,
    stable: spec.stable,
    canary: spec.canary,
    phase,
    message,
    step,
    holds,
    stepStartedAt,
    steps: planOf(spec).steps.map(({ setting, intervalMs }) => ({ text: settingText(setting), intervalMs })),
    figures: { canary: figuresOf(status.canary), stable: figuresOf(status.stable) },
    history: history.toReversed().map(({ at, event, message: text }) => ({ at, event, message: text })),
  };
}

function figuresOf(measured: Measured | undefined): RolloutFigures | undefined {
  if (measured === undefined) return undefined;
  const { requests, failurePercent, latencyMs } = measured;
  return { requests, failurePercent, latencyMs };
}

const OVER = new Set(["Succeeded", "Aborted"]);

function underWayFirst(one: RolloutRow, other: RolloutRow): number {
  const late = Number(OVER.has(one.phase)) - Number(OVER.has(other.phase));
  return late !== 0 ? late : `${one.namespace}/${one.name}` < `${other.namespace}/${other.name}` ? -1 : 1;
}
