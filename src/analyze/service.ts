// Services: what their ports say about protocols.

import type { ServicePortSpec, ServiceResource } from "../ingest/resources.ts";
import { refOf } from "../model/finding.ts";
import { protocolOf } from "../model/service.ts";
import { type Finding, finding } from "./finding.ts";
import { servicesOfWorkload, type World } from "./world.ts";

export function analyzeServices(world: World): readonly Finding[] {
  const services = [...world.snapshot.resources.services.values()];
  return [
    ...services.flatMap((service) => [...portNames(service), ...externalPorts(service)]),
    ...differingProtocols(world),
    ...sharedTargets(world),
  ];
}

function portNames(service: ServiceResource): readonly Finding[] {
  if (isSystem(service) || service.spec?.type === "ExternalName") return [];
  return (service.spec?.ports ?? []).flatMap((port, i) => {
    if (protocolOf(port).protocol !== "sniffed") return [];
    const path = `spec.ports[${i}]${port.name === undefined ? "" : ".name"}`;
    const prefix = port.name === undefined || port.name === "" ? "http" : `http-${port.name}`;
    return [
      finding(
        "IST0118",
        { resource: refOf(service), path },
        `Port name ${port.name ?? ""} (port: ${port.port}, targetPort: ${port.targetPort ?? port.port}) doesn't follow the naming convention of Istio port. Each connection tells its protocol instead.`,
        `Name it ${prefix}, tcp-… or set appProtocol; TLS that the application makes itself is TCP, where rules on paths and methods can't match.`,
      ),
    ];
  });
}

/** The API server's own Service is not the user's to name. */
function isSystem(service: ServiceResource): boolean {
  const { name, namespace } = service.metadata;
  return (namespace === "default" && name === "kubernetes") || namespace === "kube-system";
}

function differingProtocols(world: World): readonly Finding[] {
  return world.workloads.flatMap((workload) => {
    const byPort = new Map<number, { service: ServiceResource; port: ServicePortSpec }[]>();
    for (const service of servicesOfWorkload(world, workload)) {
      for (const port of service.spec?.ports ?? []) {
        byPort.set(port.port, [...(byPort.get(port.port) ?? []), { service, port }]);
      }
    }
    return [...byPort].flatMap(([number, uses]) => {
      const protocols = new Set(uses.map(({ port }) => protocolOf(port).declared));
      if (protocols.size < 2) return [];
      const names = uses.map(({ service }) => service.metadata.name).join(" ");
      return [
        finding(
          "IST0116",
          { resource: workload.resource, path: "" },
          `This deployment ${workload.resource.name}.${workload.namespace} is associated with multiple services using port ${number} but different protocols: [${names}]`,
          "Declare the same protocol for the port in each Service.",
        ),
      ];
    });
  });
}

/** A call to an outside name is told from others by its host, which TCP doesn't have. */
function externalPorts(service: ServiceResource): readonly Finding[] {
  if (service.spec?.type !== "ExternalName") return [];
  return (service.spec.ports ?? []).flatMap((port, i) => {
    const { protocol } = protocolOf(port);
    if (protocol !== "tcp" && protocol !== "sniffed") return [];
    return [
      finding(
        "IST0150",
        { resource: refOf(service), path: `spec.ports[${i}].name` },
        "Port name for ExternalName service is invalid. Proxy may prevent tcp named ports and unmatched traffic for ports serving TCP protocol from being forwarded correctly",
        "Name it http-… where it is HTTP, or use a ServiceEntry.",
      ),
    ];
  });
}

/** One port of the pods behind several ports of Services: inbound they are one. */
function sharedTargets(world: World): readonly Finding[] {
  return world.workloads.flatMap((workload) => {
    const uses = servicesOfWorkload(world, workload).flatMap((service) =>
      (service.spec?.ports ?? []).map((port) => ({ service, port, target: String(port.targetPort ?? port.port) })),
    );
    return [...Map.groupBy(uses, ({ target }) => target)].flatMap(([target, all]) => {
      const ports = [...new Set(all.map(({ port }) => port.port))];
      if (ports.length < 2) return [];
      const names = [...new Set(all.map(({ service }) => service.metadata.name))].join(" ");
      const { name } = workload.resource;
      return [
        finding(
          "IST0137",
          { resource: workload.resource, path: "" },
          `This deployment ${name}.${workload.namespace} is associated with multiple services [${names}] using targetPort "${target}" but different ports: [${ports.join(" ")}].`,
          "Policies by port hold for the pod's port, so for both.",
        ),
      ];
    });
  });
}
