// VirtualServices per host: names resolved, one owner a host, references checked.

import type { Destination, HttpRoute, VirtualService } from "../api/istio/virtual-service.ts";
import { type DestinationIndex, findRule } from "./destination.ts";
import { byAge, type Finding, formatRef, type ResourceRef, refOf } from "./finding.ts";
import { hostMatches, isExportedTo, mostSpecific, resolveHost } from "./hosts.ts";
import type { MeshConfig } from "./mesh-config.ts";
import type { Service } from "./service.ts";

export interface HostRoutes {
  readonly host: string;
  readonly resource: ResourceRef;
  readonly namespace: string;
  readonly exportTo: readonly string[] | undefined;
  readonly http: readonly HttpRoute[];
}

export interface Routing {
  readonly all: readonly HostRoutes[];
  readonly findings: readonly Finding[];
}

export interface RoutingInput {
  readonly virtualServices: Iterable<VirtualService>;
  readonly services: ReadonlyMap<string, Service>;
  readonly destinations: DestinationIndex;
  readonly mesh: MeshConfig;
}

/** Only routes of the mesh itself; those of gateways are left out. */
export function indexRouting(input: RoutingInput): Routing {
  const all: HostRoutes[] = [];
  const findings: Finding[] = [];
  for (const resource of [...input.virtualServices].sort(byAge)) {
    const { spec, metadata } = resource;
    if (spec.gateways !== undefined && !spec.gateways.includes("mesh")) {
      findings.push(
        ignored(
          resource,
          "spec.gateways",
          "gateways are not served yet; the routes take part in the mesh only when gateways is unset or contains mesh",
        ),
      );
      continue;
    }
    const namespace = metadata.namespace ?? "default";
    for (const [i, host] of (spec.hosts ?? []).entries()) {
      const full = resolveHost(host, namespace, input.mesh.clusterDomain);
      const rival = all.find((each) => each.host === full && overlaps(each, spec.exportTo, namespace));
      if (rival !== undefined) {
        findings.push(
          conflict(
            resource,
            `spec.hosts[${i}]`,
            `${full} is already routed by ${formatRef(rival.resource)}, which is older (or first by name) and wins`,
          ),
        );
        continue;
      }
      all.push({ host: full, resource: refOf(resource), namespace, exportTo: spec.exportTo, http: spec.http ?? [] });
      if (!isKnownHost(full, input.services)) {
        findings.push(missing(resource, `spec.hosts[${i}]`, `${full} is not a service of the mesh`));
      }
    }
    findings.push(...missingDestinations(resource, input));
  }
  return { all, findings };
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

function isKnownHost(host: string, services: ReadonlyMap<string, Service>): boolean {
  if (services.has(host)) return true;
  if (!host.startsWith("*")) return false;
  return [...services.keys()].some((each) => hostMatches(host, each));
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

/** Where a route's destination leads for a client; `port` is that of the listener, used where the service has several. */
export function resolveDestination(
  destination: Destination,
  client: { readonly resourceNamespace: string; readonly clientNamespace: string; readonly port: number },
  world: Omit<RoutingInput, "virtualServices">,
): ResolvedDestination {
  const host = resolveHost(destination.host, client.resourceNamespace, world.mesh.clusterDomain);
  const service = world.services.get(host);
  const subset = destination.subset === "" ? undefined : destination.subset;
  if (service === undefined) {
    const port = destination.port?.number ?? client.port;
    return { host, subset, port, problem: { field: "host", reason: `host ${host} is not a service of the mesh` } };
  }
  const only = service.ports.length === 1 ? service.ports[0]?.number : undefined;
  const port = destination.port?.number ?? only ?? client.port;
  if (!service.ports.some((each) => each.number === port)) {
    return { host, subset, port, problem: { field: "port", reason: `service ${host} has no port ${port}` } };
  }
  if (subset === undefined) return { host, subset, port, problem: undefined };
  const call = { clientNamespace: client.clientNamespace, serviceNamespace: service.namespace, host };
  const rule = findRule(world.destinations, call, world.mesh);
  if (rule?.subsets.some((each) => each.name === subset) === true) return { host, subset, port, problem: undefined };
  const reason = `subset ${subset} of ${host} is not defined by any DestinationRule`;
  return { host, subset, port, problem: { field: "subset", reason } };
}

function missingDestinations(resource: VirtualService, input: RoutingInput): readonly Finding[] {
  const namespace = resource.metadata.namespace ?? "default";
  return (resource.spec.http ?? []).flatMap((route, i) => {
    const places: { destination: Destination; path: string }[] = (route.route ?? []).map(({ destination }, j) => ({
      destination,
      path: `spec.http[${i}].route[${j}].destination`,
    }));
    if (route.mirror !== undefined) places.push({ destination: route.mirror, path: `spec.http[${i}].mirror` });
    (route.mirrors ?? []).forEach(({ destination }, j) => {
      places.push({ destination, path: `spec.http[${i}].mirrors[${j}].destination` });
    });
    return places.flatMap(({ destination, path }) => {
      const port = defaultPort(resource, input);
      const client = { resourceNamespace: namespace, clientNamespace: namespace, port };
      const { problem } = resolveDestination(destination, client, input);
      return problem === undefined
        ? []
        : [missing(resource, `${path}.${problem.field}`, `${problem.reason}; requests that reach it get a 503`)];
    });
  });
}

/** A client comes by one of the routed service's own ports. */
function defaultPort(resource: VirtualService, input: RoutingInput): number {
  const namespace = resource.metadata.namespace ?? "default";
  for (const host of resource.spec.hosts ?? []) {
    const service = input.services.get(resolveHost(host, namespace, input.mesh.clusterDomain));
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

function ignored(resource: VirtualService, path: string, message: string): Finding {
  return { resource: refOf(resource), type: "ignored", path, message };
}
