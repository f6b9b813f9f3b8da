// Envoy's stats that weft does not have, each with its reason. The test beside it fails on a name that is neither there nor here.

interface Missing {
  readonly pattern: RegExp;
  readonly reason: string;
}

const because = (reason: string, ...patterns: readonly RegExp[]): readonly Missing[] =>
  patterns.map((pattern) => ({ pattern, reason }));

export const MISSING_STATS: readonly Missing[] = [
  ...because(
    "HTTP/2 and HTTP/3 are not proxied as such",
    /http[23]_|_http[23]|0_?rtt/,
    /upstream_rq_rx_reset_no_error$/,
    /upstream_cx_close_notify$/,
  ),
  ...because(
    "the admin interface is a server of its own, outside the listeners",
    /^http\.admin\./,
    /^listener\.admin\./,
  ),
  ...because("the client of filters' own calls is the cluster that they name", /^http\.async-client\./),
  ...because(
    "there are no threads of Envoy's kind and no watchdog",
    /watchdog/,
    /worker_\d/,
    /main_thread/,
    /workers_pinned$/,
  ),
  ...because("they are there where an overload manager is configured", /^overload\./, /overload_actions/),
  ...because(
    "requests turned away by a circuit breaker are upstream_rq_pending_overflow",
    /rq_overload_local_reply$/,
    /queue_overloaded$/,
  ),
  ...because("the response's head has a bound of its own", /rs_too_large$/),
  ...because("access logs are written by streams of Node's", /^filesystem\./),
  ...because("they are there where tracing is configured", /\.tracing\./),
  ...because("internal redirects are refused in a configuration", /internal_redirect/),
  ...because("zone aware routing is refused in a configuration", /lb_zone_|lb_local_cluster|lb_recalculate_zone/),
  ...because(
    "Node buffers in the kernel and in streams, whose sizes and pauses it does not tell",
    /_buffered$/,
    /flow_control/,
    /connections_accepted_per_socket_event$/,
  ),
  ...because(
    "endpoints have no leases, and the transport is one stream for all",
    /assignment_|\.version$|warming_state$|update_no_rebuild$/,
  ),
  ...because("updates are applied at once, not merged within a window", /merge/, /cluster_updated$/),
  ...because("counted once the first one comes", /_removed$|_modified$|listener_create_failure$|listener_stopped$/),
  ...because(
    "the codec refuses the message as a whole: downstream_cx_protocol_error and the response code details tell why",
    /http1\./,
  ),
  ...because("codes by origin are told apart by the response flags in the access log", /\.external\.upstream_rq/),
  ...because(
    "subsets, panic and weights show in /clusters",
    /lb_subsets_|max_host_weight$|default\.total_match_count$/,
  ),
  ...because(
    "an address or a bind of Envoy's kind can't fail that way here",
    /original_dst_host_invalid$|bind_errors$/,
  ),
  ...because(
    "the response flags and details in the access log tell each case; no counter of its own yet",
    /upstream_cx_(connect_attempts_exceeded|destroy_\w+_with_active_rq|max_duration_reached|pool_overflow|preconnect_skipped|length_ms)$/,
    /upstream_rq_(active_overflow|per_try_idle_timeout|retry_backoff_ratelimited|per_cx)$/,
    /downstream_cx_(delayed_close_timeout|destroy_\w+|http1_soft_drain|ssl_\w+|upgrades_\w+)$/,
    /downstream_rq_(failed_path_normalization|header_timeout|http1_total|max_duration_reached|non_relative_path)$/,
    /downstream_rq_(redirected_with_normalized_path|rejected_via_ip_detection|response_before_rq_complete|too_large)$/,
    /downstream_rq_(too_many_premature_resets|tx_reset|ws_on_non_ws_route)$/,
    /\.rq_(direct_response|redirect|reset_after_downstream_response_started|total)$/,
    /^listener\..*\.(downstream_(cx_(overflow|transport_socket_connect_timeout|length_ms)|global_cx_overflow))$/,
    /^listener\..*\.downstream_(listener_filter_|pre_cx_)/,
  ),
  ...because("each connection manager's own counters are under http.PREFIX", /^listener\..*\.http\./),
  ...because("extensions do not come by discovery", /extension_config_missing$/),
  ...because(
    "a changed listener is a new one; its chains are not exchanged singly",
    /in_place_updated$|filter_chains_draining$/,
  ),
  ...because(
    "about Envoy's own build, files and guards",
    /^runtime\.(deprecated|load|override)/,
    /^server\.(compilation|debug_assertion|dropped_stat|dynamic_unknown|static_unknown|envoy_notifications|hot_restart_generation)/,
    /^server\.(parent_connections|seconds_until_first_ocsp|stats_recent_lookups|wip_protos|initialization_time_ms)/,
  ),
];
