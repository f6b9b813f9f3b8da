// Envoy's bootstrap beside the agent: who it is, where its control plane is, and the agent's own sockets. Pure.

import { ADMIN_PORT, bindAddresses, nodeId } from "./bootstrap.ts";
import { CONTROL_SERVER_NAME } from "./ca-client.ts";
import type { SidecarConfig } from "./environment.ts";
import { statsTags } from "./envoy-stats.ts";
import { SPAN_FLUSH_MS, XDS_CONNECT_TIMEOUT_S, XDS_KEEPALIVE_S } from "./limits.ts";

type Json = Readonly<Record<string, unknown>>;

/** Unix sockets of the agent, by which Envoy reaches it and nobody outside the pod can. */
export interface AgentSockets {
  /** gRPC: certificates to Envoy, access logs from it. */
  readonly grpc: string;
  /** HTTP: spans from Envoy. */
  readonly spans: string;
}

const XDS_CLUSTER = "xds-grpc";
/** The control plane names them in what it generates (docs/envoy.md). */
const AGENT_CLUSTER = "sds-grpc";
const SPANS_CLUSTER = "agent-spans";
/** The control plane generates what needs an agent beside Envoy only where there is one. */
const AGENT_METADATA = { WEFT_AGENT: "true" };

export function envoyBootstrap(config: SidecarConfig, sockets: AgentSockets): Json {
  const ads = { ads: {}, initial_fetch_timeout: "0s", resource_api_version: "V3" };
  return {
    node: {
      id: nodeId(config),
      cluster: `${config.appName}.${config.identity.namespace}`,
      metadata: { ...config.nodeMetadata, ...AGENT_METADATA },
    },
    admin: { address: socketAddress(bindAddresses(config).admin, ADMIN_PORT) },
    dynamic_resources: {
      lds_config: ads,
      cds_config: ads,
      ads_config: {
        api_type: "DELTA_GRPC",
        transport_api_version: "V3",
        set_node_on_first_message_only: true,
        grpc_services: [{ envoy_grpc: { cluster_name: XDS_CLUSTER } }],
      },
    },
    static_resources: {
      clusters: [
        controlCluster(config),
        { ...local(AGENT_CLUSTER, sockets.grpc), ...http2({}) },
        local(SPANS_CLUSTER, sockets.spans),
      ],
    },
    stats_config: { use_all_default_tags: false, stats_tags: statsTags() },
    layered_runtime: {
      layers: [
        // Spans go on while one still looks for them.
        { name: "static", static_layer: { "tracing.zipkin.flush_interval_ms": SPAN_FLUSH_MS } },
        { name: "admin", admin_layer: {} },
      ],
    },
  };
}

function controlCluster({ discoveryAddress }: SidecarConfig): Json {
  const colon = discoveryAddress.lastIndexOf(":");
  const address = socketAddress(discoveryAddress.slice(0, colon), Number(discoveryAddress.slice(colon + 1)));
  const local = { api_type: "GRPC", transport_api_version: "V3", grpc_services: [agent()] };
  return {
    name: XDS_CLUSTER,
    type: "STRICT_DNS",
    connect_timeout: `${XDS_CONNECT_TIMEOUT_S}s`,
    load_assignment: { cluster_name: XDS_CLUSTER, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
    ...http2({ connection_keepalive: { interval: `${XDS_KEEPALIVE_S}s`, timeout: `${XDS_KEEPALIVE_S}s` } }),
    transport_socket: {
      name: "envoy.transport_sockets.tls",
      typed_config: {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        sni: CONTROL_SERVER_NAME,
        common_tls_context: {
          alpn_protocols: ["h2"],
          tls_certificate_sds_secret_configs: [
            {
              name: "default",
              sds_config: { api_config_source: local, initial_fetch_timeout: "0s", resource_api_version: "V3" },
            },
          ],
          // By the agent, not from the file: roots change while Envoy runs.
          combined_validation_context: {
            default_validation_context: {
              match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: CONTROL_SERVER_NAME } }],
            },
            validation_context_sds_secret_config: {
              name: "ROOTCA",
              sds_config: { api_config_source: local, initial_fetch_timeout: "0s", resource_api_version: "V3" },
            },
          },
        },
      },
    },
  };
}

function agent(): Json {
  return { envoy_grpc: { cluster_name: AGENT_CLUSTER } };
}

function local(name: string, path: string): Json {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path } } } }] }],
    },
  };
}

function http2(options: Json): Json {
  const name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
  return {
    typed_extension_protocol_options: {
      [name]: {
        "@type": `type.googleapis.com/${name}`,
        explicit_http_config: { http2_protocol_options: options },
      },
    },
  };
}

function socketAddress(address: string, port: number): Json {
  return { socket_address: { address, port_value: port } };
}
