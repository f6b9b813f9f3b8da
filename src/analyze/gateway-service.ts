// Gateways beside others and beside their Services: ports that nothing leads to, certificates that two present.

import type { ServiceResource } from "../ingest/resources.ts";
import { serverCredentials } from "../model/credential.ts";
import { matchesLabels } from "../model/endpoint.ts";
import type { IndexedGateway } from "../model/gateway.ts";
import { type Finding, finding } from "./finding.ts";
import { servicesOfWorkload, type World } from "./world.ts";

export function analyzeGatewayServices(world: World): readonly Finding[] {
  const { all } = world.snapshot.gateways;
  return [...all.flatMap((gateway) => portsWithoutService(gateway, world)), ...sharedCredentials(all)];
}

function selectorText(selector: Readonly<Record<string, string>>): string {
  return Object.entries(selector)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");
}

/** Reached by the pods' own address only, which nobody outside has. */
function portsWithoutService(gateway: IndexedGateway, world: World): readonly Finding[] {
  const workloads = world.workloads.filter(({ labels }) => matchesLabels(gateway.selector, labels));
  const services = workloads.flatMap((workload) => servicesOfWorkload(world, workload));
  if (services.length === 0) return [];
  return gateway.servers.flatMap(({ spec, path, resource }) => {
    const { number } = spec.port;
    if (services.some((service) => leadsTo(service, number))) return [];
    return [
      finding(
        "IST0162",
        { resource, path: `${path}.port` },
        `The gateway is listening on a target port (port ${number}) that is not defined in the Service associated with its workload instances (Pod selector ${selectorText(gateway.selector)}). If you need to access the gateway port through the gateway Service, it will not be available.`,
        `Add a port that leads to ${number} to the Service ${services[0]?.metadata.name}.`,
      ),
    ];
  });
}

function leadsTo(service: ServiceResource, number: number): boolean {
  return (service.spec?.ports ?? []).some(({ port, targetPort }) => port === number || targetPort === number);
}

/** A client that has a connection to one of them may use it for the other's hosts. */
function sharedCredentials(all: readonly IndexedGateway[]): readonly Finding[] {
  return all.flatMap((gateway) => {
    const own = credentialsOf(gateway);
    const sharing = all.filter(
      (other) =>
        selectorText(other.selector) === selectorText(gateway.selector) &&
        credentialsOf(other).some((name) => own.includes(name)),
    );
    if (sharing.length < 2) return [];
    const names = sharing.map(({ name }) => name).join(" ");
    return [
      finding(
        "IST0138",
        { resource: gateway.resource, path: "" },
        `Duplicate certificate in multiple gateways [${names}] may cause 404s if clients re-use HTTP2 connections.`,
        "weft answers such a request 421, upon which the client opens another connection; one Gateway for both needs none.",
      ),
    ];
  });
}

function credentialsOf({ servers }: IndexedGateway): readonly string[] {
  const named = servers.flatMap(({ spec }) => serverCredentials(spec.tls));
  return named.filter(({ needs }) => needs === "certificate").map(({ name }) => name);
}
