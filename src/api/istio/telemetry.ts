// Telemetry: what is told of a workload's traffic, and to whom. Tracing and access logs follow it; metrics do later.

import { type Static, Type } from "typebox";
import { ageColumn } from "../columns.ts";
import type { Kind } from "../kind.ts";
import type { KubeObject } from "../object.ts";
import { istioHead } from "./head.ts";
import { type Ineffective, warnIneffective } from "./ineffective.ts";
import { durationText, mapOf, meshStatus, oneOf, percent, targetRef, workloadSelector } from "./shapes.ts";

const workloadMode = oneOf(["CLIENT_AND_SERVER", "CLIENT", "SERVER"]);
const provider = Type.Object({ name: Type.String({ minLength: 1 }) });

const customTag = Type.Object({
  literal: Type.Optional(Type.Object({ value: Type.String({ minLength: 1 }) })),
  environment: Type.Optional(
    Type.Object({ name: Type.String({ minLength: 1 }), defaultValue: Type.Optional(Type.String()) }),
  ),
  header: Type.Optional(
    Type.Object({ name: Type.String({ minLength: 1 }), defaultValue: Type.Optional(Type.String()) }),
  ),
  formatter: Type.Optional(Type.Object({ value: Type.String({ minLength: 1 }) })),
});

const tracing = Type.Object({
  match: Type.Optional(Type.Object({ mode: Type.Optional(workloadMode) })),
  providers: Type.Optional(Type.Array(provider)),
  randomSamplingPercentage: Type.Optional(percent),
  disableSpanReporting: Type.Optional(Type.Boolean()),
  customTags: Type.Optional(mapOf(customTag)),
  enableIstioTags: Type.Optional(Type.Boolean()),
  useRequestIdForTraceSampling: Type.Optional(Type.Boolean()),
  disableContextPropagation: Type.Optional(Type.Boolean()),
});

const metricSelector = Type.Object({
  metric: Type.Optional(Type.String()),
  customMetric: Type.Optional(Type.String()),
  mode: Type.Optional(workloadMode),
});

const metrics = Type.Object({
  providers: Type.Optional(Type.Array(provider)),
  overrides: Type.Optional(
    Type.Array(
      Type.Object({
        match: Type.Optional(metricSelector),
        disabled: Type.Optional(Type.Boolean()),
        tagOverrides: Type.Optional(
          mapOf(
            Type.Object({
              operation: Type.Optional(oneOf(["UPSERT", "REMOVE"])),
              value: Type.Optional(Type.String()),
            }),
          ),
        ),
      }),
    ),
  ),
  reportingInterval: Type.Optional(durationText),
});

const accessLogging = Type.Object({
  match: Type.Optional(Type.Object({ mode: Type.Optional(workloadMode) })),
  providers: Type.Optional(Type.Array(provider)),
  disabled: Type.Optional(Type.Boolean()),
  filter: Type.Optional(Type.Object({ expression: Type.Optional(Type.String()) })),
});

const schema = Type.Object({
  spec: Type.Optional(
    Type.Object({
      selector: Type.Optional(workloadSelector),
      targetRef: Type.Optional(targetRef),
      targetRefs: Type.Optional(Type.Array(targetRef, { maxItems: 16 })),
      tracing: Type.Optional(Type.Array(tracing)),
      metrics: Type.Optional(Type.Array(metrics)),
      accessLogging: Type.Optional(Type.Array(accessLogging)),
    }),
  ),
  status: Type.Optional(meshStatus),
});

export type Telemetry = KubeObject & Static<typeof schema>;

export const telemetryIneffective: readonly Ineffective[] = [
  {
    field: "spec.targetRef",
    effect:
      "what it can name, Gateways of the Gateway API and waypoints, is not served, so it applies to no workload; a selector reaches gateways",
  },
  {
    field: "spec.targetRefs",
    effect:
      "what it can name, Gateways of the Gateway API and waypoints, is not served, so it applies to no workload; a selector reaches gateways",
  },
  { field: "spec.metrics", effect: "metrics are not changed by it yet" },
];

export const telemetryKind: Kind<Telemetry> = {
  ...istioHead("telemetry"),
  versions: ["v1", "v1alpha1"],
  kind: "Telemetry",
  plural: "telemetries",
  singular: "telemetry",
  shortNames: ["telemetry"],
  schema,
  columns: [ageColumn],
  check: (object) => warnIneffective(object, telemetryIneffective),
};
