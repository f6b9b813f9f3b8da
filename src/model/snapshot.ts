// All mesh resources at one instant, indexed for translation. Never changed, only replaced.

import type { ResourceName, ResourceSet } from "../ingest/resources.ts";
import { type AuthorizationIndex, providerFindings } from "./authorization.ts";
import { type Allocation, allocateAddresses } from "./auto-address.ts";
import { byNamespace } from "./by-namespace.ts";
import { type ClientTraits, clientTraits } from "./client-traits.ts";
import { type DestinationIndex, indexDestinations, keepSubsets } from "./destination.ts";
import { indexPods, indexSlices, type PodIndex, type SliceIndex } from "./endpoint-source.ts";
import type { Finding } from "./finding.ts";
import { type IndexedGateway, indexGateways } from "./gateway.ts";
import { gatewayFindings } from "./gateway-finding.ts";
import { type GoodForms, lastGood } from "./last-good.ts";
import { indexNodes, type NodeIndex } from "./locality.ts";
import { type EffectiveMeshConfig, effectiveMeshConfig, type MeshConfig } from "./mesh-config.ts";
import { indexMtls, type MtlsIndex, plaintextPorts, type TakesPlaintext } from "./mtls.ts";
import { proxyConfigFindings } from "./proxy-config.ts";
import { type AuthenticationIndex, type KeySets, keyFindings } from "./request-authentication.ts";
import { type BoundRoutes, type HostRoutes, indexRouting } from "./routing.ts";
import { type Scope, scopeOf } from "./scope.ts";
import type { Service } from "./service.ts";
import { indexServices, type ServiceIndex } from "./services.ts";
import { indexSidecars } from "./sidecar.ts";
import { indexTelemetry, type TelemetryIndex, telemetryFindings } from "./telemetry.ts";
import { type InstanceIndex, indexInstances } from "./workload-entry.ts";

export interface MeshSnapshot {
  readonly mesh: MeshConfig;
  readonly meshSource: EffectiveMeshConfig;
  readonly scope: Scope;
  /** Those that take part. */
  readonly resources: ResourceSet;
  /** By host, in the order of hosts. */
  readonly services: ReadonlyMap<string, Service>;
  /** The keys of Services by namespace, in their order. */
  readonly serviceKeys: ReadonlyMap<string, readonly string[]>;
  /** What `services` is a part of. */
  readonly index: ServiceIndex;
  readonly instances: InstanceIndex;
  readonly allocation: Allocation;
  readonly routing: RoutingParts;
  readonly slices: SliceIndex;
  readonly pods: PodIndex;
  readonly nodes: NodeIndex;
  readonly destinations: DestinationIndex;
  readonly routes: readonly HostRoutes[];
  /** Routes of gateways. */
  readonly bound: readonly BoundRoutes[];
  readonly gateways: GatewayParts;
  readonly goodForms: GoodForms;
  /** In force instead of what was written. */
  readonly keptForms: GoodForms;
  readonly mtls: MtlsIndex;
  readonly mtlsFindings: readonly Finding[];
  readonly takesPlaintext: TakesPlaintext | undefined;
  readonly authorization: AuthorizationIndex;
  readonly authentication: AuthenticationIndex;
  readonly keySets: KeySets;
  readonly sidecars: ReturnType<typeof indexSidecars>;
  readonly telemetry: TelemetryIndex;
  readonly findings: readonly Finding[];
}

/** What the control plane knows beside the resources. */
export interface Learned {
  /** Last good forms of routes, which a restart leaves behind. */
  readonly forms: GoodForms;
  readonly keySets: KeySets;
}

const NOTHING_LEARNED: Learned = { forms: new Map(), keySets: new Map() };

/** `base`: what the ConfigMap of MeshConfig is laid over. `before`: the former snapshot, whose equal values stay. */
export function buildSnapshot(
  raw: ResourceSet,
  base: MeshConfig,
  { forms, keySets }: Learned = NOTHING_LEARNED,
  before?: MeshSnapshot,
): MeshSnapshot {
  const meshSource = effectiveMeshConfig(base, raw.meshConfigs, before?.meshSource);
  const mesh = meshSource.config;
  const scope = scopeOf(raw, mesh, before?.scope);
  const { resources } = scope;
  const known = before?.mesh === mesh ? before : undefined;
  const older = known?.resources;
  const kept = <T>(name: ResourceName, old: T | undefined, make: () => T): T =>
    old !== undefined && older?.[name] === resources[name] ? old : make();
  const pods = indexPods(resources.pods, known?.pods);
  const nodes = kept("nodes", known?.nodes, () => indexNodes(resources.nodes));
  const slices = indexSlices(resources.endpointSlices, known?.slices);
  const instances = kept("workloadEntries", known?.instances, () => indexInstances(resources.workloadEntries));
  const allocation = kept("serviceEntries", known?.allocation, () => allocateAddresses(resources.serviceEntries));
  const { peerAuthentications, authorizationPolicies, requestAuthentications } = resources;
  const mtls = buildMtls(peerAuthentications, mesh, known);
  const { takesPlaintext } = mtls;
  const index = indexServices({ resources, mesh, pods, slices, instances, allocation, takesPlaintext }, known);
  const authorization = kept("authorizationPolicies", known?.authorization, () =>
    byNamespace(authorizationPolicies.values()),
  );
  const authentication = kept("requestAuthentications", known?.authentication, () =>
    byNamespace(requestAuthentications.values()),
  );
  const sidecars = kept("sidecars", known?.sidecars, () => indexSidecars(resources.sidecars.values()));
  const telemetry = indexTelemetry(resources.telemetries.values());
  const sameRouting =
    sameShapes(resources, older) &&
    older?.virtualServices === resources.virtualServices &&
    older.destinationRules === resources.destinationRules;
  const routing = sameRouting && known !== undefined ? known.routing : buildRouting({ resources, index, mesh }, forms);
  const gateways = buildGateways({ resources, bound: routing.bound }, before);
  return {
    mesh,
    meshSource,
    scope,
    resources,
    services: index.services,
    serviceKeys: kept("services", known?.serviceKeys, () => keysByNamespace(resources.services)),
    index,
    instances,
    allocation,
    slices,
    pods,
    nodes,
    routing,
    destinations: routing.destinations,
    routes: routing.routes,
    bound: routing.bound,
    gateways,
    goodForms: routing.goodForms,
    keptForms: routing.keptForms,
    ...mtls,
    authorization,
    authentication,
    keySets,
    sidecars,
    telemetry: telemetry.index,
    findings: [
      ...index.findings,
      ...routing.findings,
      ...gateways.findings,
      ...sidecars.findings,
      ...mtls.mtlsFindings,
      ...proxyConfigFindings(resources.proxyConfigs.values()),
      ...providerFindings(authorization, mesh),
      ...keyFindings(authentication, keySets),
      ...telemetry.findings,
      ...telemetryFindings(telemetry.index, { mesh, resources }),
    ],
  };
}

/** `known`: the former snapshot, made under the same settings. */
function buildMtls(
  policies: ResourceSet["peerAuthentications"],
  mesh: MeshConfig,
  known: MeshSnapshot | undefined,
): Pick<MeshSnapshot, "mtls" | "mtlsFindings" | "takesPlaintext"> {
  if (known?.resources.peerAuthentications === policies) {
    const { mtls, mtlsFindings, takesPlaintext } = known;
    return { mtls, mtlsFindings, takesPlaintext };
  }
  const { index, findings } = indexMtls(policies.values());
  return { mtls: index, mtlsFindings: findings, takesPlaintext: plaintextPorts(index, mesh) };
}

function keysByNamespace(services: ResourceSet["services"]): ReadonlyMap<string, readonly string[]> {
  return Map.groupBy([...services.keys()].sort(), (key) => key.slice(0, key.indexOf("/")));
}

/** Whether the services that two snapshots were made from are the same but for their endpoints. */
export function sameShapes(one: ResourceSet, other: ResourceSet | undefined): boolean {
  return one.services === other?.services && one.serviceEntries === other.serviceEntries;
}

/** What follows from VirtualServices, DestinationRules and which services there are, whatever their endpoints. */
interface RoutingParts {
  readonly destinations: DestinationIndex;
  readonly routes: readonly HostRoutes[];
  readonly bound: readonly BoundRoutes[];
  readonly goodForms: GoodForms;
  readonly keptForms: GoodForms;
  readonly traits: ClientTraits;
  readonly findings: readonly Finding[];
}

interface GatewayParts {
  /** Oldest first. */
  readonly all: readonly IndexedGateway[];
  readonly findings: readonly Finding[];
}

function buildGateways(
  { resources, bound }: Pick<MeshSnapshot, "resources" | "bound">,
  before: MeshSnapshot | undefined,
): GatewayParts {
  const older = before?.resources;
  const sameGateways = older?.gateways === resources.gateways && before !== undefined;
  const all = sameGateways ? before.gateways.all : indexGateways(resources.gateways.values());
  const unchanged =
    sameGateways &&
    before.bound === bound &&
    older?.pods === resources.pods &&
    older.services === resources.services &&
    older.credentials === resources.credentials;
  if (unchanged) return before.gateways;
  return { all, findings: gatewayFindings({ gateways: all, bound, resources }) };
}

function buildRouting(
  { resources, index, mesh }: Pick<MeshSnapshot, "resources" | "index" | "mesh">,
  forms: GoodForms,
): RoutingParts {
  const destinations = indexDestinations(resources.destinationRules.values(), mesh);
  const { virtualServices } = resources;
  const world = { virtualServices, index, destinations: destinations.index, mesh };
  const good = lastGood(world, forms);
  const routing = indexRouting({ ...world, kept: good.kept });
  return {
    destinations: keepSubsets(destinations.index, good.subsets),
    routes: routing.all,
    bound: routing.bound,
    goodForms: good.forms,
    keptForms: good.kept,
    traits: clientTraits({
      routes: [...routing.all, ...routing.bound],
      destinations: destinations.index,
      services: index.services,
      mesh,
    }),
    findings: [...destinations.findings, ...routing.findings],
  };
}
