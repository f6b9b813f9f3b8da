// Services of type ExternalName: a further name of a service that the mesh knows, or a host outside to be looked up.

import type { ResourceSet, ServiceResource } from "../ingest/resources.ts";
import { type Finding, refOf } from "./finding.ts";
import type { MeshConfig } from "./mesh-config.ts";
import { buildService, hostOf, type Service } from "./service.ts";
import { instanceEndpoint, instanceOf } from "./workload-entry.ts";

export interface Alias {
  readonly host: string;
  readonly name: string;
  readonly namespace: string;
  readonly exportTo: readonly string[] | undefined;
  /** The host of the service that it stands for. */
  readonly target: string;
}

export interface ExternalNames {
  readonly aliases: readonly Alias[];
  readonly services: readonly Service[];
  readonly findings: readonly Finding[];
}

/** Names that stand for names that stand for names: a loop ends here. */
const HOPS_MAX = 8;

export function externalNames(
  { resources, mesh }: { readonly resources: ResourceSet; readonly mesh: MeshConfig },
  services: ReadonlyMap<string, Service>,
): ExternalNames {
  const named = [...resources.services.values()].filter(({ spec }) => spec?.type === "ExternalName");
  const targets = new Map(named.map((each) => [hostOf(each, mesh.clusterDomain), targetOf(each)]));
  const aliases: Alias[] = [];
  const outside: Service[] = [];
  const findings: Finding[] = [];
  for (const resource of named) {
    const own = toService(resource, mesh.clusterDomain);
    const target = follow(own.host, targets);
    const { host, name, namespace, exportTo } = own;
    if (target === undefined) findings.push(ignored(resource, "spec.externalName", "leads back to itself"));
    else if (services.has(target)) aliases.push({ host, name, namespace, exportTo, target });
    else {
      const http = own.ports.filter(({ protocol }) => protocol === "http");
      findings.push(...otherPorts(resource, own, http.length));
      if (http.length > 0) outside.push(withName(own, http, target));
    }
  }
  return { aliases: aliases.sort((a, b) => (a.host < b.host ? -1 : 1)), services: outside, findings };
}

function targetOf({ spec }: ServiceResource): string {
  return (spec?.externalName ?? "").toLowerCase().replace(/\.$/, "");
}

/** Undefined: round in a circle. */
function follow(host: string, targets: ReadonlyMap<string, string>): string | undefined {
  let at = host;
  for (let hops = 0; hops < HOPS_MAX; hops++) {
    const next = targets.get(at);
    if (next === undefined) return at;
    at = next;
  }
  return undefined;
}

function toService(resource: ServiceResource, clusterDomain: string): Service {
  return buildService(resource, clusterDomain, () => []);
}

function withName(service: Service, ports: Service["ports"], target: string): Service {
  const instance = instanceOf({ address: target }, { namespace: service.namespace, name: "", labels: {} });
  const endpoints = ports.map(
    (port) => [port.number, instance === undefined ? [] : [instanceEndpoint(instance, port)]] as const,
  );
  return {
    ...service,
    addresses: [],
    headless: false,
    external: true,
    resolution: "DNS",
    ports,
    endpoints: new Map(endpoints),
  };
}

/** An HTTP request says whom it is for; other connections go to the address that the name leads to. */
function otherPorts(resource: ServiceResource, service: Service, http: number): readonly Finding[] {
  if (http === service.ports.length) return [];
  const text = `only ports whose name or appProtocol says HTTP are routed to ${targetOf(resource)}: connections to others go to the address that the name resolves to, as to any host outside the mesh`;
  return [ignored(resource, "spec.ports", text)];
}

function ignored(resource: ServiceResource, path: string, message: string): Finding {
  return { resource: refOf(resource), type: "ignored", path, message };
}
