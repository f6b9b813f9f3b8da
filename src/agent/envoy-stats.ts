// How Envoy makes labels of its statistics' names. Its own rules end a cluster's name at the first dot, and the mesh's
// names have dots: a name here ends where a statistic begins.

interface Tag {
  readonly tag_name: string;
  readonly regex?: string;
}

/** Envoy's own rules, which say by themselves what they match. */
const OWN = `response_code response_code_class listener_address http_user_agent ssl_cipher ssl_version ssl_curve
  ssl_sigalg clientssl_prefix ratelimit_prefix virtual_host virtual_cluster rds_route_config scoped_rds_config route
  worker_id connection_limit_prefix rbac_prefix rbac_http_prefix rbac_policy_name ext_authz_prefix
  fault_downstream_cluster local_http_ratelimit_prefix local_network_ratelimit_prefix google_grpc_client_prefix
  dns_filter_prefix proxy_protocol_version proxy_protocol_prefix xds_resource_name tls_certificate`;

/** What the names of a cluster's statistics begin with. */
const OF_CLUSTER = `upstream_ circuit_breakers\\. outlier_detection\\. lb_ membership_ ssl\\. http1\\. http2\\. http3\\.
  assignment_ bind_errors max_host_weight original_dst_ retry_or_shadow_abandoned update_ version warming_state
  default\\.total_match_count (?:internal|external|canary)\\.upstream_ zone\\. init_fetch_timeout health_check\\.
  client_ssl_socket_factory\\. load_stats_ tls_inspector\\. control_plane\\.`;
const OF_MANAGER = `downstream_ rq_ no_ rbac\\. rds\\. vhds\\. cors\\. fault\\. tracing\\. passthrough_ ext_authz\\.
  jwt_authn\\. user_agent\\. rs_ http1\\. http2\\. http3\\. local_rate_limit dns_cache`;
const OF_TCP = "downstream_ upstream_ max_downstream idle_timeout on_demand early_data access_log";

export function statsTags(): readonly Tag[] {
  return [
    prefixTag("cluster_name", "cluster", OF_CLUSTER),
    prefixTag("http_conn_manager_prefix", "http", OF_MANAGER),
    prefixTag("tcp_prefix", "tcp", OF_TCP),
    ...words(OWN).map((name) => ({ tag_name: `envoy.${name}` })),
  ];
}

function prefixTag(name: string, first: string, statistics: string): Tag {
  return { tag_name: `envoy.${name}`, regex: `^${first}\\.((.+?)\\.)(?:${words(statistics).join("|")})` };
}

function words(text: string): readonly string[] {
  return text.split(/\s+/);
}
