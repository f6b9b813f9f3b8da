// Telemetry: whether the providers that it names exist.

import type { Telemetry } from "../api/istio/telemetry.ts";
import type { ServicePortSpec } from "../ingest/resources.ts";
import { refOf } from "../model/finding.ts";
import { type Finding, finding } from "./finding.ts";
import type { World } from "./world.ts";

/** By port: what a tracing backend speaks there. */
const TRACING_PORTS: Readonly<Record<number, string>> = {
  6831: "Jaeger thrift-compact over UDP",
  4317: "OTLP over gRPC",
  4318: "OTLP over HTTP",
  9411: "Zipkin",
  14250: "Jaeger over gRPC",
};

export function analyzeTelemetry(world: World): readonly Finding[] {
  const telemetries = [...world.snapshot.resources.telemetries.values()];
  return [...telemetries.flatMap((telemetry) => providers(telemetry, world)), ...rivals(telemetries)];
}

function providers(telemetry: Telemetry, world: World): readonly Finding[] {
  const resource = refOf(telemetry);
  return (telemetry.spec?.tracing ?? []).flatMap((tracing, i) => {
    if (tracing.providers?.length === 0) {
      const message = `The Telemetry ${resource.name} in namespace "${resource.namespace}" with empty providers will be ignored.`;
      return [finding("IST0157", { resource, path: `spec.tracing[${i}].providers` }, message, "Name a provider.")];
    }
    return (tracing.providers ?? []).map(({ name }, j) =>
      provider(name, { resource, path: `spec.tracing[${i}].providers[${j}].name` }, world),
    );
  });
}

function provider(name: string, at: Pick<Finding, "resource" | "path">, world: World): Finding {
  const root = world.snapshot.mesh.rootNamespace;
  const ports = world.snapshot.resources.services.get(`${root}/${name}`)?.spec?.ports;
  const known = ports?.find((port) => TRACING_PORTS[port.port] !== undefined);
  if (known !== undefined) {
    return finding(
      "WEFT0302",
      at,
      `the provider ${name} is defined nowhere; it stands for the Service ${root}/${name}, port ${describePort(known)}. Istio would send no spans and say nothing`,
      "Nothing to do here; for Istio, define it in the mesh config's extensionProviders.",
    );
  }
  const reason =
    ports === undefined
      ? `there is no Service ${root}/${name}`
      : `the Service ${root}/${name} has none of the ports ${Object.keys(TRACING_PORTS).join(", ")}`;
  return finding(
    "WEFT0301",
    at,
    `the provider ${name} is defined nowhere, and ${reason}: no span will be sent`,
    `Add a Service ${name} to ${root} with one of the ports ${Object.keys(TRACING_PORTS).join(", ")}, or correct the name.`,
  );
}

function describePort(port: ServicePortSpec): string {
  return `${port.port} (${TRACING_PORTS[port.port]})`;
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
