// Telemetry resources by the workloads that they select, and what they and MeshConfig together say of a workload's tracing.

import type { Telemetry } from "../api/istio/telemetry.ts";
import { compileFormat } from "../observe/format.ts";
import { accessLogFindings } from "./access-log.ts";
import { type ByNamespace, byNamespace, rivalFindings, type Subject, WHOLE_NAMESPACE } from "./by-namespace.ts";
import { matchesLabels } from "./endpoint.ts";
import { type Finding, type ResourceRef, refOf } from "./finding.ts";
import type { MeshConfig } from "./mesh-config.ts";
import { concerns, type TelemetryMode } from "./telemetry-mode.ts";
import { type ProviderWorld, resolveTracer, type TraceTarget } from "./trace-target.ts";

export type TelemetryIndex = ByNamespace<Telemetry>;
type Tracing = NonNullable<NonNullable<Telemetry["spec"]>["tracing"]>[number];
export type CustomTags = NonNullable<Tracing["customTags"]>;

export function indexTelemetry(telemetries: Iterable<Telemetry>): {
  readonly index: TelemetryIndex;
  readonly findings: readonly Finding[];
} {
  const index = byNamespace(telemetries);
  const findings = rivalFindings(index, "spec", (each) => (isGeneral(each) ? WHOLE_NAMESPACE : undefined));
  return { index, findings };
}

function isGeneral({ spec }: Telemetry): boolean {
  return !isSelective(spec) && spec?.targetRef === undefined && spec?.targetRefs === undefined;
}

function isSelective(spec: Telemetry["spec"]): boolean {
  return Object.keys(spec?.selector?.matchLabels ?? {}).length > 0;
}

/** Those that hold, the most general first: each says more than the ones before it. */
export function telemetriesOf(index: TelemetryIndex, subject: Subject, mesh: MeshConfig): readonly Telemetry[] {
  const own = index.get(subject.namespace) ?? [];
  const general = new Set([mesh.rootNamespace, subject.namespace]);
  const selective = own.find(
    ({ spec }) => isSelective(spec) && matchesLabels(spec?.selector?.matchLabels, subject.labels),
  );
  return [...[...general].map((namespace) => (index.get(namespace) ?? []).find(isGeneral)), selective].filter(
    (each) => each !== undefined,
  );
}

export interface TracingRule {
  readonly target: TraceTarget;
  readonly samplingPercent: number;
  readonly customTags: CustomTags;
  readonly useRequestId: boolean;
  readonly enableIstioTags: boolean;
  readonly propagates: boolean;
  readonly pathLengthMax: number | undefined;
}

const SAMPLING_PERCENT = 1;

/** What holds where no Telemetry says it. */
export interface TracingDefaults {
  readonly sampling?: number;
  readonly maxPathTagLength?: number;
}

/** Undefined: no tracing. `own`: of the proxy itself, before the mesh's. */
export function tracingOf(
  telemetries: readonly Telemetry[],
  mode: TelemetryMode,
  world: ProviderWorld,
  own: TracingDefaults = {},
): TracingRule | undefined {
  const { settings } = world.mesh;
  const rules = telemetries.flatMap(({ spec }) => spec?.tracing ?? []).filter((rule) => concerns(rule, mode));
  const given = <K extends keyof Tracing>(key: K): Tracing[K] | undefined =>
    rules.findLast((rule) => rule[key] !== undefined)?.[key];
  const provider =
    rules.findLast(({ providers }) => (providers ?? []).length > 0)?.providers?.[0]?.name ??
    settings.defaultProviders?.tracing?.[0];
  if (provider === undefined || given("disableSpanReporting") === true) return undefined;
  const target = resolveTracer(provider, world);
  if (!target.ok) return undefined;
  const general: TracingDefaults = { ...settings.defaultConfig?.tracing, ...own };
  return {
    target: target.value,
    samplingPercent: given("randomSamplingPercentage") ?? general.sampling ?? SAMPLING_PERCENT,
    customTags: Object.fromEntries(
      Object.entries(given("customTags") ?? {}).filter(([, tag]) => problemOf(tag) === undefined),
    ),
    useRequestId: given("useRequestIdForTraceSampling") ?? true,
    enableIstioTags: given("enableIstioTags") ?? true,
    propagates: given("disableContextPropagation") !== true,
    pathLengthMax: target.value.pathLengthMax ?? general.maxPathTagLength,
  };
}

export interface NamedProvider {
  readonly resource: ResourceRef;
  readonly path: string;
  readonly name: string;
}

/** Every tracing provider that a Telemetry names. */
export function tracingProviders(index: TelemetryIndex): readonly NamedProvider[] {
  return [...index.values()].flat().flatMap((telemetry) =>
    (telemetry.spec?.tracing ?? []).flatMap(({ providers }, i) =>
      (providers ?? []).map(({ name }, j) => ({
        resource: refOf(telemetry),
        path: `spec.tracing[${i}].providers[${j}].name`,
        name,
      })),
    ),
  );
}

/** Why a tag can't be written. */
function problemOf({ formatter }: CustomTags[string]): string | undefined {
  const compiled = formatter === undefined ? undefined : compileFormat(formatter.value);
  return compiled?.ok === false ? compiled.error : undefined;
}

export function telemetryFindings(index: TelemetryIndex, world: ProviderWorld): readonly Finding[] {
  const all = [...index.values()].flat();
  return [
    ...tracerFindings(index, world),
    ...all.flatMap(tagFindings),
    ...all.flatMap((telemetry) => accessLogFindings(telemetry, world)),
  ];
}

function tagFindings(telemetry: Telemetry): readonly Finding[] {
  const resource = refOf(telemetry);
  return (telemetry.spec?.tracing ?? []).flatMap(({ customTags = {} }, i) =>
    Object.entries(customTags).flatMap(([name, tag]): readonly Finding[] => {
      const problem = problemOf(tag);
      const path = `spec.tracing[${i}].customTags[${name}].formatter.value`;
      return problem === undefined ? [] : [{ resource, type: "ignored", path, message: problem }];
    }),
  );
}

/** Providers that lead nowhere. */
function tracerFindings(index: TelemetryIndex, world: ProviderWorld): readonly Finding[] {
  return tracingProviders(index).flatMap(({ resource, path, name }): readonly Finding[] => {
    const target = resolveTracer(name, world);
    if (target.ok) return [];
    return [{ resource, type: "reference", path, message: `${target.error}: no span will be sent` }];
  });
}
