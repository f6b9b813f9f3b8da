// What the EndpointSlices of a Service hold: ports and addresses of the pods behind it. Pure.

import type { Endpoint, EndpointPort } from "../api/kubernetes/endpoint-slice.ts";
import type { Pod } from "../api/kubernetes/pod.ts";
import { matchesSelector } from "../api/kubernetes/selector-match.ts";
import type { Service, ServicePort } from "../api/kubernetes/service.ts";
import { canonicalJson } from "../base/equal.ts";
import { ENDPOINTS_PER_SLICE_MAX } from "./limits.ts";
import { isFinished, isReady } from "./pod-state.ts";

export interface SliceContents {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

export function hasAddress(pod: Pod): boolean {
  return pod.status?.podIP !== undefined && !isFinished(pod);
}

/** One slice for each set of ports (a named port may have another number in another pod), cut where it gets too long. */
export function contentsOf(service: Service, pods: readonly Pod[]): readonly SliceContents[] {
  const groups = new Map<string, { readonly ports: readonly EndpointPort[]; readonly endpoints: Endpoint[] }>();
  const sorted = [...pods].sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  for (const pod of sorted) {
    const ports = portsFor(service, pod);
    const key = canonicalJson(ports);
    const group = groups.get(key) ?? { ports, endpoints: [] };
    group.endpoints.push(endpointOf(service, pod));
    groups.set(key, group);
  }
  if (groups.size === 0) return [{ ports: portsFor(service, undefined), endpoints: [] }];
  return [...groups.values()].flatMap(({ ports, endpoints }) => {
    const parts: SliceContents[] = [];
    for (let start = 0; start < endpoints.length; start += ENDPOINTS_PER_SLICE_MAX) {
      parts.push({ ports, endpoints: endpoints.slice(start, start + ENDPOINTS_PER_SLICE_MAX) });
    }
    return parts;
  });
}

function portsFor(service: Service, pod: Pod | undefined): readonly EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const port of service.spec.ports ?? []) {
    const number = targetOf(port, pod);
    if (number === undefined) continue;
    ports.push({
      name: port.name ?? "",
      protocol: port.protocol ?? "TCP",
      port: number,
      ...(port.appProtocol === undefined ? {} : { appProtocol: port.appProtocol }),
    });
  }
  return ports;
}

function targetOf(port: ServicePort, pod: Pod | undefined): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === "number") return target === 0 ? port.port : target;
  const containers = [...(pod?.spec.containers ?? []), ...(pod?.spec.initContainers ?? [])];
  for (const container of containers) {
    const named = container.ports?.find(
      (other) => other.name === target && (other.protocol ?? "TCP") === (port.protocol ?? "TCP"),
    );
    if (named !== undefined) return named.containerPort;
  }
  return /^\d+$/.test(target) ? Number(target) : undefined;
}

function endpointOf(service: Service, pod: Pod): Endpoint {
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const serving = isReady(pod);
  const { hostname, nodeName, subdomain } = pod.spec;
  return {
    addresses: pod.status?.podIP === undefined ? [] : [pod.status.podIP],
    conditions: {
      ready: service.spec.publishNotReadyAddresses === true || (serving && !terminating),
      serving: service.spec.publishNotReadyAddresses === true || serving,
      terminating,
    },
    ...(hostname !== undefined && subdomain === service.metadata.name ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: {
      kind: "Pod",
      name: pod.metadata.name,
      ...(pod.metadata.namespace === undefined ? {} : { namespace: pod.metadata.namespace }),
      ...(pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }),
    },
  };
}

export function selects(service: Service, labels: Pod["metadata"]["labels"]): boolean {
  const selector = service.spec.selector ?? {};
  return Object.keys(selector).length > 0 && matchesSelector({ matchLabels: selector }, labels);
}
