// Which kinds the mesh is made from, and which objects of them: the one list that every source goes by.

import type { ListOptions } from "../api/client.ts";
import { authorizationPolicyKind } from "../api/istio/authorization-policy.ts";
import { destinationRuleKind } from "../api/istio/destination-rule.ts";
import { gatewayKind } from "../api/istio/gateway.ts";
import { MESH_CONFIG_NAME } from "../api/istio/mesh-config.ts";
import { peerAuthenticationKind } from "../api/istio/peer-authentication.ts";
import { proxyConfigKind } from "../api/istio/proxy-config.ts";
import { requestAuthenticationKind } from "../api/istio/request-authentication.ts";
import { serviceEntryKind } from "../api/istio/service-entry.ts";
import { sidecarKind } from "../api/istio/sidecar.ts";
import { telemetryKind } from "../api/istio/telemetry.ts";
import { virtualServiceKind } from "../api/istio/virtual-service.ts";
import { workloadEntryKind } from "../api/istio/workload-entry.ts";
import { workloadGroupKind } from "../api/istio/workload-group.ts";
import type { Kind } from "../api/kind.ts";
import { configMapKind } from "../api/kubernetes/config-map.ts";
import { endpointSliceKind } from "../api/kubernetes/endpoint-slice.ts";
import { namespaceKind } from "../api/kubernetes/namespace.ts";
import { nodeKind } from "../api/kubernetes/node.ts";
import { podKind } from "../api/kubernetes/pod.ts";
import { secretKind } from "../api/kubernetes/secret.ts";
import { serviceKind } from "../api/kubernetes/service.ts";
import type { KubeObject } from "../api/object.ts";
import { keepCredential } from "./credential.ts";
import { KEPT_FORM_LABEL, type ResourceName, type ResourceTypes } from "./resources.ts";

export interface Source<K extends ResourceName> {
  readonly kind: Kind<ResourceTypes[K]>;
  /** All objects of the kind when absent. */
  readonly only?: {
    readonly watched: ListOptions;
    readonly accepts: (object: KubeObject) => boolean;
  };
  /** What is held of an object; undefined where it is as good as absent. */
  readonly keep?: (object: KubeObject) => ResourceTypes[K] | undefined;
}

export const SOURCES: { readonly [K in ResourceName]: Source<K> } = {
  namespaces: { kind: namespaceKind },
  nodes: { kind: nodeKind },
  services: { kind: serviceKind },
  pods: { kind: podKind },
  endpointSlices: { kind: endpointSliceKind },
  virtualServices: { kind: virtualServiceKind },
  destinationRules: { kind: destinationRuleKind },
  serviceEntries: { kind: serviceEntryKind },
  workloadEntries: { kind: workloadEntryKind },
  workloadGroups: { kind: workloadGroupKind },
  sidecars: { kind: sidecarKind },
  gateways: { kind: gatewayKind },
  proxyConfigs: { kind: proxyConfigKind },
  peerAuthentications: { kind: peerAuthenticationKind },
  authorizationPolicies: { kind: authorizationPolicyKind },
  requestAuthentications: { kind: requestAuthenticationKind },
  telemetries: { kind: telemetryKind },
  credentials: {
    kind: secretKind,
    only: {
      watched: { fieldSelector: "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token" },
      accepts: () => true,
    },
    keep: keepCredential,
  },
  meshConfigs: {
    kind: configMapKind,
    only: {
      watched: { fieldSelector: `metadata.name=${MESH_CONFIG_NAME}` },
      accepts: ({ metadata }) => metadata.name === MESH_CONFIG_NAME,
    },
  },
  keptForms: {
    kind: configMapKind,
    only: {
      watched: { labelSelector: `${KEPT_FORM_LABEL}=true` },
      accepts: ({ metadata }) => metadata.labels?.[KEPT_FORM_LABEL] === "true",
    },
  },
};

const NAMES = Object.keys(SOURCES).filter((name): name is ResourceName => name in SOURCES);

export function resourceNames(): readonly ResourceName[] {
  return NAMES;
}

/** What an object is to the mesh; undefined when the mesh doesn't read it. */
export function resourceNameOf(object: KubeObject): ResourceName | undefined {
  return NAMES.find((name) => {
    const { kind, only } = SOURCES[name];
    return kind.kind === object.kind && isOfGroup(kind, object) && (only === undefined || only.accepts(object));
  });
}

function isOfGroup({ group }: Pick<Kind, "group">, { apiVersion }: KubeObject): boolean {
  return group === "" ? !apiVersion.includes("/") : apiVersion.startsWith(`${group}/`);
}
