// A service as the mesh sees it, whatever made it: a host with ports, protocols and endpoints. And those of Kubernetes.

import type { ServicePortSpec, ServiceResource } from "../ingest/resources.ts";
import type { Endpoint } from "./endpoint.ts";
import { type ResourceRef, refOf } from "./finding.ts";
import { type TrafficDistribution, trafficDistribution } from "./locality.ts";

/** `sniffed`: the port says nothing, so each connection tells. */
export type Protocol = "http" | "tcp" | "udp" | "sniffed";

export interface ServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: Protocol;
  /** What the Service declares, where weft carries it as something simpler: `http2`, `grpc`, `https`, … */
  readonly declared: string;
  readonly targetPort: number | string;
}

/**
 * Where a service's endpoints come from. STATIC: they are known by address; NONE: the address that was called;
 * DNS and DNS_ROUND_ROBIN: the proxy looks their names up; DYNAMIC_DNS: the name that each call says.
 */
export type Resolution = "STATIC" | "NONE" | "DNS" | "DNS_ROUND_ROBIN" | "DYNAMIC_DNS";

export interface Service {
  /** A Service or a ServiceEntry. */
  readonly source: ResourceRef;
  /** A wildcard where a ServiceEntry says one. */
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
  /** Clients find the pods themselves and call one by its address. */
  readonly headless: boolean;
  /** Cluster addresses; none for a headless service. */
  readonly addresses: readonly string[];
  /** CIDR ranges whose every address is the service's. */
  readonly subnets: readonly string[];
  /** Chosen by the control plane, for clients whose names the proxy resolves. */
  readonly allocated: readonly string[];
  readonly resolution: Resolution;
  /** Outside the mesh: it doesn't take the mesh's TLS by itself. */
  readonly external: boolean;
  /** What its certificates may say, where a rule doesn't. */
  readonly subjectAltNames: readonly string[];
  readonly ports: readonly ServicePort[];
  readonly exportTo: readonly string[] | undefined;
  /** How near its endpoints are to be, where no rule says it. */
  readonly trafficDistribution: TrafficDistribution;
  /** Each client keeps to one endpoint, where no rule says how they are chosen. */
  readonly sessionAffinity: boolean;
  /** By port number. */
  readonly endpoints: ReadonlyMap<number, readonly Endpoint[]>;
}

export function hostOf({ metadata }: ServiceResource, clusterDomain: string): string {
  return `${metadata.name}.${metadata.namespace ?? "default"}.svc.${clusterDomain}`;
}

export function buildService(
  resource: ServiceResource,
  clusterDomain: string,
  endpointsOf: (port: ServicePort) => readonly Endpoint[],
): Service {
  const { spec = {}, metadata } = resource;
  const namespace = metadata.namespace ?? "default";
  const ports = (spec.ports ?? []).map(toPort).filter((port) => port.protocol !== "udp");
  const clusterIps = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  const exportTo = metadata.annotations?.["networking.istio.io/exportTo"];
  return {
    ...KUBERNETES,
    source: refOf(resource),
    host: hostOf(resource, clusterDomain),
    name: metadata.name,
    namespace,
    headless: clusterIps.includes("None"),
    addresses: clusterIps.filter((address) => address !== "None" && address !== ""),
    ports,
    exportTo: exportTo?.split(",").map((each) => each.trim()),
    trafficDistribution: trafficDistribution(spec.trafficDistribution, metadata.annotations?.[TRAFFIC_DISTRIBUTION]),
    sessionAffinity: spec.sessionAffinity === "ClientIP",
    endpoints: new Map(ports.map((port) => [port.number, endpointsOf(port)])),
  };
}

const KUBERNETES = {
  subnets: [],
  allocated: [],
  resolution: "STATIC",
  external: false,
  subjectAltNames: [],
} as const;

/** An annotation. */
export const TRAFFIC_DISTRIBUTION = "networking.istio.io/traffic-distribution";

function toPort(port: ServicePortSpec): ServicePort {
  const name = port.name ?? "";
  const { protocol, declared } = protocolOf(port);
  return { number: port.port, name, protocol, declared, targetPort: port.targetPort ?? port.port };
}

const BY_NAME: Readonly<Record<string, Protocol>> = {
  http: "http",
  "kubernetes.io/ws": "http",
  // Carried as TCP until the proxy speaks HTTP/2.
  http2: "tcp",
  grpc: "tcp",
  "grpc-web": "http",
  "kubernetes.io/h2c": "tcp",
  https: "tcp",
  "kubernetes.io/wss": "tcp",
  tls: "tcp",
  tcp: "tcp",
  mongo: "tcp",
  mysql: "tcp",
  redis: "tcp",
};

/** SMTP, DNS, MySQL, MongoDB: protocols whose server speaks first, or which nobody takes for HTTP. As Istio has them. */
const TCP_PORTS: ReadonlySet<number> = new Set([25, 53, 3306, 27_017]);

/** Istio's rule: `appProtocol`, else what the port's name begins with, else what the connection shows. */
export function protocolOf(port: ServicePortSpec): { readonly protocol: Protocol; readonly declared: string } {
  if (port.protocol === "UDP") return { protocol: "udp", declared: "udp" };
  if (port.protocol === "SCTP") return { protocol: "udp", declared: "sctp" };
  const name = (port.name ?? "").toLowerCase();
  const prefix = name.startsWith("grpc-web") ? "grpc-web" : (name.split("-")[0] ?? "");
  const declared = port.appProtocol?.toLowerCase() ?? prefix;
  const unknown = TCP_PORTS.has(port.port) ? "tcp" : "sniffed";
  return { protocol: declaredProtocol(declared) ?? unknown, declared };
}

/** How weft carries what is declared, in small letters. */
export function declaredProtocol(declared: string): Protocol | undefined {
  return BY_NAME[declared];
}

/** The client's own TLS, whose server name tells which host is meant. */
export function isTls({ declared }: ServicePort): boolean {
  return declared === "https" || declared === "tls";
}
