// Where a service's requests can go, and which workloads there are.

import type { EndpointSliceResource, PodResource, ResourceSet } from "../ingest/resources.ts";
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
  readonly serviceAccount: string;
  /** True when a sidecar answers there, which takes the mesh's TLS. */
  readonly hasSidecar: boolean;
}

/** Pods by address; the ones that ended keep theirs in their status but have no endpoint. */
export type PodsByAddress = ReadonlyMap<string, PodResource>;

export function indexPods(pods: ReadonlyMap<string, PodResource>): PodsByAddress {
  const byAddress = new Map<string, PodResource>();
  for (const pod of pods.values()) {
    const address = pod.status?.podIP;
    const phase = pod.status?.phase;
    if (address === undefined || address === "" || phase === "Succeeded" || phase === "Failed") continue;
    byAddress.set(address, pod);
  }
  return byAddress;
}

/** `namespace/service` to its slices. */
export function indexSlices(resources: ResourceSet): ReadonlyMap<string, readonly EndpointSliceResource[]> {
  const byService = new Map<string, EndpointSliceResource[]>();
  for (const slice of resources.endpointSlices.values()) {
    const service = slice.metadata.labels?.["kubernetes.io/service-name"];
    if (service === undefined) continue;
    const key = `${slice.metadata.namespace}/${service}`;
    const list = byService.get(key);
    if (list === undefined) byService.set(key, [slice]);
    else list.push(slice);
  }
  return byService;
}

/** Whether a pod takes new requests. */
export function isReady({ metadata, status }: PodResource): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  return status?.conditions?.some(({ type, status: is }) => type === "Ready" && is === "True") === true;
}

/** The ready endpoints of one port, in the order of their addresses. A terminating one takes no new requests. */
export function endpointsOfPort(
  slices: readonly EndpointSliceResource[],
  portName: string,
  pods: PodsByAddress,
): readonly Endpoint[] {
  const found = new Map<string, Endpoint>();
  for (const slice of slices) {
    const target = (slice.ports ?? []).find((each) => (each.name ?? "") === portName);
    if (target?.port === undefined) continue;
    for (const endpoint of slice.endpoints) {
      if (endpoint.conditions?.ready === false || endpoint.conditions?.terminating === true) continue;
      for (const address of endpoint.addresses) {
        found.set(`${address}:${target.port}`, toEndpoint(address, target.port, pods.get(address)));
      }
    }
  }
  return [...found.keys()].sort().flatMap((key) => found.get(key) ?? []);
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
    serviceAccount: pod?.spec?.serviceAccountName ?? "default",
    hasSidecar: labels["security.istio.io/tlsMode"] === "istio",
  };
}

export function matchesLabels(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value);
}
