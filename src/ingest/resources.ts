// What the mesh is made from: parsed resources by kind and key, as one immutable set.

import type { AuthorizationPolicy } from "../api/istio/authorization-policy.ts";
import type { DestinationRule } from "../api/istio/destination-rule.ts";
import type { Gateway } from "../api/istio/gateway.ts";
import type { PeerAuthentication } from "../api/istio/peer-authentication.ts";
import type { ProxyConfig } from "../api/istio/proxy-config.ts";
import type { RequestAuthentication } from "../api/istio/request-authentication.ts";
import type { ServiceEntry } from "../api/istio/service-entry.ts";
import type { Sidecar } from "../api/istio/sidecar.ts";
import type { Telemetry } from "../api/istio/telemetry.ts";
import type { VirtualService } from "../api/istio/virtual-service.ts";
import type { WorkloadEntry } from "../api/istio/workload-entry.ts";
import type { WorkloadGroup } from "../api/istio/workload-group.ts";
import type { KubeObject } from "../api/object.ts";
import type { CredentialResource } from "./credential.ts";

// Of Kubernetes' own kinds only what the mesh reads.

export interface ServicePortSpec {
  readonly name?: string;
  readonly port: number;
  readonly protocol?: string;
  readonly targetPort?: number | string;
  readonly appProtocol?: string;
}

export interface ServiceResource extends KubeObject {
  readonly spec?: {
    readonly type?: string;
    readonly clusterIP?: string;
    readonly clusterIPs?: readonly string[];
    readonly selector?: Readonly<Record<string, string>>;
    readonly ports?: readonly ServicePortSpec[];
    readonly externalName?: string;
    readonly publishNotReadyAddresses?: boolean;
    readonly trafficDistribution?: string;
    /** The first is the one that its clients call where a pod has addresses of both. */
    readonly ipFamilies?: readonly string[];
    readonly sessionAffinity?: string;
  };
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  readonly conditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  /** The first label of its own name within a headless Service. */
  readonly hostname?: string;
  readonly targetRef?: { readonly kind?: string; readonly name?: string; readonly namespace?: string };
}

export interface EndpointSliceResource extends KubeObject {
  readonly addressType: string;
  readonly endpoints: readonly SliceEndpoint[];
  readonly ports?: readonly { readonly name?: string; readonly port?: number; readonly protocol?: string }[];
}

export interface PodResource extends KubeObject {
  readonly spec?: {
    readonly serviceAccountName?: string;
    readonly nodeName?: string;
    readonly containers?: readonly {
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: {
    readonly podIP?: string;
    /** With one of each family, `podIP` first. */
    readonly podIPs?: readonly { readonly ip?: string }[];
    readonly phase?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

export interface ConfigMapResource extends KubeObject {
  readonly data?: Readonly<Record<string, string>>;
}

/** On the ConfigMaps that hold the last good form of a broken resource. */
export const KEPT_FORM_LABEL = "weft.dev/last-good";

export interface ResourceTypes {
  readonly namespaces: KubeObject;
  /** For the labels that say where they are. */
  readonly nodes: KubeObject;
  readonly services: ServiceResource;
  readonly endpointSlices: EndpointSliceResource;
  readonly pods: PodResource;
  readonly virtualServices: VirtualService;
  readonly destinationRules: DestinationRule;
  readonly serviceEntries: ServiceEntry;
  readonly workloadEntries: WorkloadEntry;
  readonly workloadGroups: WorkloadGroup;
  readonly sidecars: Sidecar;
  readonly gateways: Gateway;
  readonly proxyConfigs: ProxyConfig;
  readonly peerAuthentications: PeerAuthentication;
  readonly authorizationPolicies: AuthorizationPolicy;
  readonly requestAuthentications: RequestAuthentication;
  readonly telemetries: Telemetry;
  /** Secrets that gateways may serve with. */
  readonly credentials: CredentialResource;
  /** At most one: the ConfigMap that holds MeshConfig. */
  readonly meshConfigs: ConfigMapResource;
  readonly keptForms: ConfigMapResource;
}

export type ResourceName = keyof ResourceTypes;

/** Keys are `namespace/name`. A kind that did not change keeps its map from one set to the next. */
export type ResourceSet = { readonly [K in ResourceName]: ReadonlyMap<string, ResourceTypes[K]> };

/** A set in the making: only its maker writes to it, and gives it on as a `ResourceSet`. */
export type ResourceMaps = { -readonly [K in ResourceName]: Map<string, ResourceTypes[K]> };

export function emptyResources(): ResourceMaps {
  return {
    namespaces: new Map(),
    nodes: new Map(),
    services: new Map(),
    endpointSlices: new Map(),
    pods: new Map(),
    virtualServices: new Map(),
    destinationRules: new Map(),
    serviceEntries: new Map(),
    workloadEntries: new Map(),
    workloadGroups: new Map(),
    sidecars: new Map(),
    gateways: new Map(),
    proxyConfigs: new Map(),
    peerAuthentications: new Map(),
    authorizationPolicies: new Map(),
    requestAuthentications: new Map(),
    telemetries: new Map(),
    credentials: new Map(),
    meshConfigs: new Map(),
    keptForms: new Map(),
  };
}

export function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ""}/${object.metadata.name}`;
}
