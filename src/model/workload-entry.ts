// Instances that are no pods: WorkloadEntries, and what ServiceEntries write as endpoints.

import type { WorkloadEntry, WorkloadEntrySpec } from "../api/istio/workload-entry.ts";
import { type AddressKind, addressKind } from "../api/istio/workload-entry-check.ts";
import type { Endpoint } from "./endpoint.ts";
import { labelledLocality } from "./locality.ts";
import type { ServicePort } from "./service.ts";

export interface Instance {
  readonly spec: WorkloadEntrySpec;
  readonly kind: AddressKind;
  readonly namespace: string;
  /** A WorkloadEntry's own; empty for an endpoint without one. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Namespace to its WorkloadEntries that may be called, in the order of their names. */
export type InstanceIndex = ReadonlyMap<string, readonly Instance[]>;

export function indexInstances(entries: ReadonlyMap<string, WorkloadEntry>): InstanceIndex {
  const index = new Map<string, Instance[]>();
  for (const key of [...entries.keys()].sort()) {
    const entry = entries.get(key);
    if (entry === undefined || !isHealthy(entry)) continue;
    const namespace = entry.metadata.namespace ?? "default";
    const labels = { ...entry.metadata.labels, ...entry.spec.labels };
    const instance = instanceOf(entry.spec, { namespace, name: entry.metadata.name, labels });
    if (instance === undefined) continue;
    const list = index.get(namespace);
    if (list === undefined) index.set(namespace, [instance]);
    else list.push(instance);
  }
  return index;
}

/** Undefined where nothing can be reached: an instance of another network. */
export function instanceOf(
  spec: WorkloadEntrySpec,
  of: Pick<Instance, "namespace" | "name" | "labels">,
): Instance | undefined {
  const kind = addressKind(spec.address ?? "");
  return kind === undefined ? undefined : { spec, kind, ...of };
}

/** `portName`: under which the instance may say another number. */
export function instanceEndpoint(instance: Instance, port: ServicePort, portName = port.name): Endpoint {
  const { spec, kind, namespace, name, labels } = instance;
  const fallback = typeof port.targetPort === "number" ? port.targetPort : port.number;
  return {
    address: spec.address ?? "",
    port: kind === "unix" ? 0 : (spec.ports?.[portName] ?? fallback),
    weight: Math.max(1, spec.weight ?? 1),
    locality: spec.locality ?? labelledLocality(labels),
    node: "",
    labels,
    namespace,
    pod: name,
    hostname: name,
    serviceAccount: spec.serviceAccount ?? "",
    workload: "",
    hasSidecar: hasSidecar(spec, labels),
  };
}

const HEALTH_CHECKS = "proxy.istio.io/health-checks-enabled";

/** Whoever probes it says so in its status. */
function isHealthy({ metadata, status }: WorkloadEntry): boolean {
  const told = status?.conditions?.find(({ type }) => type === "Healthy")?.status;
  if (told === undefined) return metadata.annotations?.[HEALTH_CHECKS] !== "true";
  return told === "True";
}

/** The label says it; without one, an instance that has an account has a sidecar to prove it. */
function hasSidecar(spec: WorkloadEntrySpec, labels: Readonly<Record<string, string>>): boolean {
  const mode = labels["security.istio.io/tlsMode"];
  return mode === undefined ? (spec.serviceAccount ?? "") !== "" : mode === "istio";
}
