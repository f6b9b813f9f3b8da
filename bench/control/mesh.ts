// A mesh on paper: services, their pods and slices, as the API server would tell of them.

import type { EndpointSliceResource, PodResource, ServiceResource } from "../../src/ingest/resources.ts";

export const NAMESPACE = "shop";
export const PORT = 8080;

/** Addresses of one service's pods, those of its earlier generations included. */
const ADDRESSES_PER_SERVICE = 32;

function serviceName(service: number): string {
  return `svc-${service}`;
}

export function clusterName(service: number): string {
  return `outbound|${PORT}||${hostName(service)}`;
}

export function hostName(service: number): string {
  return `${serviceName(service)}.${NAMESPACE}.svc.cluster.local`;
}

function addressOf(service: number, place: number): string {
  const n = service * ADDRESSES_PER_SERVICE + (place % ADDRESSES_PER_SERVICE);
  return `10.${20 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
}

/** `place` counts on with each replacement, so that a pod's successor has another name and address. */
export function podOf(service: number, place: number): PodResource {
  const app = serviceName(service);
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: `${app}-${place}`,
      namespace: NAMESPACE,
      labels: { app, version: `v${1 + (place % 2)}`, "security.istio.io/tlsMode": "istio" },
    },
    spec: { serviceAccountName: app },
    status: { podIP: addressOf(service, place), phase: "Running" },
  };
}

export function serviceOf(service: number): ServiceResource {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: serviceName(service), namespace: NAMESPACE },
    spec: {
      selector: { app: serviceName(service) },
      clusterIP: `10.96.${service >> 8}.${service & 255}`,
      ports: [{ name: "http", port: PORT, targetPort: PORT }],
    },
  };
}

export function sliceOf(service: number, places: readonly number[]): EndpointSliceResource {
  const app = serviceName(service);
  return {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: app, namespace: NAMESPACE, labels: { "kubernetes.io/service-name": app } },
    addressType: "IPv4",
    ports: [{ name: "http", port: PORT, protocol: "TCP" }],
    endpoints: places.map((place) => ({ addresses: [addressOf(service, place)], conditions: { ready: true } })),
  };
}

export function routeOf(service: number, generation: number) {
  const name = serviceName(service);
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "VirtualService",
    metadata: { name, namespace: NAMESPACE, generation },
    spec: { hosts: [name], http: [{ timeout: `${generation}s`, route: [{ destination: { host: name } }] }] },
  };
}
