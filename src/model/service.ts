// Kubernetes' Services as the mesh sees them: a host with ports, protocols and endpoints.

import type { ServicePortSpec, ServiceResource } from "../ingest/resources.ts";
import type { Endpoint } from "./endpoint.ts";
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

export interface Service {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
  /** Clients find the pods themselves and call one by its address. */
  readonly headless: boolean;
  /** Cluster addresses; none for a headless service. */
  readonly addresses: readonly string[];
  readonly ports: readonly ServicePort[];
  readonly exportTo: readonly string[] | undefined;
  /** How near its endpoints are to be, where no rule says it. */
  readonly trafficDistribution: TrafficDistribution;
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
): Service | undefined {
  const { spec, metadata } = resource;
  if (spec === undefined || spec.type === "ExternalName") return undefined;
  const namespace = metadata.namespace ?? "default";
  const ports = (spec.ports ?? []).map(toPort).filter((port) => port.protocol !== "udp");
  const clusterIps = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP]);
  const exportTo = metadata.annotations?.["networking.istio.io/exportTo"];
  return {
    host: hostOf(resource, clusterDomain),
    name: metadata.name,
    namespace,
    headless: clusterIps.includes("None"),
    addresses: clusterIps.filter((address) => address !== "None" && address !== ""),
    ports,
    exportTo: exportTo?.split(",").map((each) => each.trim()),
    trafficDistribution: trafficDistribution(spec.trafficDistribution, metadata.annotations?.[DISTRIBUTION]),
    endpoints: new Map(ports.map((port) => [port.number, endpointsOf(port)])),
  };
}

const DISTRIBUTION = "networking.istio.io/traffic-distribution";

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
  return { protocol: BY_NAME[declared] ?? unknown, declared };
}
