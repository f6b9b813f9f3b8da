// Sidecars by the workloads that they select, and what one lets its proxies see.

import { isUnix } from "../api/istio/endpoint-text.ts";
import type { Sidecar } from "../api/istio/sidecar.ts";
import type { ConnectionPool } from "../api/istio/traffic.ts";
import { type ByNamespace, byNamespace, rivalFindings, WHOLE_NAMESPACE } from "./by-namespace.ts";
import { matchesLabels } from "./endpoint.ts";
import type { Finding } from "./finding.ts";
import { hostMatches } from "./hosts.ts";
import type { MeshConfig } from "./mesh-config.ts";
import type { HostRoutes } from "./routing.ts";
import type { Service } from "./service.ts";

export type SidecarIndex = ByNamespace<Sidecar>;

export function indexSidecars(sidecars: Iterable<Sidecar>): {
  readonly index: SidecarIndex;
  readonly findings: readonly Finding[];
} {
  const index = byNamespace(sidecars);
  const findings = rivalFindings(index, "spec.workloadSelector", (sidecar) => {
    const key = selectorKey(sidecar);
    return key === "" ? WHOLE_NAMESPACE : { key, words: "the same workloads" };
  });
  return { index, findings };
}

function labelsOf({ spec }: Sidecar): Readonly<Record<string, string>> {
  return spec?.workloadSelector?.labels ?? {};
}

/** Empty for a default. */
function selectorKey(sidecar: Sidecar): string {
  const labels = Object.entries(labelsOf(sidecar)).sort();
  return labels.length === 0 ? "" : JSON.stringify(labels);
}

/** The one that selects the workload, else its namespace's default, else the mesh's. */
export function sidecarOf(
  index: SidecarIndex,
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  mesh: MeshConfig,
): Sidecar | undefined {
  const own = index.get(workload.namespace) ?? [];
  const selective = own.find((each) => selectorKey(each) !== "" && matchesLabels(labelsOf(each), workload.labels));
  const isDefault = (each: Sidecar): boolean => selectorKey(each) === "";
  return selective ?? own.find(isDefault) ?? (index.get(mesh.rootNamespace) ?? []).find(isDefault);
}

interface EgressHost {
  readonly namespace: string;
  readonly host: string;
  /** Of the listener that it belongs to; undefined: all. */
  readonly port: number | undefined;
}

/** What a Sidecar's `egress` lets through for a proxy of a namespace. Without `egress` that is everything. */
export interface EgressScope {
  routes(all: ReadonlyMap<string, HostRoutes>): ReadonlyMap<string, HostRoutes>;
  /** `routed`: hosts that the routes lead to, which are let through with them. */
  services(all: readonly Service[], routed: ReadonlySet<string>): readonly Service[];
}

/** An element of `egress` that listens at a place of its own. */
export interface EgressListener {
  /** An IP address, or `unix://path`; empty where only how it is called is said. */
  readonly bind: string;
  /** The proxy binds it itself; otherwise calls to the address are led to it. */
  readonly bound: boolean;
  /** Undefined: each port of its hosts. A unix socket has them all. */
  readonly port: number | undefined;
  readonly protocol: string;
  readonly scope: EgressScope;
}

export interface Egress {
  /** Of all elements together. */
  readonly whole: EgressScope;
  /** What the listeners of the services' own addresses and ports serve; undefined: the whole. */
  readonly captured: EgressScope | undefined;
  readonly apart: readonly EgressListener[];
}

type EgressSpec = NonNullable<NonNullable<Sidecar["spec"]>["egress"]>[number];

const known = new WeakMap<Sidecar, Map<string, Egress>>();

export function egressOf(sidecar: Sidecar, namespace: string): Egress | undefined {
  const egress = sidecar.spec?.egress;
  if (egress === undefined || egress.length === 0) return undefined;
  const ofSidecar = known.get(sidecar) ?? new Map<string, Egress>();
  known.set(sidecar, ofSidecar);
  const made = ofSidecar.get(namespace) ?? makeEgress(egress, namespace);
  ofSidecar.set(namespace, made);
  return made;
}

function makeEgress(egress: readonly EgressSpec[], namespace: string): Egress {
  const placed = egress.filter(hasPlace);
  const rest = egress.filter((each) => !hasPlace(each));
  const apart = placed.map((each) => ({
    bind: each.bind ?? "",
    bound: each.captureMode === "NONE" || isUnix(each.bind ?? ""),
    port: isUnix(each.bind ?? "") ? undefined : each.port?.number,
    protocol: each.port?.protocol ?? "",
    scope: new Scope(hostsOf(each), namespace, NO_PORTS),
  }));
  const ports = new Set(rest.flatMap(({ port }) => (port?.number === undefined ? [] : [port.number])));
  if (apart.length === 0)
    return { whole: new Scope(rest.flatMap(hostsOf), namespace, ports), captured: undefined, apart };
  const captured = new Scope(rest.flatMap(hostsOf), namespace, ports);
  return { whole: new Scope(egress.flatMap(hostsOf), namespace, NO_PORTS), captured, apart };
}

function hasPlace({ bind = "", captureMode }: EgressSpec): boolean {
  return bind !== "" || captureMode === "NONE";
}

const NO_PORTS: ReadonlySet<number> = new Set();

function hostsOf({ hosts, port, bind = "" }: EgressSpec): readonly EgressHost[] {
  return hosts.map((text) => egressHost(text, isUnix(bind) ? undefined : port?.number));
}

/** `namespace/host`; a host alone is meant in any namespace. */
function egressHost(text: string, port: number | undefined): EgressHost {
  const slash = text.indexOf("/");
  const [namespace, host] = slash < 0 ? ["*", text] : [text.slice(0, slash), text.slice(slash + 1)];
  return { namespace, host: host.toLowerCase(), port };
}

class Scope implements EgressScope {
  readonly #hosts: readonly EgressHost[];
  readonly #namespace: string;
  /** Ports that elements are for: requests by these go to the hosts of those alone. */
  readonly #ports: ReadonlySet<number>;
  /** Services with a part of their ports stay the same values. */
  readonly #narrowed = new WeakMap<Service, Service>();

  constructor(hosts: readonly EgressHost[], namespace: string, ports: ReadonlySet<number>) {
    this.#hosts = hosts;
    this.#namespace = namespace;
    this.#ports = ports;
  }

  routes(all: ReadonlyMap<string, HostRoutes>): ReadonlyMap<string, HostRoutes> {
    const seen = [...all].filter(([host, routes]) =>
      this.#hosts.some((each) => this.#covers(each, routes.namespace, host)),
    );
    return new Map(seen);
  }

  services(all: readonly Service[], routed: ReadonlySet<string>): readonly Service[] {
    return all.flatMap((service) => {
      if (routed.has(service.host)) return [service];
      const covering = this.#hosts.filter((each) => this.#covers(each, service.namespace, service.host));
      return covering.length === 0 ? [] : this.#narrow(service, covering);
    });
  }

  #covers({ namespace, host: pattern }: EgressHost, owner: string, host: string): boolean {
    if (namespace === "~") return false;
    if (namespace !== "*" && namespace !== owner && !(namespace === "." && owner === this.#namespace)) return false;
    // A route for a wildcard is meant for all that it covers.
    return hostMatches(pattern, host) || (host.startsWith("*") && hostMatches(host, pattern));
  }

  #narrow(service: Service, covering: readonly EgressHost[]): readonly Service[] {
    const before = this.#narrowed.get(service);
    if (before !== undefined) return [before];
    const ports = service.ports.filter(({ number, protocol }) =>
      covering.some(
        ({ port }) => port === number || (port === undefined && !(protocol === "http" && this.#ports.has(number))),
      ),
    );
    if (ports.length === 0) return [];
    const narrowed = ports.length === service.ports.length ? service : { ...service, ports };
    this.#narrowed.set(service, narrowed);
    return [narrowed];
  }
}

/** What a Sidecar has a proxy listen on for its application, instead of the ports of Services. */
export interface IngressListener {
  readonly number: number;
  readonly protocol: string;
  /** An address; empty where none is said. */
  readonly bind: string;
  /** Whether calls are led to it, or it is bound: as it is with the others of the proxy, where nothing is said. */
  readonly capture: "yes" | "no" | "as-others";
  readonly endpoint: IngressEndpoint;
  readonly tls: ServerTls | undefined;
  readonly connectionPool: ConnectionPool | undefined;
  /** `sidecar.namespace`, as Istio calls what no Service has called. */
  readonly host: string;
}

type ServerTls = NonNullable<IngressSpec["tls"]>;
type IngressSpec = NonNullable<NonNullable<Sidecar["spec"]>["ingress"]>[number];

/** Where the application is: where it was called, at its loopback address, at the pod's own, or at a unix socket. */
export type IngressEndpoint =
  | { readonly kind: "called" }
  | { readonly kind: "loopback" | "own"; readonly family: 4 | 6; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

const CAPTURE = { DEFAULT: "as-others", IPTABLES: "yes", NONE: "no" } as const;

/** Undefined: the ports of Services count. */
export function ingressOf(sidecar: Sidecar | undefined): readonly IngressListener[] | undefined {
  const ingress = sidecar?.spec?.ingress ?? [];
  if (sidecar === undefined || ingress.length === 0) return undefined;
  const { name, namespace = "default" } = sidecar.metadata;
  return ingress.map(({ port, bind = "", captureMode, defaultEndpoint = "", tls, connectionPool }) => ({
    number: port.number ?? 0,
    protocol: port.protocol ?? "",
    bind,
    capture: CAPTURE[captureMode ?? "DEFAULT"],
    endpoint: ingressEndpoint(defaultEndpoint),
    tls,
    connectionPool,
    host: `${name}.${namespace}`,
  }));
}

export function ingressEndpoint(text: string): IngressEndpoint {
  if (isUnix(text)) return { kind: "unix", path: text.slice("unix://".length) };
  const colon = text.lastIndexOf(":");
  if (colon < 0) return { kind: "called" };
  const address = text.slice(0, colon);
  const kind = address === "127.0.0.1" || address === "[::1]" ? "loopback" : "own";
  return { kind, family: address.startsWith("[") ? 6 : 4, port: Number(text.slice(colon + 1)) };
}
