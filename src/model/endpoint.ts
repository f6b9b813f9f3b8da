// Where a service's requests can go, and which workloads there are.

import { workloadOwner } from "../api/workload-name.ts";
import type { EndpointSliceResource, PodResource } from "../ingest/resources.ts";
import type { PodsByAddress } from "./endpoint-source.ts";
import { labelledLocality } from "./locality.ts";

export interface Endpoint {
  /** An IP address; of what isn't a pod also a name to look up, or `unix:///path`. */
  readonly address: string;
  readonly port: number;
  /** Of the requests to its service, in relation to the others' weights. */
  readonly weight: number;
  /** `region/zone/subzone`, where it is known otherwise than by the node. */
  readonly locality: string;
  /** The name of the node that it runs on; empty where it runs on none. */
  readonly node: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly namespace: string;
  /** The pod's; empty where no pod is known. */
  readonly pod: string;
  /** The first label of its name within a headless service: the pod's, unless it says another. */
  readonly hostname: string;
  readonly serviceAccount: string;
  /** The Deployment or other that made the pod; empty where no pod is known. */
  readonly workload: string;
  /** True when a sidecar answers there, which takes the mesh's TLS. */
  readonly hasSidecar: boolean;
}

/** Whether a pod takes new requests. */
export function isReady({ metadata, status }: PodResource): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true;
}

/**
 * The ready endpoints of one port, in the order of their addresses. One that is terminating takes no new requests, unless
 * its Service wants even what isn't ready. Of a pod with addresses of both families the one of the first of `families`
 * counts, so that no pod counts twice.
 */
export function endpointsOfPort(
  slices: readonly EndpointSliceResource[],
  portName: string,
  pods: PodsByAddress,
  families: readonly string[] = [],
): readonly Endpoint[] {
  const found = new Map<string, Endpoint>();
  const seen = new Set<string>();
  for (const slice of inOrder(slices, families)) {
    const target = (slice.ports ?? []).find((each) => (each.name ?? "") === portName);
    if (target?.port === undefined) continue;
    for (const { addresses, hostname } of slice.endpoints.filter(takesRequests)) {
      for (const address of addresses) {
        const pod = pods.get(address);
        const one = `${pod?.metadata.name ?? ""} ${target.port}`;
        if (families.length > 1 && pod !== undefined && seen.has(one)) continue;
        seen.add(one);
        const endpoint = toEndpoint(address, target.port, pod);
        found.set(`${address}:${target.port}`, hostname === undefined ? endpoint : { ...endpoint, hostname });
      }
    }
  }
  return [...found.keys()].sort().flatMap((key) => found.get(key) ?? []);
}

function takesRequests({ conditions }: EndpointSliceResource["endpoints"][number]): boolean {
  return conditions?.ready ?? conditions?.terminating !== true;
}

function inOrder(
  slices: readonly EndpointSliceResource[],
  families: readonly string[],
): readonly EndpointSliceResource[] {
  if (families.length < 2) return slices;
  const rank = ({ addressType }: EndpointSliceResource) => (addressType === families[0] ? 0 : 1);
  return [...slices].sort((a, b) => rank(a) - rank(b));
}

/** A pod as an endpoint. */
export function toEndpoint(address: string, port: number, pod: PodResource | undefined): Endpoint {
  const labels = pod?.metadata.labels ?? {};
  return {
    address,
    port,
    weight: 1,
    locality: labelledLocality(labels),
    node: pod?.spec?.nodeName ?? "",
    labels,
    namespace: pod?.metadata.namespace ?? "",
    pod: pod?.metadata.name ?? "",
    hostname: pod?.metadata.name ?? "",
    serviceAccount: pod?.spec?.serviceAccountName ?? "default",
    workload: pod === undefined ? "" : workloadOfPod(pod),
    hasSidecar: labels["security.istio.io/tlsMode"] === "istio",
  };
}

export function workloadOfPod({ metadata }: PodResource): string {
  const { name, labels = {}, ownerReferences = [] } = metadata;
  return workloadOwner({ name, labels, controller: ownerReferences.find(({ controller }) => controller === true) })
    .name;
}

export function matchesLabels(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
}
