// What injection needs to know beside the pod: the mesh's names and addresses, and the template's sizes.

import type { ProxySettings } from "./proxy-config.ts";

export type InterceptionMode = "REDIRECT" | "NONE";

export interface InjectOptions {
  readonly image: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly meshId: string;
  /** Host and port of the control plane; it is the certificate authority too. */
  readonly discoveryAddress: string;
  readonly interceptionMode: InterceptionMode;
  readonly requests: { readonly cpu: string; readonly memory: string };
  readonly limits: { readonly cpu: string; readonly memory: string };
  /** What MeshConfig and ProxyConfigs say for the pod. */
  readonly proxySettings: ProxySettings;
}

/** What a cluster uses where nothing else is said; the same offline as in `weft up`. */
export const DEFAULT_INJECT_OPTIONS: InjectOptions = {
  image: "weft/proxy",
  trustDomain: "cluster.local",
  clusterId: "Kubernetes",
  meshId: "cluster.local",
  discoveryAddress: "istiod.istio-system.svc:15012",
  interceptionMode: "REDIRECT",
  requests: { cpu: "100m", memory: "50Mi" },
  limits: { cpu: "200m", memory: "100Mi" },
  proxySettings: {},
};

export const PROXY_CONTAINER = "istio-proxy";
/** The user and group of the proxy in Istio: what `istio-init` excludes from interception. */
export const PROXY_UID = 1337;
export const STATUS_PORT = 15020;
export const READINESS_PORT = 15021;
export const PROMETHEUS_PORT = 15090;

export const INJECT_KEY = "sidecar.istio.io/inject";
export const TEMPLATES_ANNOTATION = "inject.istio.io/templates";
export const STATUS_ANNOTATION = "sidecar.istio.io/status";
export const REVISION = "default";
