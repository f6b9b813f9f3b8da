// Telemetry: whether the providers that it names exist.

import type { Telemetry } from "../api/istio/telemetry.ts";
import { refOf } from "../model/finding.ts";
import { type NamedProvider, tracingProviders } from "../model/telemetry.ts";
import { resolveTracer, TRACING_PORTS } from "../model/trace-target.ts";
import { type Finding, finding } from "./finding.ts";
import type { World } from "./world.ts";

export function analyzeTelemetry(world: World): readonly Finding[] {
  const { snapshot } = world;
  const telemetries = [...snapshot.resources.telemetries.values()];
  return [
    ...telemetries.flatMap(emptyProviders),
    ...tracingProviders(snapshot.telemetry).flatMap((named) => provider(named, world)),
    ...rivals(telemetries),
  ];
}

function emptyProviders(telemetry: Telemetry): readonly Finding[] {
  const resource = refOf(telemetry);
  return (telemetry.spec?.tracing ?? []).flatMap(({ providers }, i) => {
    if (providers?.length !== 0) return [];
    const message = `The Telemetry ${resource.name} in namespace "${resource.namespace}" with empty providers will be ignored.`;
    return [finding("IST0157", { resource, path: `spec.tracing[${i}].providers` }, message, "Name a provider.")];
  });
}

function provider({ resource, path, name }: NamedProvider, { snapshot }: World): readonly Finding[] {
  const target = resolveTracer(name, snapshot);
  const numbers = TRACING_PORTS.map(({ port }) => port).join(", ");
  const { rootNamespace } = snapshot.mesh;
  if (!target.ok) {
    return [
      finding(
        "WEFT0301",
        { resource, path },
        `${target.error}: no span will be sent`,
        `Add a Service ${name} to ${rootNamespace} with one of the ports ${numbers}, or correct the name.`,
      ),
    ];
  }
  const { isGuess, service, port } = target.value;
  if (!isGuess) return [];
  const words = TRACING_PORTS.find((each) => each.port === port)?.words;
  return [
    finding(
      "WEFT0302",
      { resource, path },
      `the provider ${name} is defined nowhere; it stands for the Service ${service}, port ${port} (${words}). Istio would send no spans and say nothing`,
      "Nothing to do here; for Istio, define it in the mesh config's extensionProviders.",
    ),
  ];
}

function rivals(telemetries: readonly Telemetry[]): readonly Finding[] {
  const general = telemetries.filter(
    ({ spec }) => spec?.selector === undefined && spec?.targetRef === undefined && spec?.targetRefs === undefined,
  );
  return general.flatMap((telemetry) => {
    const { namespace } = telemetry.metadata;
    const names = general.filter((each) => each.metadata.namespace === namespace).map((each) => each.metadata.name);
    if (names.length < 2) return [];
    const message = `The Telemetries [${names.sort().join(" ")}] in namespace "${namespace}" have no workload selector, which can lead to undefined behavior.`;
    return [finding("IST0160", { resource: refOf(telemetry), path: "spec" }, message, "Merge them into one.")];
  });
}
