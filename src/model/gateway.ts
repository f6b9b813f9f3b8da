// Gateways: which of them a proxy serves, their servers put together by port, and what of them can't be.

import type { Gateway, GatewayServer } from "../api/istio/gateway.ts";
import type { ServiceResource } from "../ingest/resources.ts";
import { matchesLabels } from "./endpoint.ts";
import { byAge, type Finding, formatRef, type ResourceRef, refOf } from "./finding.ts";
import { commonHost } from "./hosts.ts";

export interface IndexedGateway {
  /** `namespace/name`. */
  readonly name: string;
  readonly resource: ResourceRef;
  readonly selector: Readonly<Record<string, string>>;
  readonly servers: readonly PlacedServer[];
}

export interface PlacedServer {
  readonly gateway: string;
  readonly resource: ResourceRef;
  /** `spec.servers[0]`. */
  readonly path: string;
  readonly spec: GatewayServer;
  readonly hosts: readonly ServerHost[];
}

export interface ServerHost {
  /** Whose VirtualServices may route it; `*`: anybody's. */
  readonly namespace: string;
  readonly host: string;
  /** Its place in the server's list. */
  readonly index: number;
}

/** What one listener serves. */
export interface MergedPort {
  readonly bind: string;
  readonly number: number;
  readonly family: ServerFamily;
  readonly servers: readonly PlacedServer[];
}

/** How a listener tells what a connection is for: by its requests, by the name in its TLS, or not at all. */
export type ServerFamily = "http" | "tls" | "tcp";

const HTTP: ReadonlySet<string> = new Set(["HTTP", "HTTP2", "GRPC", "GRPC-WEB"]);

function familyOf({ port }: GatewayServer): ServerFamily {
  const protocol = port.protocol.toUpperCase();
  if (HTTP.has(protocol)) return "http";
  return protocol === "HTTPS" || protocol === "TLS" ? "tls" : "tcp";
}

/** TLS that ends at the gateway, with requests in it. */
export function endsInHttp({ port, tls }: GatewayServer): boolean {
  return port.protocol.toUpperCase() === "HTTPS" && !passesThrough(tls);
}

export function passesThrough(tls: GatewayServer["tls"]): boolean {
  const mode = tls?.mode ?? "PASSTHROUGH";
  return mode === "PASSTHROUGH" || mode === "AUTO_PASSTHROUGH";
}

/** Oldest first: of two that want the same the first has it. */
export function indexGateways(gateways: Iterable<Gateway>): readonly IndexedGateway[] {
  return [...gateways].sort(byAge).map((gateway) => {
    const resource = refOf(gateway);
    const name = `${resource.namespace}/${resource.name}`;
    const servers = (gateway.spec.servers ?? []).map((spec, i): PlacedServer => {
      const hosts = spec.hosts.map((written, index) => ({ ...serverHost(written, resource.namespace), index }));
      return { gateway: name, resource, path: `spec.servers[${i}]`, spec, hosts };
    });
    return { name, resource, selector: gateway.spec.selector ?? {}, servers };
  });
}

function serverHost(written: string, namespace: string): Omit<ServerHost, "index"> {
  const [first = "", second] = written.toLowerCase().split("/");
  if (second === undefined) return { namespace: "*", host: first };
  return { namespace: first === "." ? namespace : first, host: second };
}

export function gatewaysFor(
  all: readonly IndexedGateway[],
  labels: Readonly<Record<string, string>>,
): readonly IndexedGateway[] {
  return all.filter(({ selector }) => matchesLabels(selector, labels));
}

export interface GatewayWorkload {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

const NO_TRANSLATION = "networking.istio.io/gatewayPort";

/** A server's port is that of the Service in front of the gateway where one has it, so that the listener's is its target. */
export function portTranslation(
  services: ReadonlyMap<string, ServiceResource>,
  { namespace, labels }: GatewayWorkload,
  named: (portName: string) => number | undefined,
): (port: number) => number {
  const own = `${namespace}/`;
  const inFront = [...services.keys()].sort().flatMap((key) => {
    const service = services.get(key);
    const selector = service?.spec?.selector;
    if (!key.startsWith(own) || service === undefined || selector === undefined) return [];
    const opted = service.metadata.labels?.[NO_TRANSLATION] !== undefined;
    return opted || Object.keys(selector).length === 0 || !matchesLabels(selector, labels) ? [] : [service];
  });
  return (number) => {
    const ports = inFront.flatMap(({ spec }) => spec?.ports ?? []);
    const { targetPort } = ports.find((each) => each.port === number) ?? {};
    if (typeof targetPort === "string") return named(targetPort) ?? number;
    return targetPort === undefined || targetPort === 0 ? number : targetPort;
  };
}

export interface MergedServers {
  readonly ports: readonly MergedPort[];
  readonly findings: readonly Finding[];
}

/** Of a proxy's gateways. A server that can't stand beside an earlier one on its port is left out, or a host of it is. */
export function mergeServers(
  gateways: readonly IndexedGateway[],
  translate: (port: number) => number,
  anyAddress: string,
): MergedServers {
  const ports = new Map<string, { readonly merged: Omit<MergedPort, "servers">; readonly servers: PlacedServer[] }>();
  const findings: Finding[] = [];
  for (const server of gateways.flatMap(({ servers }) => servers)) {
    const { port } = server.spec;
    // What a server says itself holds before what the Service in front of it does.
    const number = port.targetPort ?? translate(port.number);
    const bind = server.spec.bind === undefined || server.spec.bind === "" ? anyAddress : server.spec.bind;
    const family = familyOf(server.spec);
    const key = `${bind}_${number}`;
    const known = ports.get(key);
    if (known === undefined) {
      ports.set(key, { merged: { bind, number, family }, servers: [server] });
    } else if (known.merged.family !== family) {
      findings.push(otherProtocol(server, known.servers[0]));
    } else {
      const fitting = family === "tls" ? distinctHosts(server, known.servers, findings) : server;
      if (fitting !== undefined) known.servers.push(fitting);
    }
  }
  return { ports: [...ports.values()].map(({ merged, servers }) => ({ ...merged, servers })), findings };
}

function otherProtocol(server: PlacedServer, first: PlacedServer | undefined): Finding {
  const { port } = server.spec;
  const rival = first === undefined ? "" : `${formatRef(first.resource)} ${first.path} (${first.spec.port.protocol})`;
  return {
    resource: server.resource,
    type: "conflict",
    path: `${server.path}.port`,
    message: `port ${port.number} can't be ${port.protocol}: ${rival} is older (or first) on it and wins`,
  };
}

/** A server name leads to one server only. */
function distinctHosts(
  server: PlacedServer,
  before: readonly PlacedServer[],
  findings: Finding[],
): PlacedServer | undefined {
  const free = server.hosts.filter(({ host, index }) => {
    const rival = before.find((each) => each.hosts.some((taken) => taken.host === host));
    if (rival === undefined) return true;
    findings.push({
      resource: server.resource,
      type: "conflict",
      path: `${server.path}.hosts[${index}]`,
      message: `${host} is already served on this port by ${formatRef(rival.resource)} ${rival.path}, which is older (or first) and wins`,
    });
    return false;
  });
  return free.length === 0 ? undefined : { ...server, hosts: free };
}

/** What a VirtualService of a namespace can route of a server: the hosts that both have. */
export function hostsInCommon(
  server: PlacedServer,
  routes: { readonly namespace: string; readonly hosts: readonly string[] },
): readonly string[] {
  const open = server.hosts.filter(({ namespace }) => namespace === "*" || namespace === routes.namespace);
  const common = open.flatMap(({ host }) => routes.hosts.map((routed) => commonHost(host, routed)));
  return [...new Set(common.filter((host) => host !== undefined))];
}
