// What a connection to an upstream begins with: TLS or not, and before it the PROXY protocol's header where it is asked for.

import type { Cluster } from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import type { TransportSocket } from "../../proto/gen/envoy/config/core/v3/base.ts";
import { ProxyProtocolConfig_Version } from "../../proto/gen/envoy/config/core/v3/proxy_protocol.ts";
import { ProxyProtocolUpstreamTransport } from "../../proto/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts";
import type { ProxyVersion } from "../socket/proxy-header.ts";
import type { TlsConfig } from "../socket/tls-config.ts";
import { type Field, fields } from "./field.ts";
import { compileUpstreamTls } from "./tls.ts";

export interface UpstreamSocket {
  readonly tls: TlsConfig | undefined;
  readonly announces: ProxyVersion | undefined;
}

const PROXY_PROTOCOL =
  "type.googleapis.com/envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport";

export function compileUpstreamSocket(socket: TransportSocket | undefined, at: Field): UpstreamSocket {
  const any = socket?.configType?.value;
  if (any?.typeUrl !== PROXY_PROTOCOL) return { tls: compileUpstreamTls(socket, at), announces: undefined };
  const transport = ProxyProtocolUpstreamTransport.decode(any.value);
  const field = at.at("typedConfig").as(PROXY_PROTOCOL);
  field.only(transport, fields("config transportSocket"));
  if (transport.config !== undefined) field.at("config").only(transport.config, fields("version"));
  return {
    tls: compileUpstreamTls(transport.transportSocket, field.at("transportSocket")),
    announces: transport.config?.version === ProxyProtocolConfig_Version.V2 ? "v2" : "v1",
  };
}

/** One answer for all of a cluster's connections. */
export function oneAnnouncement(
  sockets: readonly UpstreamSocket[],
  cluster: Cluster,
  at: Field,
): ProxyVersion | undefined {
  const versions = new Set(sockets.map(({ announces }) => announces));
  const [version] = versions;
  if (versions.size > 1) at.refuse("all of a cluster's sockets must announce connections in the same way, or none");
  if (version !== undefined && cluster.healthChecks.length > 0)
    at.refuse("health checks of hosts that want the PROXY protocol are not built in");
  return version;
}
