// What there is to say of Gateways and of the VirtualServices bound to them: conflicts, and names that lead nowhere.

import type { CredentialResource } from "../ingest/credential.ts";
import type { PodResource, ResourceSet } from "../ingest/resources.ts";
import { credentialProblem, serverCredentials } from "./credential.ts";
import type { Finding } from "./finding.ts";
import { gatewaysFor, hostsInCommon, type IndexedGateway, mergeServers, portTranslation } from "./gateway.ts";
import type { BoundRoutes } from "./routing.ts";

export interface GatewayWorld {
  readonly gateways: readonly IndexedGateway[];
  readonly bound: readonly BoundRoutes[];
  readonly resources: Pick<ResourceSet, "pods" | "services" | "credentials">;
}

export function gatewayFindings(world: GatewayWorld): readonly Finding[] {
  if (world.gateways.length === 0 && world.bound.length === 0) return [];
  const workloads = workloadsOf(world);
  return [
    ...workloads.flatMap((each) => workloadFindings(each, world)),
    ...unserved(world, workloads),
    ...unbound(world),
  ];
}

/** One pod for all that serve the same Gateways in the same namespace. */
interface ServingPods {
  readonly pod: PodResource;
  readonly gateways: readonly IndexedGateway[];
}

function workloadsOf({ gateways, resources }: GatewayWorld): readonly ServingPods[] {
  const byServed = new Map<string, ServingPods>();
  if (gateways.length === 0) return [];
  for (const pod of resources.pods.values()) {
    const own = gatewaysFor(gateways, pod.metadata.labels ?? {});
    if (own.length === 0) continue;
    const key = [pod.metadata.namespace, ...own.map(({ name }) => name)].join(" ");
    if (!byServed.has(key)) byServed.set(key, { pod, gateways: own });
  }
  return [...byServed.values()];
}

function workloadFindings({ pod, gateways }: ServingPods, { resources }: GatewayWorld): readonly Finding[] {
  const namespace = pod.metadata.namespace ?? "default";
  const workload = { namespace, labels: pod.metadata.labels ?? {} };
  const translate = portTranslation(resources.services, workload, (name) => portOfPod(pod, name));
  const merged = mergeServers(gateways, translate, "0.0.0.0");
  const credentials = gateways.flatMap(({ servers }) =>
    servers.flatMap((server) =>
      serverCredentials(server.spec.tls).flatMap(({ name, needs, field }): readonly Finding[] => {
        const problem = credentialProblem(findCredential(resources.credentials, namespace, name, needs), needs);
        if (problem === undefined) return [];
        const message = `Secret ${namespace}/${name}, in the namespace of the gateway's pods, ${problem}; TLS handshakes for this server fail until it is there`;
        return [{ resource: server.resource, type: "reference", path: `${server.path}.tls.${field}`, message }];
      }),
    ),
  );
  return [...merged.findings, ...credentials];
}

export function findCredential(
  credentials: ReadonlyMap<string, CredentialResource>,
  namespace: string,
  name: string,
  needs: "certificate" | "trust",
): CredentialResource | undefined {
  const own = credentials.get(`${namespace}/${name}`);
  return needs === "trust" ? (credentials.get(`${namespace}/${name}-cacert`) ?? own) : own;
}

export function portOfPod(pod: PodResource | undefined, name: string): number | undefined {
  const ports = (pod?.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return ports.find((port) => port.name === name)?.containerPort;
}

function unserved({ gateways }: GatewayWorld, workloads: readonly ServingPods[]): readonly Finding[] {
  const served = new Set(workloads.flatMap((each) => each.gateways.map(({ name }) => name)));
  return gateways
    .filter(({ name }) => !served.has(name))
    .map(({ resource }) => {
      return {
        resource,
        type: "reference",
        path: "spec.selector",
        message: "no pod has these labels, so nothing serves it",
      };
    });
}

/** A VirtualService whose Gateway does not exist, or has none of its hosts. */
function unbound({ gateways, bound }: GatewayWorld): readonly Finding[] {
  const byName = new Map(gateways.map((gateway) => [gateway.name, gateway]));
  const findings: Finding[] = [];
  for (const routes of bound) {
    const { resource } = routes;
    const known: IndexedGateway[] = [];
    for (const [name, index] of routes.gateways) {
      const gateway = byName.get(name);
      if (gateway !== undefined) known.push(gateway);
      else {
        const message = `Gateway ${name} does not exist, so nothing of this is served there`;
        findings.push({ resource, type: "reference", path: `spec.gateways[${index}]`, message });
      }
    }
    if (known.length === 0) continue;
    for (const [i, host] of routes.hosts.entries()) {
      const one = { namespace: routes.namespace, hosts: [host] };
      const served = known.some(({ servers }) => servers.some((server) => hostsInCommon(server, one).length > 0));
      if (served) continue;
      const message = `no server of Gateway ${known.map(({ name }) => name).join(", ")} has the host ${host} for namespace ${routes.namespace}`;
      findings.push({ resource, type: "reference", path: `spec.hosts[${i}]`, message });
    }
  }
  return findings;
}
