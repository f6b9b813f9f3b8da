// What servers of Gateways lead to without a VirtualService: their default endpoint, and the service that a server name says.

import type { PlacedServer } from "../model/gateway.ts";
import { hostMatches } from "../model/hosts.ts";
import { ingressEndpoint } from "../model/sidecar.ts";
import { Cluster, Cluster_DiscoveryType } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "../proto/gen/envoy/config/endpoint/v3/endpoint.ts";
import { circuitBreakers, httpProtocolOptions } from "./circuit-breaker.ts";
import { outboundCluster } from "./cluster.ts";
import { loadAssignment } from "./endpoint.ts";
import { endpointAddress } from "./ingress.ts";
import { outboundServerName } from "./names.ts";
import type { ProxyNode } from "./proxy.ts";
import { type ClusterTarget, serviceTargets } from "./target.ts";
import { type ClientView, ruleFor } from "./view.ts";
import { durationOf } from "./wire.ts";

/** The name of the cluster; undefined where the server has none. */
export function defaultEndpointName({ spec, resource }: PlacedServer): string | undefined {
  if ((spec.defaultEndpoint ?? "") === "") return undefined;
  return `inbound|${spec.port.number}||${spec.port.name}.${resource.name}.${resource.namespace}`;
}

export function defaultEndpointClusters(
  servers: readonly PlacedServer[],
  proxy: ProxyNode,
): ReadonlyMap<string, Cluster> {
  return new Map(
    servers.flatMap((server) => {
      const name = defaultEndpointName(server);
      const endpoint = ingressEndpoint(server.spec.defaultEndpoint ?? "");
      if (name === undefined || endpoint.kind === "called") return [];
      const address = endpointAddress(endpoint, proxy);
      const lbEndpoints = [{ hostIdentifier: { $case: "endpoint" as const, value: { address } } }];
      const cluster = Cluster.fromPartial({
        name,
        clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.STATIC },
        connectTimeout: durationOf(10_000),
        circuitBreakers: circuitBreakers(undefined),
      });
      cluster.loadAssignment = ClusterLoadAssignment.fromPartial({ clusterName: name, endpoints: [{ lbEndpoints }] });
      cluster.typedExtensionProtocolOptions = httpProtocolOptions(undefined);
      return [[name, cluster]];
    }),
  );
}

/** Every service, port and subset that the hosts of a server cover, by the server name that the mesh's clients ask for. */
export function passedTargets({ hosts }: PlacedServer, view: ClientView): readonly ClusterTarget[] {
  const own = view.services.filter(
    ({ host, namespace }) =>
      !host.startsWith("*") &&
      hosts.some((each) => (each.namespace === "*" || each.namespace === namespace) && hostMatches(each.host, host)),
  );
  return own.flatMap((service) => serviceTargets(service, ruleFor(view, service)));
}

export function passedName({ port, subset, service }: ClusterTarget): string {
  return outboundServerName(port.number, subset, service.host);
}

/** The bytes are the mesh's TLS already, which only sidecars take. */
export function passedCluster(target: ClusterTarget, view: ClientView): Cluster {
  const cluster = outboundCluster(target, view);
  cluster.name = passedName(target);
  cluster.transportSocket = undefined;
  cluster.transportSocketMatches = [];
  cluster.typedExtensionProtocolOptions = {};
  return cluster;
}

export function passedAssignment(target: ClusterTarget, view: ClientView): ClusterLoadAssignment {
  const { service, port } = target;
  const meshed = (service.endpoints.get(port.number) ?? []).filter(({ hasSidecar }) => hasSidecar);
  const narrowed = { ...target, service: { ...service, endpoints: new Map([[port.number, meshed]]) } };
  return { ...loadAssignment(narrowed, view), clusterName: passedName(target) };
}
