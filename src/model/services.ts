// Every service of the mesh by its host: Kubernetes' Services first, then ServiceEntries, oldest first.

import { deepEqual } from "../base/equal.ts";
import { VersionedMap } from "../base/versioned-map.ts";
import type { EndpointSliceResource, PodResource, ResourceSet, ServiceResource } from "../ingest/resources.ts";
import type { Allocation } from "./auto-address.ts";
import { type Endpoint, endpointsOfPort, matchesLabels } from "./endpoint.ts";
import type { PodIndex, SliceIndex } from "./endpoint-source.ts";
import { type Alias, externalNames } from "./external-name.ts";
import { byAge, type Finding, formatRef } from "./finding.ts";
import { isExportedTo, mostSpecificOf } from "./hosts.ts";
import type { MeshConfig } from "./mesh-config.ts";
import type { TakesPlaintext } from "./mtls.ts";
import { buildService, hostOf, type Service, type ServicePort } from "./service.ts";
import { buildServiceEntry, unreachableInstances } from "./service-entry.ts";
import { type InstanceIndex, instanceEndpoint } from "./workload-entry.ts";

export interface ServiceIndex {
  /** By host: what is visible beyond its own namespace goes before what is not. */
  readonly services: ReadonlyMap<string, Service>;
  /** Namespace to those that only it sees and whose host is another one's elsewhere. */
  readonly local: ReadonlyMap<string, ReadonlyMap<string, Service>>;
  /** Those whose host is a wildcard. */
  readonly wild: ReadonlyMap<string, Service>;
  /** Hosts that stand for another one, in the order of their names. */
  readonly aliases: readonly Alias[];
  readonly findings: readonly Finding[];
}

export interface IndexInput {
  readonly resources: ResourceSet;
  readonly mesh: MeshConfig;
  readonly pods: PodIndex;
  readonly slices: SliceIndex;
  readonly instances: InstanceIndex;
  readonly allocation: Allocation;
  readonly takesPlaintext: TakesPlaintext | undefined;
}

/** What the former snapshot had of the same: equal services stay the same values. */
export type FormerIndex = IndexInput & { readonly index: ServiceIndex };

export function indexServices(input: IndexInput, before: FormerIndex | undefined): ServiceIndex {
  return before !== undefined && onlyEndpointsDiffer(input, before)
    ? laterIndex(input, before)
    : wholeIndex(input, before);
}

function wholeIndex(input: IndexInput, before: FormerIndex | undefined): ServiceIndex {
  const findings: Finding[] = [];
  const services = new Map<string, Service>();
  for (const service of kubernetesServices(input, before)) services.set(service.host, service);
  const local = new Map<string, Map<string, Service>>();
  for (const service of entryServices(input, findings)) {
    const kept = sameAsBefore(asTaken(service, input), before);
    const rival = services.get(kept.host);
    if (rival === undefined) services.set(kept.host, kept);
    else if (isLocal(kept) && rival.namespace !== kept.namespace) {
      const own = local.get(kept.namespace) ?? new Map<string, Service>();
      local.set(kept.namespace, own);
      if (own.has(kept.host)) findings.push(conflict(kept, own.get(kept.host) ?? rival));
      else own.set(kept.host, kept);
    } else findings.push(conflict(kept, rival));
  }
  const names = externalNames(input, services);
  for (const service of names.services) services.set(service.host, sameAsBefore(service, before));
  const all = [...services.values(), ...[...local.values()].flatMap((own) => [...own.values()])];
  const wild = new Map(all.filter(({ host }) => host.startsWith("*")).map((each) => [each.host, each]));
  const { aliases } = names;
  return { services: VersionedMap.of(services), local, wild, aliases, findings: [...findings, ...names.findings] };
}

function onlyEndpointsDiffer(
  { resources, mesh, pods, instances, allocation, takesPlaintext }: IndexInput,
  before: FormerIndex,
): boolean {
  const { services, serviceEntries } = resources;
  if (services !== before.resources.services || serviceEntries !== before.resources.serviceEntries) return false;
  if (takesPlaintext !== before.takesPlaintext) return false;
  if (mesh !== before.mesh || instances !== before.instances || allocation !== before.allocation) return false;
  return pods === before.pods || !isAnySelecting(serviceEntries);
}

/** Of the services whose slices or pods differ. */
function laterIndex(input: IndexInput, before: FormerIndex): ServiceIndex {
  const { resources, mesh, pods, slices } = input;
  const addresses = VersionedMap.changes(before.pods.byAddress, pods.byAddress);
  const keys = new Set([
    ...VersionedMap.changes(before.slices.byService, slices.byService),
    ...addresses.flatMap((address) => slices.services.get(address) ?? []),
  ]);
  const changes: [string, Service][] = [];
  for (const key of keys) {
    const resource = resources.services.get(key);
    if (resource === undefined || !hasEndpoints(resource)) continue;
    const older = before.index.services.get(hostOf(resource, mesh.clusterDomain));
    const service = kubernetesService(key, resource, input);
    if (older === undefined || !sameEndpoints(older, service)) changes.push([service.host, service]);
  }
  return { ...before.index, services: VersionedMap.of(before.index.services).with(changes) };
}

/** The service that a client of a namespace means by a host. */
export function visibleService(
  { services, local }: Pick<ServiceIndex, "services" | "local">,
  host: string,
  namespace: string,
): Service | undefined {
  const own = local.get(namespace)?.get(host);
  if (own !== undefined) return own;
  const service = services.get(host);
  return service !== undefined && isExportedTo(service.exportTo, service.namespace, namespace) ? service : undefined;
}

/** The same where the host may be another name of a service, or one of the many that a wildcard covers. */
export function calledService(index: ServiceIndex, host: string, namespace: string): Service | undefined {
  const own = visibleService(index, host, namespace);
  if (own !== undefined) return own;
  const alias = index.aliases.find((each) => each.host === host);
  if (alias !== undefined && isExportedTo(alias.exportTo, alias.namespace, namespace)) {
    return visibleService(index, alias.target, namespace);
  }
  return mostSpecificOf(index.wild, host, ({ host: pattern }) => visibleService(index, pattern, namespace));
}

/** Every service that a client of a namespace sees, each host once. */
export function visibleServices(
  { services, local }: Pick<ServiceIndex, "services" | "local">,
  namespace: string,
): readonly Service[] {
  const own = local.get(namespace);
  const shared = [...services.values()].filter(
    (each) => own?.has(each.host) !== true && isExportedTo(each.exportTo, each.namespace, namespace),
  );
  return own === undefined ? shared : [...shared, ...own.values()];
}

function isLocal({ exportTo, namespace }: Service): boolean {
  return exportTo !== undefined && exportTo.length > 0 && exportTo.every((to) => to === "." || to === namespace);
}

function conflict(loser: Service, winner: Service): Finding {
  const reason = winner.source.kind === "Service" ? "which is Kubernetes' own" : "which is older (or first by name)";
  return {
    resource: loser.source,
    type: "conflict",
    path: "spec.hosts",
    message: `${loser.host} is already served by ${formatRef(winner.source)}, ${reason} and wins`,
  };
}

/** Those that everybody may see before those that only their namespace does, each oldest first. */
function entryServices(input: IndexInput, findings: Finding[]): readonly Service[] {
  const { resources, instances, allocation } = input;
  const entries = [...resources.serviceEntries.values()].sort(byAge);
  if (entries.length === 0) return [];
  const pods = isAnySelecting(resources.serviceEntries)
    ? podsByNamespace(resources.pods)
    : new Map<string, readonly PodResource[]>();
  const built = entries.flatMap((entry) => {
    findings.push(...unreachableInstances(entry, { instances }));
    const allocated = (host: string): readonly string[] => allocation.addressesOf(entry, host);
    return buildServiceEntry(entry, { pods, instances, allocated });
  });
  return [...built.filter((each) => !isLocal(each)), ...built.filter(isLocal)];
}

function isAnySelecting(entries: ResourceSet["serviceEntries"]): boolean {
  for (const { spec } of entries.values()) if (spec.workloadSelector !== undefined) return true;
  return false;
}

function sameAsBefore(service: Service, before: FormerIndex | undefined): Service {
  const older = before?.index.services.get(service.host);
  if (older !== undefined && deepEqual(plain(older), plain(service))) return older;
  const own = before?.index.local.get(service.namespace)?.get(service.host);
  return own !== undefined && deepEqual(plain(own), plain(service)) ? own : service;
}

function plain(service: Service) {
  return { ...service, endpoints: [...service.endpoints] };
}

function podsByNamespace(pods: ResourceSet["pods"]): ReadonlyMap<string, readonly PodResource[]> {
  const keys = [...pods.keys()].sort();
  return Map.groupBy(
    keys.flatMap((key) => pods.get(key) ?? []).filter(({ status }) => (status?.podIP ?? "") !== ""),
    ({ metadata }) => metadata.namespace ?? "default",
  );
}

function kubernetesServices(input: IndexInput, before: FormerIndex | undefined): readonly Service[] {
  const { resources, mesh, pods, slices, instances } = input;
  const found: Service[] = [];
  for (const key of [...resources.services.keys()].sort()) {
    const resource = resources.services.get(key);
    if (resource === undefined || !hasEndpoints(resource)) continue;
    const own = slices.byService.get(key) ?? [];
    const host = hostOf(resource, mesh.clusterDomain);
    const older = before?.resources.services.get(key) === resource ? before.index.services.get(host) : undefined;
    const same =
      before?.pods === pods &&
      before.instances === instances &&
      before.takesPlaintext === input.takesPlaintext &&
      sameSlices(before.slices.byService.get(key) ?? [], own);
    if (older !== undefined && same) {
      found.push(older);
      continue;
    }
    const service = kubernetesService(key, resource, input);
    found.push(older !== undefined && sameEndpoints(older, service) ? older : service);
  }
  return found;
}

function hasEndpoints({ spec }: ServiceResource): boolean {
  return spec !== undefined && spec.type !== "ExternalName";
}

function kubernetesService(key: string, resource: ServiceResource, input: IndexInput): Service {
  const { mesh, pods, slices, instances } = input;
  const service = buildService(resource, mesh.clusterDomain, (port) => [
    ...endpointsOfPort(slices.byService.get(key) ?? [], port.name, pods.byAddress, familiesOf(resource)),
    ...selectedInstances(resource, port, instances),
  ]);
  return asTaken(service, input);
}

/** A sidecar whose PeerAuthentication says DISABLE is called as if it were none. */
function asTaken(service: Service, { takesPlaintext }: IndexInput): Service {
  if (takesPlaintext === undefined) return service;
  const taken = (each: Endpoint): Endpoint =>
    each.hasSidecar && takesPlaintext(each, each.port) ? { ...each, hasSidecar: false } : each;
  return { ...service, endpoints: new Map([...service.endpoints].map(([port, all]) => [port, all.map(taken)])) };
}

/** A headless Service's clients call the addresses that they find, whichever these are. */
function familiesOf({ spec }: ServiceResource): readonly string[] {
  return spec?.clusterIP === "None" ? [] : (spec?.ipFamilies ?? []);
}

/** WorkloadEntries of the Service's namespace are called like its pods. Names are not looked up for a Service. */
function selectedInstances(
  { spec, metadata }: ServiceResource,
  port: ServicePort,
  instances: InstanceIndex,
): readonly Endpoint[] {
  const selector = spec?.selector ?? {};
  if (Object.keys(selector).length === 0) return [];
  const own = (instances.get(metadata.namespace ?? "default") ?? []).filter(
    ({ kind, labels }) => kind === "ip" && matchesLabels(selector, labels),
  );
  return own.map((each) => instanceEndpoint(each, port, targetName(port)));
}

function targetName({ targetPort, name }: ServicePort): string {
  return typeof targetPort === "string" ? targetPort : name;
}

function sameEndpoints(older: Service, newer: Service): boolean {
  return deepEqual([...older.endpoints], [...newer.endpoints]);
}

function sameSlices(older: readonly EndpointSliceResource[], newer: readonly EndpointSliceResource[]): boolean {
  return older.length === newer.length && older.every((slice, i) => slice === newer[i]);
}
