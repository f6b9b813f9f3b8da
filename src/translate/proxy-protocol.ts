// The PROXY protocol towards a destination: each connection to it begins with whose it is.

import type { TrafficPolicy } from "../api/istio/destination-rule.ts";
import type { Cluster } from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { TransportSocket } from "../proto/gen/envoy/config/core/v3/base.ts";
import { ProxyProtocolConfig_Version } from "../proto/gen/envoy/config/core/v3/proxy_protocol.ts";
import { ProxyProtocolUpstreamTransport } from "../proto/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts";
import { plainSocket } from "./tls.ts";
import { any } from "./wire.ts";

const TYPE = "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport";

/** Around whatever the cluster's sockets are. */
export function announceClients(cluster: Cluster, settings: TrafficPolicy["proxyProtocol"]): void {
  if (settings === undefined) return;
  const { V1, V2 } = ProxyProtocolConfig_Version;
  const version = settings.version === "V2" ? V2 : V1;
  const wrap = (transportSocket: TransportSocket): TransportSocket =>
    TransportSocket.fromPartial({
      name: "envoy.transport_sockets.upstream_proxy_protocol",
      configType: {
        $case: "typedConfig",
        value: any(
          TYPE,
          ProxyProtocolUpstreamTransport,
          ProxyProtocolUpstreamTransport.fromPartial({ config: { version }, transportSocket }),
        ),
      },
    });
  if (cluster.transportSocket !== undefined || cluster.transportSocketMatches.length === 0)
    cluster.transportSocket = wrap(cluster.transportSocket ?? plainSocket());
  for (const match of cluster.transportSocketMatches)
    match.transportSocket = wrap(match.transportSocket ?? plainSocket());
}
