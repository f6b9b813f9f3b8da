// Fields of Envoy 1.40 that the definitions in @grpc/grpc-js-xds are too old to have. Without them a sender's field would be
// skipped unread, where it must be honoured or refused by name. Numbers and names are Envoy's.

import fs from "node:fs";
import path from "node:path";

const FILTERS = "envoy/extensions/filters/http";
const CORE = "envoy/config/core/v3";
const TRACE = "envoy/config/trace/v3";

/** `into` begins the message or oneof that the text goes into; without it the text goes to the end of the file; `whole` is a file of its own. */
const ADDITIONS = [
  {
    // OpenTelemetry's values, as far as Envoy's configuration names them.
    file: "opentelemetry/proto/common/v1/common.proto",
    whole: true,
    text: `syntax = "proto3";
      package opentelemetry.proto.common.v1;
      message AnyValue {
        oneof value {
          string string_value = 1;
          bool bool_value = 2;
          int64 int_value = 3;
          double double_value = 4;
          ArrayValue array_value = 5;
          KeyValueList kvlist_value = 6;
          bytes bytes_value = 7;
        }
      }
      message ArrayValue { repeated AnyValue values = 1; }
      message KeyValueList { repeated KeyValue values = 1; }
      message KeyValue { string key = 1; AnyValue value = 2; }`,
  },
  {
    file: "envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory.proto",
    whole: true,
    text: `syntax = "proto3";
      package envoy.extensions.resource_monitors.cgroup_memory.v3;
      message CgroupMemoryConfig { uint64 max_memory_bytes = 1; }`,
  },
  {
    // Envoy's definitions use it; the validate.proto beside them is older.
    file: "validate/validate.proto",
    into: "message StringRules {",
    text: "optional bool ignore_empty = 26;",
  },
  {
    file: `${CORE}/base.proto`,
    into: "message KeyValueAppend {",
    text: "KeyValuePair record = 3;",
  },
  {
    file: `${CORE}/base.proto`,
    text: "message KeyValuePair { string key = 1; google.protobuf.Value value = 2; }",
  },
  {
    file: "envoy/config/accesslog/v3/accesslog.proto",
    into: "EQ = 0;",
    text: "NE = 3;",
  },
  {
    file: "envoy/config/common/mutation_rules/v3/mutation_rules.proto",
    into: "  oneof action {",
    text: "RemoveOnMatch remove_on_match = 3;",
  },
  {
    file: "envoy/config/common/mutation_rules/v3/mutation_rules.proto",
    into: "message HeaderMutation {",
    text: "message RemoveOnMatch { type.matcher.v3.StringMatcher key_matcher = 1; }",
    imports: ["envoy/type/matcher/v3/string.proto"],
  },
  {
    file: `${FILTERS}/header_mutation/v3/header_mutation.proto`,
    into: "message Mutations {",
    text: `repeated config.core.v3.KeyValueMutation query_parameter_mutations = 3;
      repeated config.common.mutation_rules.v3.HeaderMutation response_trailers_mutations = 4;
      repeated config.common.mutation_rules.v3.HeaderMutation request_trailers_mutations = 5;
      repeated config.core.v3.TypedExtensionConfig formatters = 6;`,
    imports: [`${CORE}/base.proto`, `${CORE}/extension.proto`],
  },
  {
    file: `${FILTERS}/local_ratelimit/v3/local_rate_limit.proto`,
    into: "message LocalRateLimit {",
    text: `repeated config.route.v3.RateLimit rate_limits = 17;
      google.protobuf.UInt32Value max_dynamic_descriptors = 18;
      bool enable_retry_after_header = 19;`,
    imports: ["envoy/config/route/v3/route_components.proto"],
  },
  {
    file: "envoy/extensions/common/ratelimit/v3/ratelimit.proto",
    into: "message LocalRateLimitDescriptor {",
    text: "bool shadow_mode = 3;",
  },
  {
    file: "envoy/config/route/v3/route_components.proto",
    into: "message RateLimit {",
    text: `message HitsAddend { google.protobuf.UInt64Value number = 1; string format = 2; bool is_negative_hits = 3; }
      HitsAddend hits_addend = 5;
      bool apply_on_stream_done = 6;
      uint32 x_ratelimit_option = 7;`,
  },
  {
    file: "envoy/config/route/v3/route_components.proto",
    into: "    oneof action_specifier {",
    text: `QueryParameters query_parameters = 12;
      RemoteAddressMatch remote_address_match = 13;`,
  },
  {
    file: "envoy/config/route/v3/route_components.proto",
    into: "    message SourceCluster {",
    before: true,
    text: `message QueryParameters { string query_parameter_name = 1; string descriptor_key = 2; bool skip_if_absent = 3; }
      message RemoteAddressMatch { string descriptor_value = 1; string descriptor_key = 2; string default_value = 3; }`,
  },
  {
    file: "envoy/config/route/v3/route_components.proto",
    into: "message Tracing {",
    text: "string operation = 5; string upstream_operation = 6;",
  },
  {
    file: "envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.proto",
    into: "  message Tracing {",
    text: "string operation = 11; string upstream_operation = 12; bool no_context_propagation = 13;",
  },
  {
    file: "envoy/type/tracing/v3/custom_tag.proto",
    into: "  oneof type {",
    text: "string value = 6;",
  },
  {
    file: `${TRACE}/zipkin.proto`,
    into: "message ZipkinConfig {",
    text: `enum TraceContextOption { USE_B3 = 0; USE_B3_WITH_W3C_PROPAGATION = 1; }
      TraceContextOption trace_context_option = 8;
      config.core.v3.HttpService collector_service = 9;`,
    imports: [`${CORE}/http_service.proto`],
  },
  {
    file: `${TRACE}/opentelemetry.proto`,
    into: "message OpenTelemetryConfig {",
    text: "google.protobuf.UInt32Value max_cache_size = 6;",
    imports: ["google/protobuf/wrappers.proto"],
  },
  {
    file: `${FILTERS}/jwt_authn/v3/config.proto`,
    into: "message JwtAuthentication {",
    text: "string stat_prefix = 7;",
  },
  {
    file: `${FILTERS}/jwt_authn/v3/config.proto`,
    into: "message JwtCacheConfig {",
    text: "uint32 jwt_max_token_size = 2;",
  },
  {
    file: `${FILTERS}/jwt_authn/v3/config.proto`,
    into: "message JwtClaimToHeader {",
    text: "message PathSegment { string key = 1; } repeated PathSegment claim_path = 3;",
  },
  {
    file: `${FILTERS}/jwt_authn/v3/config.proto`,
    into: "  oneof requires_type {",
    text: "ExtractOnlyWithoutValidation extract_only_without_validation = 7;",
  },
  {
    file: `${FILTERS}/jwt_authn/v3/config.proto`,
    text: "message ExtractOnlyWithoutValidation { string verification_status_header = 1; }",
  },
  {
    file: `${FILTERS}/ext_authz/v3/ext_authz.proto`,
    into: "message ExtAuthz {",
    text: `google.protobuf.Struct filter_metadata = 28;
      bool emit_filter_state_stats = 29;
      uint32 max_denied_response_body_bytes = 30;
      bool enforce_response_header_limits = 31;
      bool shadow_mode = 32;
      google.protobuf.BoolValue emit_client_span = 33;
      repeated string clear_route_cache_headers = 34;`,
    imports: ["google/protobuf/struct.proto"],
  },
  {
    file: `${FILTERS}/ext_authz/v3/ext_authz.proto`,
    into: "message HttpService {",
    text: "string path_override = 10; config.core.v3.RetryPolicy retry_policy = 9;",
  },
  {
    file: `${FILTERS}/ext_authz/v3/ext_authz.proto`,
    into: "message CheckSettings {",
    text: `oneof service_override { config.core.v3.GrpcService grpc_service = 4; HttpService http_service = 5; }
      google.protobuf.BoolValue emit_client_span = 6;`,
  },
  {
    file: "envoy/service/auth/v3/external_auth.proto",
    into: "  oneof http_response {",
    text: "DeniedHttpResponse error_response = 5;",
  },
  {
    file: `${CORE}/proxy_protocol.proto`,
    into: "message ProxyProtocolConfig {",
    text: "repeated TlvEntry added_tlvs = 3;",
  },
  {
    file: `${CORE}/proxy_protocol.proto`,
    text: "message TlvEntry { uint32 type = 1; bytes value = 2; }",
  },
  {
    file: "envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.proto",
    into: "message ProxyProtocolUpstreamTransport {",
    text: "bool allow_unspecified_address = 3; bool tlv_as_pool_key = 4;",
  },
  {
    file: "envoy/extensions/upstreams/http/v3/http_protocol_options.proto",
    into: "message HttpProtocolOptions {",
    text: `message OutlierDetection { config.common.matcher.v3.MatchPredicate error_matcher = 1; }
      OutlierDetection outlier_detection = 8;`,
    imports: ["envoy/config/common/matcher/v3/matcher.proto"],
  },
  {
    file: `${FILTERS}/fault/v3/fault.proto`,
    into: "message FaultAbort {",
    text: "string response_body = 6;",
  },
  {
    file: "envoy/config/rbac/v3/rbac.proto",
    into: "message Policy {",
    before: true,
    text: `enum MetadataSource { DYNAMIC = 0; ROUTE = 1; }
      message SourcedMetadata { type.matcher.v3.MetadataMatcher metadata_matcher = 1; MetadataSource metadata_source = 2; }`,
  },
  {
    file: "envoy/config/rbac/v3/rbac.proto",
    into: "  oneof rule {",
    text: "SourcedMetadata sourced_metadata = 14;",
  },
  {
    file: "envoy/config/rbac/v3/rbac.proto",
    into: "  oneof identifier {",
    text: "SourcedMetadata sourced_metadata = 13; core.v3.TypedExtensionConfig custom = 14;",
  },
];

/** Writes the additions into a copy of the definitions. Where those have caught up, buf complains of a field named twice. */
export function addNewerFields(directory) {
  for (const addition of ADDITIONS) {
    const file = path.join(directory, addition.file);
    if (addition.whole) fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, addition.whole ? addition.text : withAddition(fs.readFileSync(file, "utf8"), addition));
  }
}

function withAddition(text, { file, into, before, text: added, imports = [] }) {
  let out = text;
  for (const name of imports) {
    if (!out.includes(`import "${name}";`)) out = out.replace(/^import /m, `import "${name}";\nimport `);
  }
  if (into === undefined) return `${out}\n${added}\n`;
  if (!out.includes(into)) throw new Error(`proto-additions: ${file} has no "${into.trim()}"`);
  return out.replace(into, before ? `${added}\n${into}` : `${into}\n${added}\n`);
}
