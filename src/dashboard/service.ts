// One service in full: what applies to it, what its traffic does, and what its pods' and its callers' proxies say.

import { describeService, type ServiceDescription } from "../analyze/describe-service.ts";
import type { Endpoint } from "../model/endpoint.ts";
import { formatRef, refOf } from "../model/finding.ts";
import type { Service } from "../model/service.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { Connection } from "../serve/server.ts";
import type { TrafficView, Version } from "../traffic/query.ts";
import { rowOf } from "./configuration.ts";
import { type Asked, askProxies, type ProxyAsk } from "./proxies.ts";
import { idOf } from "./pulse.ts";
import type { ConfigurationRow, EndpointRow, ServiceDetail, VersionRow } from "./shapes.ts";
import type { Analyzed } from "./world.ts";

export interface ServiceInput {
  readonly snapshot: MeshSnapshot;
  readonly connections: () => readonly Connection[];
  readonly analyzed: Analyzed;
  readonly ask: ProxyAsk;
  readonly traffic: TrafficView;
}

const WINDOW_SECONDS = 60;

export async function serviceDetail(input: ServiceInput, id: string): Promise<ServiceDetail | undefined> {
  const { analyzed, snapshot, traffic } = input;
  const service = [...snapshot.services.values()].find((each) => idOf(each) === id);
  if (service === undefined) return undefined;
  const described = describeService(analyzed.world, service);
  const endpoints = endpointsOf(service);
  const asked = await askProxies(input, service, endpoints);
  return {
    id,
    namespace: service.namespace,
    name: service.name,
    host: service.host,
    addresses: service.addresses,
    ports: described.ports.map(({ number, protocol, why }) => ({ number, protocol, why })),
    mtls: described.mtls.map(({ port, mode, why }) => ({ port, mode, why })),
    versions: versionsOf(described, endpoints, traffic.service(service.host, WINDOW_SECONDS)?.versions ?? []),
    routes: described.virtualService?.rules.map((rule) => ({ ...rule, action: rule.action ?? "" })) ?? [],
    endpoints: endpoints.map((endpoint) => endpointRow(endpoint, input.connections(), asked)),
    policies: described.authorization.map(({ policy, action, rules }) => ({
      kind: "AuthorizationPolicy",
      name: policy.replace(/^\w+ /, ""),
      action,
      lines: rules,
    })),
    certificates: asked.certificates,
    resources: resourcesOf(described, service, analyzed),
    failures: asked.failures,
  };
}

function endpointsOf(service: Service): readonly Endpoint[] {
  const seen = new Map([...service.endpoints.values()].flat().map((each) => [`${each.address}:${each.port}`, each]));
  return [...seen.values()];
}

function endpointRow(endpoint: Endpoint, connections: readonly Connection[], asked: Asked): EndpointRow {
  const { address, port, pod, labels, node, hasSidecar } = endpoint;
  const connection = connections.find(
    ({ proxy }) => proxy.pod === pod && proxy.namespace === endpoint.namespace && pod !== "",
  );
  return {
    address,
    port,
    pod,
    version: versionOf(labels),
    node,
    sidecar: hasSidecar,
    sync: connection === undefined ? "" : syncOf(connection),
    ejectedBy: asked.ejectedBy.get(`${address}:${port}`) ?? [],
    askedCallers: asked.callers,
  };
}

function syncOf(connection: Connection): string {
  const states = Object.values(connection.statuses()).map(({ state }) => state);
  if (states.includes("ERROR")) return "refused";
  return states.includes("STALE") ? "pending" : "in step";
}

function versionOf(labels: Readonly<Record<string, string>>): string {
  return (
    labels["service.istio.io/canonical-revision"] ?? labels["app.kubernetes.io/version"] ?? labels["version"] ?? ""
  );
}

function versionsOf(
  { destinationRule, virtualService, host }: ServiceDescription,
  endpoints: readonly Endpoint[],
  seen: readonly Version[],
): readonly VersionRow[] {
  const subsets = destinationRule?.subsets ?? [];
  const wanted = wantedShares(virtualService, host);
  const total = seen.reduce((sum, { requests }) => sum + requests, 0);
  const names = new Set([...endpoints.map(({ labels }) => versionOf(labels)), ...seen.map(({ version }) => version)]);
  return [...names].sort().map((version) => {
    const own = endpoints.filter(({ labels }) => versionOf(labels) === version);
    const addresses = new Set(own.map(({ address, port }) => `${address}:${port}`));
    const of = subsets.filter(({ endpoints: all }) => all.length > 0 && all.every((each) => addresses.has(each)));
    const traffic = seen.filter((each) => each.version === version);
    const requests = traffic.reduce((sum, each) => sum + each.requests, 0);
    const failures = traffic.reduce((sum, each) => sum + each.failures, 0);
    const shares = of.flatMap(({ name }) => wanted?.get(name) ?? []);
    return {
      version,
      subsets: of.map(({ name }) => name),
      endpoints: own.length,
      wanted: shares.length === 0 ? undefined : shares.reduce((sum, share) => sum + share, 0),
      requests,
      seen: total === 0 ? undefined : (requests / total) * 100,
      errorShare: requests === 0 ? 0 : failures / requests,
    };
  });
}

/** By subset, of the rule that takes every request. */
function wantedShares(
  virtualService: ServiceDescription["virtualService"],
  host: string,
): ReadonlyMap<string, number> | undefined {
  const rule = virtualService?.rules.find(({ match }) => match.length === 0 || match.includes("every request"));
  if (rule === undefined) return undefined;
  const shares = new Map<string, number>();
  for (const { to, percent } of rule.destinations) {
    const [name = "", subset] = to.split(" subset ");
    if (subset !== undefined && (name === host || host.startsWith(`${name}.`))) shares.set(subset, percent);
  }
  return shares;
}

/** The service itself and every resource that says something about it. */
function resourcesOf(described: ServiceDescription, service: Service, analyzed: Analyzed): readonly ConfigurationRow[] {
  const refs = new Set([
    formatRef(service.source),
    ...(described.destinationRule?.sources ?? []),
    ...(described.virtualService === null ? [] : [described.virtualService.resource]),
    ...described.authorization.map(({ policy }) => policy),
    ...described.mtls.map(({ policy }) => policy),
    ...described.findings.map(({ resource }) => formatRef(resource)),
  ]);
  return analyzed.world.objects
    .filter((object) => refs.has(formatRef(refOf(object))))
    .map((object) => rowOf(object, analyzed));
}
