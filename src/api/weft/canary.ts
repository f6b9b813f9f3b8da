// Canary: a new version gets its share of a service's requests step by step, for as long as it does as well as the old one.

import { type Static, Type } from "typebox";
import { ageColumn, pathColumn } from "../columns.ts";
import { errorIssue, type Issue } from "../issue.ts";
import { checkDuration } from "../istio/rules.ts";
import { condition, durationText, mapOf, oneOf, percent, stringMatch } from "../istio/shapes.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";

/** Steps of one Canary. */
const STEPS_MAX = 50;

const step = Type.Object({
  weight: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
  headers: Type.Optional(mapOf(stringMatch, { minProperties: 1 })),
  mirror: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  interval: Type.Optional(durationText),
});

const analysis = Type.Object({
  minRequests: Type.Optional(Type.Integer({ minimum: 1 })),
  maxFailureIncrease: Type.Optional(percent),
  latency: Type.Optional(
    Type.Object({
      quantile: Type.Optional(oneOf(["p50", "p90", "p99"])),
      maxIncreasePercent: Type.Optional(Type.Number({ minimum: 0 })),
      tolerance: Type.Optional(durationText),
    }),
  ),
  maxHolds: Type.Optional(Type.Integer({ minimum: 0 })),
});

const setting = Type.Object({
  /** `original`: as it was before the Canary; `any`: whatever it is. */
  kind: oneOf(["original", "any", "step"]),
  weight: Type.Optional(Type.Integer()),
  headers: Type.Optional(mapOf(stringMatch)),
  mirror: Type.Optional(Type.Integer()),
});

const measured = Type.Object({
  requests: Type.Number(),
  failurePercent: Type.Number(),
  latencyMs: Type.Optional(Type.Number()),
});

const status = Type.Object({
  phase: Type.Optional(oneOf(["Waiting", "Progressing", "Paused", "RollingBack", "Succeeded", "Aborted"])),
  /** Why it is paused. */
  reason: Type.Optional(oneOf(["User", "Conflict", "Inconclusive"])),
  step: Type.Optional(Type.Integer()),
  steps: Type.Optional(Type.Integer()),
  /** The canary's share as the VirtualService is to say it. */
  weight: Type.Optional(Type.Integer()),
  message: Type.Optional(Type.String()),
  stepStartedAt: Type.Optional(Type.String()),
  holds: Type.Optional(Type.Integer()),
  setting: Type.Optional(setting),
  before: Type.Optional(setting),
  isWhole: Type.Optional(Type.Boolean()),
  original: Type.Optional(
    Type.Array(
      Type.Object({
        route: Type.String(),
        stable: Type.Optional(Type.Integer()),
        canary: Type.Optional(Type.Integer()),
      }),
    ),
  ),
  canary: Type.Optional(measured),
  stable: Type.Optional(measured),
  measuredAt: Type.Optional(Type.String()),
  baseline: Type.Optional(measured),
  handledRequest: Type.Optional(Type.String()),
  history: Type.Optional(
    Type.Array(
      Type.Object({
        at: Type.String(),
        step: Type.Integer(),
        event: Type.String(),
        message: Type.String(),
      }),
    ),
  ),
  conditions: Type.Optional(Type.Array(condition)),
  observedGeneration: Type.Optional(Type.Integer()),
});

const schema = Type.Object({
  spec: Type.Object({
    virtualService: Type.Optional(Type.String({ minLength: 1 })),
    stable: Type.String({ minLength: 1 }),
    canary: Type.String({ minLength: 1 }),
    steps: Type.Optional(Type.Array(step, { maxItems: STEPS_MAX })),
    interval: Type.Optional(durationText),
    analysis: Type.Optional(analysis),
    paused: Type.Optional(Type.Boolean()),
    request: Type.Optional(
      Type.Object({
        id: Type.String({ minLength: 1 }),
        action: oneOf(["promote", "promoteAll", "resume", "abort", "restart"]),
      }),
    ),
  }),
  status: Type.Optional(status),
});

export type Canary = KubeObject & Static<typeof schema>;
export type CanarySpec = Canary["spec"];
export type CanaryStatus = Static<typeof status>;
export type CanarySetting = Static<typeof setting>;
export type Measured = Static<typeof measured>;

/** While a Canary has this, deleting it first gives its VirtualService back. */
export const CANARY_FINALIZER = "weft.dev/canary";

export const canaryKind: Kind<Canary> = {
  group: "weft.dev",
  versions: ["v1alpha1"],
  kind: "Canary",
  plural: "canaries",
  singular: "canary",
  shortNames: ["cn"],
  categories: [],
  namespaced: true,
  origin: "custom",
  subresources: ["status"],
  summary:
    "Canary gives a new version its share of a service's requests step by step, and takes it back where it does worse.",
  schema,
  columns: [
    pathColumn("Phase", ".status.phase"),
    pathColumn("Step", ".status.step"),
    pathColumn("Weight", ".status.weight"),
    pathColumn("Message", ".status.message"),
    ageColumn,
  ],
  check: ({ spec }) => [
    ...(spec.stable === spec.canary ? [errorIssue("spec.canary", "must be another subset than spec.stable")] : []),
    ...checkDuration(spec.interval, "spec.interval"),
    ...checkDuration(spec.analysis?.latency?.tolerance, "spec.analysis.latency.tolerance", 0),
    ...(spec.steps ?? []).flatMap((each, index) => checkStep(each, spec.steps ?? [], index)),
  ],
};

type Step = NonNullable<CanarySpec["steps"]>[number];

function checkStep(one: Step, all: readonly Step[], index: number): readonly Issue[] {
  const path = `spec.steps[${index}]`;
  const said = [one.weight, one.headers, one.mirror].filter((part) => part !== undefined).length;
  const before = all.slice(0, index).findLast(({ weight }) => weight !== undefined)?.weight ?? 0;
  return [
    ...(said === 1 ? [] : [errorIssue(path, "a step is one of weight, headers and mirror")]),
    ...(one.weight !== undefined && one.weight < before
      ? [errorIssue(`${path}.weight`, `must not be below the ${before} of a step before it`)]
      : []),
    ...checkDuration(one.interval, `${path}.interval`),
  ];
}
