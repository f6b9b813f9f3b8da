// Where a cluster's requests can go, and by which TLS.

import type { Cluster } from "../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import { Cluster_DiscoveryType } from "../../src/proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { TransportSocket } from "../../src/proto/gen/envoy/config/core/v3/base.ts";
import type { LbEndpoint } from "../../src/proto/gen/envoy/config/endpoint/v3/endpoint_components.ts";
import { UpstreamTlsContext } from "../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { extension, type Held, typedConfig, typeOf } from "./held.ts";

export interface Reach {
  readonly hosts: readonly string[];
  readonly sni: string | undefined;
  readonly error: string | undefined;
}

/** `original`: where the connection was going. */
export function reach(name: string, held: Held, original: string): Reach {
  const cluster = held.cluster.get(name);
  if (cluster === undefined) return { hosts: [], sni: undefined, error: `no cluster ${name}` };
  const endpoints = endpointsOf(cluster, held);
  if (endpoints === "original") {
    const security = securityOf(cluster.transportSocket);
    return { hosts: [`${original} ${security.kind}`], sni: security.sni, error: undefined };
  }
  if (endpoints.length === 0) {
    const why = cluster.metadata?.filterMetadata["weft.dev"]?.["unreachable"];
    return { hosts: [], sni: undefined, error: typeof why === "string" ? why : `no endpoint of ${name}` };
  }
  const reached = endpoints.map((each) => {
    const security = securityOf(socketFor(cluster, each));
    return { host: `${hostOf(each)} ${security.kind}`, sni: security.sni };
  });
  return {
    hosts: reached.map(({ host }) => host).sort(),
    sni: reached.find(({ sni }) => sni !== undefined)?.sni,
    error: undefined,
  };
}

function endpointsOf(cluster: Cluster, held: Held): readonly LbEndpoint[] | "original" {
  const discovery = cluster.clusterDiscoveryType;
  const type = discovery?.$case === "type" ? discovery.value : Cluster_DiscoveryType.STATIC;
  if (type === Cluster_DiscoveryType.ORIGINAL_DST) return "original";
  const service = cluster.edsClusterConfig?.serviceName ?? "";
  const assignment =
    type === Cluster_DiscoveryType.EDS
      ? held.endpoint.get(service === "" ? cluster.name : service)
      : cluster.loadAssignment;
  return (assignment?.endpoints ?? []).flatMap(({ lbEndpoints }) => lbEndpoints);
}

function hostOf({ hostIdentifier }: LbEndpoint): string {
  const address = hostIdentifier?.$case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
  if (address?.$case === "pipe") return address.value.path;
  if (address?.$case !== "socketAddress") return "?";
  const { portSpecifier } = address.value;
  return `${address.value.address}:${portSpecifier?.$case === "portValue" ? portSpecifier.value : "?"}`;
}

/** The first match whose every value the endpoint's metadata has; else the cluster's own. */
function socketFor(cluster: Cluster, endpoint: LbEndpoint): TransportSocket | undefined {
  const labels = endpoint.metadata?.filterMetadata["envoy.transport_socket_match"] ?? {};
  const found = cluster.transportSocketMatches.find(({ match }) =>
    Object.entries(match ?? {}).every(([key, value]) => labels[key] === value),
  );
  return found === undefined ? cluster.transportSocket : found.transportSocket;
}

function securityOf(socket: TransportSocket | undefined): { readonly kind: string; readonly sni: string | undefined } {
  if (socket === undefined) return { kind: "plain", sni: undefined };
  const config = typedConfig(socket);
  if (typeOf(config) === "RawBuffer") return { kind: "plain", sni: undefined };
  const context = extension(config, UpstreamTlsContext);
  const own = context.commonTlsContext?.tlsCertificateSdsSecretConfigs ?? [];
  return { kind: own.some(({ name }) => name === "default") ? "mesh" : "tls", sni: context.sni };
}
