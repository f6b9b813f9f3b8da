// What is wrong with the mesh as a whole, under the names of the metrics that count it. Pure.

import type { Service } from "../model/service.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";

/** Istio's metrics of the push context: each a list of what has the problem. */
export type MeshProblems = Readonly<Record<ProblemName, readonly string[]>>;

export const PROBLEMS = [
  "pilot_no_ip",
  "pilot_eds_no_instances",
  "pilot_endpoint_not_ready",
  "pilot_destrule_subsets",
  "pilot_vservice_dup_domain",
  "pilot_duplicate_envoy_clusters",
  "pilot_conflict_inbound_listener",
  "pilot_conflict_outbound_listener_tcp_over_current_tcp",
] as const;
type ProblemName = (typeof PROBLEMS)[number];

export function meshProblems(snapshot: MeshSnapshot): MeshProblems {
  const services = [...snapshot.services.values()];
  return {
    pilot_no_ip: podsWithoutAddress(snapshot),
    pilot_eds_no_instances: services.flatMap(({ host, ports, endpoints }) =>
      ports
        .filter(({ number }) => (endpoints.get(number) ?? []).length === 0)
        .map(({ number }) => `outbound|${number}||${host}`),
    ),
    pilot_endpoint_not_ready: notReady(snapshot),
    pilot_destrule_subsets: conflicts(snapshot, "DestinationRule", "spec.subsets"),
    pilot_vservice_dup_domain: conflicts(snapshot, "VirtualService", "spec.hosts"),
    pilot_duplicate_envoy_clusters: duplicateClusters(services),
    pilot_conflict_inbound_listener: inboundConflicts(snapshot),
    pilot_conflict_outbound_listener_tcp_over_current_tcp: outboundConflicts(snapshot),
  };
}

/** Two of a service's ports that make the same cluster. */
function duplicateClusters(services: readonly Service[]): readonly string[] {
  return services.flatMap(({ host, ports }) =>
    ports
      .filter(({ number }, i) => ports.findIndex((other) => other.number === number) !== i)
      .map(({ number }) => `outbound|${number}||${host}`),
  );
}

/** Pods that an endpoint could stand for, were there an address. */
function podsWithoutAddress({ resources }: MeshSnapshot): readonly string[] {
  return [...resources.pods]
    .filter(
      ([, { status }]) => (status?.podIP ?? "") === "" && status?.phase !== "Succeeded" && status?.phase !== "Failed",
    )
    .map(([key]) => key);
}

function notReady({ slices }: MeshSnapshot): readonly string[] {
  return [...slices.byService].flatMap(([key, all]) =>
    all.flatMap(({ endpoints }) =>
      endpoints
        .filter(({ conditions }) => conditions?.ready === false && conditions.terminating !== true)
        .flatMap(({ addresses }) => addresses.map((address) => `${key} ${address}`)),
    ),
  );
}

function conflicts({ findings }: MeshSnapshot, kind: string, field: string): readonly string[] {
  return findings
    .filter(({ type, resource, path }) => type === "conflict" && resource.kind === kind && path.startsWith(field))
    .map(({ resource, path, message }) => `${resource.namespace}/${resource.name}: ${path}: ${message}`);
}

/** Services that call the same port of a pod by different protocols. */
function inboundConflicts({ services }: MeshSnapshot): readonly string[] {
  const protocols = new Map<string, Set<string>>();
  for (const { endpoints, ports } of services.values()) {
    for (const { number, protocol } of ports) {
      for (const { address, port } of endpoints.get(number) ?? []) {
        const key = `${address}:${port}`;
        protocols.set(key, (protocols.get(key) ?? new Set()).add(protocol));
      }
    }
  }
  return [...protocols].filter(([, used]) => used.size > 1).map(([key, used]) => `${key} ${[...used].join(", ")}`);
}

/** Services with one address and one TCP port in common, of which only the first can have the listener. */
function outboundConflicts({ services }: MeshSnapshot): readonly string[] {
  const owners = new Map<string, string>();
  const found: string[] = [];
  for (const { host, addresses, ports } of services.values()) {
    for (const address of addresses) {
      for (const { number, protocol } of ports) {
        if (protocol !== "tcp") continue;
        const owner = owners.get(`${address}_${number}`);
        if (owner === undefined) owners.set(`${address}_${number}`, host);
        else found.push(`${address}_${number} ${owner}, ${host}`);
      }
    }
  }
  return found;
}
