// A ServiceEntry as the mesh sees it: one service for each of its hosts.

import type { ServiceEntry } from "../api/istio/service-entry.ts";
import { isCidr } from "../api/istio/service-entry-check.ts";
import type { PodResource } from "../ingest/resources.ts";
import { type Endpoint, isReady, matchesLabels, toEndpoint } from "./endpoint.ts";
import { type Finding, refOf } from "./finding.ts";
import { trafficDistribution } from "./locality.ts";
import { declaredProtocol, type Protocol, type Service, type ServicePort, TRAFFIC_DISTRIBUTION } from "./service.ts";
import { type Instance, type InstanceIndex, instanceEndpoint, instanceOf } from "./workload-entry.ts";

export interface EntryWorld {
  /** Namespace to its pods. */
  readonly pods: ReadonlyMap<string, readonly PodResource[]>;
  readonly instances: InstanceIndex;
  /** What was allocated to a host of the entry. */
  readonly allocated: (host: string) => readonly string[];
}

export function buildServiceEntry(entry: ServiceEntry, world: EntryWorld): readonly Service[] {
  const { spec, metadata } = entry;
  const namespace = metadata.namespace ?? "default";
  const resolution = spec.resolution ?? "NONE";
  const ports = (spec.ports ?? []).map(toPort).filter(({ protocol }) => protocol !== "udp");
  const workloads = selected(entry, world);
  return spec.hosts.map((written) => {
    const host = written.toLowerCase();
    const endpointsOf = (port: ServicePort) => endpointsFor({ entry, host, workloads }, port);
    return {
      source: refOf(entry),
      host,
      name: host,
      namespace,
      headless: false,
      addresses: (spec.addresses ?? []).flatMap((address) => (isCidr(address) ? wholeCidr(address) : [address])),
      subnets: (spec.addresses ?? []).filter((address) => isCidr(address) && wholeCidr(address).length === 0),
      allocated: world.allocated(host),
      ports,
      exportTo: spec.exportTo,
      sessionAffinity: false,
      trafficDistribution: trafficDistribution(undefined, metadata.annotations?.[TRAFFIC_DISTRIBUTION]),
      resolution,
      external: spec.location !== "MESH_INTERNAL",
      subjectAltNames: spec.subjectAltNames ?? [],
      endpoints: new Map(ports.map((port) => [port.number, endpointsOf(port)])),
    };
  });
}

/** A range of one address is that address. */
function wholeCidr(cidr: string): readonly string[] {
  const [address = "", length] = cidr.split("/");
  return length === (address.includes(":") ? "128" : "32") ? [address] : [];
}

function toPort(port: NonNullable<ServiceEntry["spec"]["ports"]>[number]): ServicePort {
  const declared = port.protocol.toLowerCase();
  const protocol = entryProtocol(declared);
  return { number: port.number, name: port.name, protocol, declared, targetPort: port.targetPort ?? port.number };
}

/** How weft carries a port that says its protocol. */
export function entryProtocol(protocol: string): Protocol {
  const declared = protocol.toLowerCase();
  return declared === "udp" ? "udp" : (declaredProtocol(declared) ?? "tcp");
}

interface Selected {
  readonly instances: readonly Instance[];
  readonly pods: readonly PodResource[];
}

function selected({ spec, metadata }: ServiceEntry, { pods, instances }: EntryWorld): Selected {
  const namespace = metadata.namespace ?? "default";
  if (spec.workloadSelector === undefined) {
    const own = (spec.endpoints ?? []).map((each) =>
      instanceOf(each, { namespace, name: "", labels: each.labels ?? {} }),
    );
    return { instances: own.filter((each) => each !== undefined), pods: [] };
  }
  const { labels } = spec.workloadSelector;
  return {
    instances: (instances.get(namespace) ?? []).filter((each) => matchesLabels(labels, each.labels)),
    pods: (pods.get(namespace) ?? []).filter((pod) => isReady(pod) && matchesLabels(labels, pod.metadata.labels ?? {})),
  };
}

interface Hosted {
  readonly entry: ServiceEntry;
  readonly host: string;
  readonly workloads: Selected;
}

function endpointsFor({ entry, host, workloads }: Hosted, port: ServicePort): readonly Endpoint[] {
  const { spec, metadata } = entry;
  const resolution = spec.resolution ?? "NONE";
  if (resolution === "NONE" || resolution === "DYNAMIC_DNS") return [];
  const target = typeof port.targetPort === "number" ? port.targetPort : port.number;
  const byName = resolution !== "STATIC";
  // An instance that has only a name is behind those entries that look names up.
  const instances = workloads.instances.filter(({ kind }) => byName || kind !== "name");
  const found = [
    ...instances.map((each) => instanceEndpoint(each, port)),
    ...workloads.pods.map((pod) => toEndpoint(pod.status?.podIP ?? "", target, pod)),
  ];
  const none = (spec.endpoints ?? []).length === 0 && spec.workloadSelector === undefined;
  if (!byName || !none) return found;
  const namespace = metadata.namespace ?? "default";
  const own = instanceOf({ address: host }, { namespace, name: "", labels: {} });
  return own === undefined ? [] : [instanceEndpoint(own, port)];
}

/** WorkloadEntries that an entry of resolution STATIC selects without being able to reach them. */
export function unreachableInstances(
  entry: ServiceEntry,
  { instances }: Pick<EntryWorld, "instances">,
): readonly Finding[] {
  const { spec, metadata } = entry;
  if (spec.resolution !== "STATIC" || spec.workloadSelector === undefined) return [];
  const { labels } = spec.workloadSelector;
  const named = (instances.get(metadata.namespace ?? "default") ?? []).filter(
    (each) => each.kind === "name" && matchesLabels(labels, each.labels),
  );
  return named.map(({ name, spec: { address } }) => ({
    resource: refOf(entry),
    type: "ignored",
    path: "spec.workloadSelector",
    message: `WorkloadEntry ${name} has the name ${address} as its address, which resolution STATIC doesn't look up: use DNS`,
  }));
}
