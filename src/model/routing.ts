// VirtualServices per host: names resolved, one owner a host, references checked.

import type { Destination, HttpRoute, TcpRoute, TlsRoute, VirtualService } from "../api/istio/virtual-service.ts";
import { keyOf } from "../ingest/resources.ts";
import { type Delegation, type PlacedRule, withDelegates } from "./delegate.ts";
import { type DestinationIndex, findRule } from "./destination.ts";
import { byAge, type Finding, formatRef, type ResourceRef, refOf } from "./finding.ts";
import { gatewayName, hostMatches, isExportedTo, MESH_GATEWAY, mostSpecific, resolveHost } from "./hosts.ts";
import { destinationsOf, type GoodForms } from "./last-good.ts";
import type { MeshConfig } from "./mesh-config.ts";
import { calledService, type ServiceIndex } from "./services.ts";

export interface HostRoutes {
  readonly host: string;
  readonly resource: ResourceRef;
  readonly namespace: string;
  readonly exportTo: readonly string[] | undefined;
  readonly http: readonly PlacedRule<HttpRoute>[];
  readonly tcp: readonly PlacedRule<TcpRoute>[];
  readonly tls: readonly PlacedRule<TlsRoute>[];
}

/** A VirtualService as it is bound to gateways: there several may route one host. */
export interface BoundRoutes {
  readonly resource: ResourceRef;
  readonly namespace: string;
  readonly exportTo: readonly string[] | undefined;
  /** `namespace/name`, each with its place in `spec.gateways`. */
  readonly gateways: ReadonlyMap<string, number>;
  readonly hosts: readonly string[];
  readonly http: readonly PlacedRule<HttpRoute>[];
  readonly tcp: readonly PlacedRule<TcpRoute>[];
  readonly tls: readonly PlacedRule<TlsRoute>[];
}

export interface Routing {
  readonly all: readonly HostRoutes[];
  /** Oldest first. */
  readonly bound: readonly BoundRoutes[];
  readonly findings: readonly Finding[];
}

export interface RoutingInput {
  readonly virtualServices: ReadonlyMap<string, VirtualService>;
  /** Of those that stay at an earlier form. */
  readonly kept: GoodForms;
  readonly index: ServiceIndex;
  /** Without what is kept: references are checked against what there is. */
  readonly destinations: DestinationIndex;
  readonly mesh: MeshConfig;
}

/** Routes of the mesh itself by host, and those of gateways. */
export function indexRouting(input: RoutingInput): Routing {
  const effective = new Map<string, VirtualService>();
  for (const [key, resource] of input.virtualServices) {
    const form = input.kept.get(key);
    effective.set(key, form === undefined ? resource : { ...resource, spec: form.spec });
  }
  const index = new Indexer(input, effective);
  for (const resource of [...effective.values()].sort(byAge)) index.add(resource);
  return index;
}

class Indexer implements Routing {
  readonly all: HostRoutes[] = [];
  readonly bound: BoundRoutes[] = [];
  readonly findings: Finding[] = [];
  readonly #input: RoutingInput;
  readonly #effective: ReadonlyMap<string, VirtualService>;
  readonly #byHost = new Map<string, HostRoutes[]>();

  constructor(input: RoutingInput, effective: ReadonlyMap<string, VirtualService>) {
    this.#input = input;
    this.#effective = effective;
  }

  add(resource: VirtualService): void {
    const { spec } = resource;
    const gateways = spec.gateways ?? [];
    const delegation = withDelegates(resource, this.#effective);
    for (const { path, message } of delegation.problems) {
      this.findings.push(missing(resource, path, `${message}; requests that reach it get a 503`));
    }
    const isOfMesh = gateways.length === 0 || gateways.includes(MESH_GATEWAY);
    if (isOfMesh)
      for (const [i, host] of (spec.hosts ?? []).entries()) this.#addHost(resource, { i, host, delegation });
    if (gateways.some((name) => name !== MESH_GATEWAY)) this.bound.push(this.#bind(resource, delegation));
    this.findings.push(...missingDestinations(resource, this.#input));
  }

  #bind(resource: VirtualService, delegation: Delegation): BoundRoutes {
    const { spec } = resource;
    const namespace = resource.metadata.namespace ?? "default";
    const named = (spec.gateways ?? []).map((name, i) => [gatewayName(name, namespace), i] as const);
    return {
      resource: refOf(resource),
      namespace,
      exportTo: spec.exportTo,
      gateways: new Map(named.filter(([name]) => name !== MESH_GATEWAY)),
      hosts: (spec.hosts ?? []).map((host) => resolveHost(host, namespace, this.#input.mesh.clusterDomain)),
      http: delegation.rules,
      tcp: placed(resource, "tcp", spec.tcp),
      tls: placed(resource, "tls", spec.tls),
    };
  }

  #addHost(resource: VirtualService, at: { i: number; host: string; delegation: Delegation }): void {
    const { spec } = resource;
    const namespace = resource.metadata.namespace ?? "default";
    const full = resolveHost(at.host, namespace, this.#input.mesh.clusterDomain);
    const owners = this.#byHost.get(full) ?? [];
    this.#byHost.set(full, owners);
    const rival = owners.find((each) => overlaps(each, spec.exportTo, namespace));
    if (rival !== undefined) {
      const text = `${full} is already routed by ${formatRef(rival.resource)}, which is older (or first by name) and wins`;
      this.findings.push(conflict(resource, `spec.hosts[${at.i}]`, text));
      return;
    }
    const routes: HostRoutes = {
      host: full,
      resource: refOf(resource),
      namespace,
      exportTo: spec.exportTo,
      http: at.delegation.rules,
      tcp: placed(resource, "tcp", spec.tcp),
      tls: placed(resource, "tls", spec.tls),
    };
    owners.push(routes);
    this.all.push(routes);
    if (!isKnownHost(full, this.#input.index, namespace)) {
      this.findings.push(missing(resource, `spec.hosts[${at.i}]`, `${full} is not a service of the mesh`));
    }
  }
}

function placed<T>(resource: VirtualService, section: string, routes: readonly T[] = []): readonly PlacedRule<T>[] {
  const place = { resource: refOf(resource), namespace: resource.metadata.namespace ?? "default" };
  return routes.map((route, i) => ({ route, ...place, rule: `spec.${section}[${i}]` }));
}

export function routesFor(all: readonly HostRoutes[], namespace: string): ReadonlyMap<string, HostRoutes> {
  const visible = all.filter((each) => isExportedTo(each.exportTo, each.namespace, namespace));
  return new Map(visible.map((each) => [each.host, each]));
}

export function findRoutes(routes: ReadonlyMap<string, HostRoutes>, host: string): HostRoutes | undefined {
  return mostSpecific(routes, host);
}

/** Two owners of a host only meet where some proxy sees both. */
function overlaps(rival: HostRoutes, exportTo: readonly string[] | undefined, namespace: string): boolean {
  return isExportedTo(rival.exportTo, rival.namespace, namespace) || isExportedTo(exportTo, namespace, rival.namespace);
}

function isKnownHost(host: string, index: ServiceIndex, namespace: string): boolean {
  if (calledService(index, host, namespace) !== undefined) return true;
  if (!host.startsWith("*")) return false;
  return [...index.services.keys()].some((each) => hostMatches(host, each));
}

interface DestinationProblem {
  /** `subset v3 of api.production.svc.cluster.local is not defined by any DestinationRule`. */
  readonly reason: string;
  readonly field: "host" | "subset" | "port";
}

export interface ResolvedDestination {
  readonly host: string;
  readonly subset: string | undefined;
  readonly port: number;
  readonly problem: DestinationProblem | undefined;
}

export interface RouteClient {
  readonly resourceNamespace: string;
  readonly clientNamespace: string;
  readonly clientLabels?: Readonly<Record<string, string>>;
  readonly port: number;
}

/** Where a route's destination leads for a client; `port` is that of the listener, used where the service has several. */
export function resolveDestination(
  destination: Destination,
  client: RouteClient,
  world: Pick<RoutingInput, "index" | "destinations" | "mesh">,
): ResolvedDestination {
  const written = resolveHost(destination.host, client.resourceNamespace, world.mesh.clusterDomain);
  const service = calledService(world.index, written, client.clientNamespace);
  const subset = destination.subset === "" ? undefined : destination.subset;
  if (service === undefined) {
    const port = destination.port?.number ?? client.port;
    const reason = unknownHost(written, client.clientNamespace, world.index);
    return { host: written, subset, port, problem: { field: "host", reason } };
  }
  const { host } = service;
  const only = service.ports.length === 1 ? service.ports[0]?.number : undefined;
  const port = destination.port?.number ?? only ?? client.port;
  if (!service.ports.some((each) => each.number === port)) {
    return { host, subset, port, problem: { field: "port", reason: `service ${host} has no port ${port}` } };
  }
  if (subset === undefined) return { host, subset, port, problem: undefined };
  const { clientNamespace, clientLabels = {} } = client;
  const call = { clientNamespace, clientLabels, serviceNamespace: service.namespace, host };
  const rule = findRule(world.destinations, call, world.mesh);
  if (rule?.subsets.some((each) => each.name === subset) === true) return { host, subset, port, problem: undefined };
  const reason = `subset ${subset} of ${host} is not defined by any DestinationRule`;
  return { host, subset, port, problem: { field: "subset", reason } };
}

function unknownHost(host: string, clientNamespace: string, { services }: ServiceIndex): string {
  return `host ${host} is not ${services.has(host) ? `exported to ${clientNamespace}` : "a service of the mesh"}`;
}

/** Of the form that was written, also where an earlier one is in force. */
function missingDestinations(effective: VirtualService, input: RoutingInput): readonly Finding[] {
  const key = keyOf(effective);
  const resource = input.virtualServices.get(key) ?? effective;
  const form = input.kept.get(key);
  const generation = form?.generation === undefined ? "" : ` (generation ${form.generation})`;
  const stays = `the routes stay in their last good form${generation} until it is`;
  const namespace = resource.metadata.namespace ?? "default";
  const client = {
    resourceNamespace: namespace,
    clientNamespace: namespace,
    port: defaultPort(resource, input),
  };
  return destinationsOf(resource.spec).flatMap(({ destination, path }) => {
    const { problem } = resolveDestination(destination, client, input);
    if (problem === undefined) return [];
    const effect = form === undefined ? "requests that reach it get a 503" : stays;
    return [missing(resource, `${path}.${problem.field}`, `${problem.reason}; ${effect}`)];
  });
}

/** A client comes by one of the routed service's own ports. */
function defaultPort(resource: VirtualService, input: RoutingInput): number {
  const namespace = resource.metadata.namespace ?? "default";
  for (const host of resource.spec.hosts ?? []) {
    const service = calledService(input.index, resolveHost(host, namespace, input.mesh.clusterDomain), namespace);
    const port = service?.ports[0]?.number;
    if (port !== undefined) return port;
  }
  return 80;
}

function missing(resource: VirtualService, path: string, message: string): Finding {
  return { resource: refOf(resource), type: "reference", path, message };
}

function conflict(resource: VirtualService, path: string, message: string): Finding {
  return { resource: refOf(resource), type: "conflict", path, message };
}
