// All mesh resources at one instant, indexed for translation. Never changed, only replaced.

import type { ResourceSet } from "../ingest/resources.ts";
import { type AuthorizationIndex, indexAuthorization } from "./authorization.ts";
import { type DestinationIndex, indexDestinations, keepSubsets } from "./destination.ts";
import { endpointsOfPort, indexPods, indexSlices, type PodsByAddress } from "./endpoint.ts";
import type { Finding } from "./finding.ts";
import { type GoodForms, lastGood } from "./last-good.ts";
import type { MeshConfig } from "./mesh-config.ts";
import { indexMtls, type MtlsIndex } from "./mtls.ts";
import { type HostRoutes, indexRouting } from "./routing.ts";
import { buildService, type Service } from "./service.ts";

export interface MeshSnapshot {
  readonly mesh: MeshConfig;
  readonly resources: ResourceSet;
  /** By host, in the order of hosts. */
  readonly services: ReadonlyMap<string, Service>;
  readonly pods: PodsByAddress;
  readonly destinations: DestinationIndex;
  readonly routes: readonly HostRoutes[];
  readonly goodForms: GoodForms;
  /** In force instead of what was written. */
  readonly keptForms: GoodForms;
  readonly mtls: MtlsIndex;
  readonly authorization: AuthorizationIndex;
  readonly findings: readonly Finding[];
}

/** `before`: the last good forms of routes that the former snapshot, or a restart, left behind. */
export function buildSnapshot(resources: ResourceSet, mesh: MeshConfig, before: GoodForms = new Map()): MeshSnapshot {
  const pods = indexPods(resources.pods);
  const services = buildServices(resources, mesh, pods);
  const destinations = indexDestinations(resources.destinationRules.values(), mesh);
  const { virtualServices } = resources;
  const world = { virtualServices, services, destinations: destinations.index, mesh };
  const good = lastGood(world, before);
  const routing = indexRouting({ ...world, kept: good.kept });
  const mtls = indexMtls(resources.peerAuthentications.values());
  return {
    mesh,
    resources,
    services,
    pods,
    destinations: keepSubsets(destinations.index, good.subsets),
    routes: routing.all,
    goodForms: good.forms,
    keptForms: good.kept,
    mtls: mtls.index,
    authorization: indexAuthorization(resources.authorizationPolicies.values()),
    findings: [...destinations.findings, ...routing.findings, ...mtls.findings],
  };
}

function buildServices(resources: ResourceSet, mesh: MeshConfig, pods: PodsByAddress): ReadonlyMap<string, Service> {
  const slices = indexSlices(resources);
  const services = new Map<string, Service>();
  for (const key of [...resources.services.keys()].sort()) {
    const resource = resources.services.get(key);
    if (resource === undefined) continue;
    const own = slices.get(key) ?? [];
    const service = buildService(resource, mesh.clusterDomain, (port) => endpointsOfPort(own, port, pods));
    if (service !== undefined) services.set(service.host, service);
  }
  return services;
}
