// What a case of the table is: a call, whose it is, and where it ends.

import type { ProxyNode } from "../../src/translate/proxy.ts";
import { proxyOf } from "../unit/translate/mesh.ts";
import type { HttpCall, Outcome, SimCall } from "./call.ts";

export interface SimCase {
  readonly name: string;
  /** Whose proxy: that of the theme unless given. */
  readonly by?: Client;
  readonly call: SimCall;
  /** What is given has to be so. `…` stands for `.svc.cluster.local`. */
  readonly expect: Outcome;
  /** Why the call isn't made on real proxies. */
  readonly onlySimulated?: string;
  /** Why a real proxy does something else: `envoy` or `weft`. */
  readonly differs?: { readonly envoy?: string; readonly weft?: string };
}

export interface Theme {
  readonly name: string;
  /** Added to the mesh that all have. */
  readonly manifests?: string;
  /** Of MeshConfig. */
  readonly outboundTrafficPolicy?: "ALLOW_ANY" | "REGISTRY_ONLY";
  readonly by?: Client;
  readonly cases: readonly SimCase[];
}

/** The proxies that calls go through. */
export const CLIENTS = {
  frontend: proxyOf({ pod: "frontend-0", address: "10.244.0.9" }),
  canary: proxyOf({ pod: "canary-0", address: "10.244.0.8", labels: { app: "frontend", track: "canary" } }),
  shop: proxyOf({
    pod: "cart-0",
    address: "10.244.0.7",
    namespace: "shop",
    serviceAccount: "cart",
    labels: { app: "cart" },
  }),
  explicit: proxyOf({ pod: "explicit-0", address: "10.244.0.6", mode: "NONE" }),
  web: proxyOf({
    pod: "web-v1-0",
    address: "10.244.1.1",
    serviceAccount: "web",
    labels: { app: "web", version: "v1" },
  }),
  api: proxyOf({
    pod: "api-v1-0",
    address: "10.244.2.1",
    serviceAccount: "api",
    labels: { app: "api", version: "v1" },
  }),
  db: proxyOf({ pod: "db-v1-0", address: "10.244.3.1", serviceAccount: "db", labels: { app: "db", version: "v1" } }),
  ports: proxyOf({ pod: "ports-0", address: "10.244.7.1", serviceAccount: "ports", labels: { app: "ports" } }),
  gateway: proxyOf({
    type: "router",
    id: "router~10.244.0.30~ingress-1.edge~edge.svc.cluster.local",
    pod: "ingress-1",
    namespace: "edge",
    address: "10.244.0.30",
    serviceAccount: "ingress",
    labels: { istio: "ingressgateway" },
  }),
  explicitApi: proxyOf({
    pod: "api-v1-0",
    address: "10.244.2.1",
    serviceAccount: "api",
    labels: { app: "api", version: "v1" },
    mode: "NONE",
  }),
} satisfies Readonly<Record<string, ProxyNode>>;

export type Client = keyof typeof CLIENTS;

/** `GET /` of a host by plain HTTP. */
export function http(to: string, host: string, more: Omit<HttpCall, "host"> = {}): SimCall {
  return { direction: "outbound", to, http: { host, ...more } };
}

export function tcp(to: string): SimCall {
  return { direction: "outbound", to };
}

/** TLS of the application's own. */
export function tls(to: string, sni?: string): SimCall {
  return { direction: "outbound", to, tls: { ...(sni === undefined ? {} : { sni }), alpn: ["http/1.1"] } };
}

/** To the explicit proxy: absolute form. */
export function viaProxy(host: string, more: Omit<HttpCall, "host"> = {}): SimCall {
  return { direction: "direct", to: "10.244.0.6:15001", http: { host, ...more } };
}

/** What the sidecar of a peer sends: HTTP, or bytes, in the mesh's TLS. */
export function meshHttp(to: string, host = "peer"): SimCall {
  return { ...inbound(to), tls: { mesh: true, alpn: ["istio-http/1.1", "istio", "http/1.1"] }, http: { host } };
}

export function meshTcp(to: string): SimCall {
  return { ...inbound(to), tls: { mesh: true, alpn: ["istio"] } };
}

export function plainHttp(to: string, host = "peer"): SimCall {
  return { ...inbound(to), http: { host } };
}

export function plainTcp(to: string): SimCall {
  return inbound(to);
}

/** TLS of a caller that is no member of the mesh. */
export function foreignTls(to: string): SimCall {
  return { ...inbound(to), tls: { sni: "example.com", alpn: ["http/1.1"] } };
}

function inbound(to: string): SimCall {
  return { direction: "inbound", to, from: "10.244.0.99" };
}
