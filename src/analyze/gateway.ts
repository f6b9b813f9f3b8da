// Gateways: whom they select, what they name, and which of them stand in each other's way.

import { credentialProblem, serverCredentials } from "../model/credential.ts";
import { matchesLabels } from "../model/endpoint.ts";
import { formatRef, type Finding as ModelFinding } from "../model/finding.ts";
import { gatewaysFor, hostsInCommon, type IndexedGateway, mergeServers, portTranslation } from "../model/gateway.ts";
import { findCredential } from "../model/gateway-finding.ts";
import { type Finding, finding } from "./finding.ts";
import type { Workload, World } from "./world.ts";

/** Deployments stand for their pods here, so what the snapshot found by pods is found anew. */
export function analyzeGateways(world: World): readonly Finding[] {
  return [...world.snapshot.gateways.all.flatMap((gateway) => gatewayFindings(gateway, world)), ...conflicts(world)];
}

/** Of VirtualServices: told from the snapshot's own words. Undefined where it is about something else. */
export function boundFinding(found: ModelFinding): Finding | undefined {
  const { resource, path, message } = found;
  if (path.startsWith("spec.gateways")) {
    const name = /^Gateway (\S+) does not exist/.exec(message)?.[1] ?? "";
    const text = `Referenced gateway not found: "${name}" (nothing of this is served there)`;
    return finding("IST0101", { resource, path }, text, "Correct the name, or add the Gateway.");
  }
  const host = /^no server of Gateway (.+) has the host (\S+) for namespace/.exec(message);
  if (host === null) return undefined;
  const [, gateways = "", name = ""] = host;
  const text = `one or more host [${name}] defined in VirtualService ${resource.namespace}/${resource.name} not found in Gateway ${gateways}.`;
  return finding("IST0132", { resource, path }, text, "Add the host to a server of the Gateway, or correct it.");
}

function gatewayFindings(gateway: IndexedGateway, world: World): readonly Finding[] {
  const { resource, selector } = gateway;
  const serving = world.workloads.filter(({ labels }) => matchesLabels(selector, labels));
  if (serving.length === 0) {
    const text = Object.entries(selector).map(([key, value]) => `${key}=${value}`);
    const message = `Referenced selector not found: "${text.join(",")}" (no workload here has these labels, so nothing serves it)`;
    return [finding("IST0101", { resource, path: "spec.selector" }, message, "Label the gateway's pods so.")];
  }
  const namespaces = [...new Set(serving.map(({ namespace }) => namespace))].sort();
  return namespaces.flatMap((namespace) => missingCredentials(gateway, namespace, world));
}

function missingCredentials(
  { resource, servers }: IndexedGateway,
  namespace: string,
  world: World,
): readonly Finding[] {
  const { credentials } = world.snapshot.resources;
  return servers.flatMap(({ spec, path }) =>
    serverCredentials(spec.tls).flatMap(({ name, needs, field }): readonly Finding[] => {
      const problem = credentialProblem(findCredential(credentials, namespace, name, needs), needs);
      if (problem === undefined) return [];
      if (!problem.startsWith("does not exist")) {
        const broken = `The credential referenced by the Gateway ${resource.name} in namespace ${resource.namespace} is invalid, which can cause the traffic not to work as expected: Secret ${namespace}/${name} ${problem}.`;
        return [finding("IST0161", { resource, path: `${path}.tls.${field}` }, broken, "Correct the Secret.")];
      }
      const message = `Referenced credentialName not found: "${name}" (Secret ${namespace}/${name} ${problem})`;
      const next = `kubectl create secret tls ${name} -n ${namespace} --cert FILE --key FILE; it belongs into the namespace of the gateway's pods.`;
      return [finding("IST0101", { resource, path: `${path}.tls.${field}` }, message, next)];
    }),
  );
}

function conflicts(world: World): readonly Finding[] {
  const { all } = world.snapshot.gateways;
  const found = new Map<string, Finding>();
  for (const workload of world.workloads) {
    const gateways = gatewaysFor(all, workload.labels);
    const translate = portTranslation(world.snapshot.resources.services, workload, (name) => portNamed(workload, name));
    for (const { resource, path, message } of mergeServers(gateways, translate, "0.0.0.0").findings) {
      const rival = / Gateway (\S+) /.exec(message)?.[1] ?? "";
      const text = `Conflict with gateways ${rival}: ${message}.`;
      const key = `${resource.namespace}/${resource.name} ${path}`;
      found.set(key, finding("IST0145", { resource, path }, text, "Give one of them another port or other hosts."));
    }
  }
  return [...found.values()];
}

/** Whether a pod is a gateway rather than has a sidecar. */
export function isGateway({ spec }: Workload): boolean {
  return spec.containers.some(({ args }) => args?.[0] === "proxy" && args[1] === "router");
}

export interface ServerLine {
  /** `Gateway edge/web spec.servers[0]`. */
  readonly server: string;
  /** `0.0.0.0:8443`. */
  readonly listens: string;
  readonly protocol: string;
  readonly hosts: readonly string[];
  /** VirtualServices, oldest first. */
  readonly routes: readonly string[];
}

export function serversOf(world: World, workload: Workload): readonly ServerLine[] {
  const { gateways, resources, bound } = world.snapshot;
  const translate = portTranslation(resources.services, workload, (name) => portNamed(workload, name));
  const { ports } = mergeServers(gatewaysFor(gateways.all, workload.labels), translate, "0.0.0.0");
  return ports.flatMap(({ bind, number, servers }) =>
    servers.map((server): ServerLine => {
      const { port, tls } = server.spec;
      const own = bound.filter((each) => each.gateways.has(server.gateway) && hostsInCommon(server, each).length > 0);
      return {
        server: `${formatRef(server.resource)} ${server.path}`,
        listens: `${bind}:${number}`,
        protocol: [port.protocol, tls?.mode, tls?.httpsRedirect === true ? "redirect to https" : undefined]
          .filter((word) => word !== undefined)
          .join(" "),
        hosts: server.hosts.map(({ host }) => host),
        routes: own.map(({ resource }) => formatRef(resource)),
      };
    }),
  );
}

function portNamed({ spec }: Workload, name: string): number | undefined {
  return spec.containers.flatMap(({ ports }) => ports ?? []).find((port) => port.name === name)?.containerPort;
}
