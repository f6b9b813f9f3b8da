// Messages by type URL: what an Any in a configuration may hold. Heavy, so programs that only sometimes need it import it then.

import { isRecord } from "../base/json.ts";
import { Cluster } from "./gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterLoadAssignment } from "./gen/envoy/config/endpoint/v3/endpoint.ts";
import { Listener } from "./gen/envoy/config/listener/v3/listener.ts";
import { RouteConfiguration } from "./gen/envoy/config/route/v3/route.ts";
import { FilterConfig } from "./gen/envoy/config/route/v3/route_components.ts";
import { OpenTelemetryConfig } from "./gen/envoy/config/trace/v3/opentelemetry.ts";
import { ZipkinConfig } from "./gen/envoy/config/trace/v3/zipkin.ts";
import { FileAccessLog } from "./gen/envoy/extensions/access_loggers/file/v3/file.ts";
import { ExpressionFilter } from "./gen/envoy/extensions/access_loggers/filters/cel/v3/cel.ts";
import { HttpGrpcAccessLogConfig, TcpGrpcAccessLogConfig } from "./gen/envoy/extensions/access_loggers/grpc/v3/als.ts";
import { OpenTelemetryAccessLogConfig } from "./gen/envoy/extensions/access_loggers/open_telemetry/v3/logs_service.ts";
import { StderrAccessLog, StdoutAccessLog } from "./gen/envoy/extensions/access_loggers/stream/v3/stream.ts";
import { ClusterConfig as DynamicForwardProxyCluster } from "./gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts";
import { Cors, CorsPolicy } from "./gen/envoy/extensions/filters/http/cors/v3/cors.ts";
import { FilterConfig as DynamicForwardProxy } from "./gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.ts";
import { ExtAuthz, ExtAuthzPerRoute } from "./gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts";
import { HTTPFault } from "./gen/envoy/extensions/filters/http/fault/v3/fault.ts";
import {
  HeaderMutation,
  HeaderMutationPerRoute,
} from "./gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation.ts";
import { Config as HeaderToMetadata } from "./gen/envoy/extensions/filters/http/header_to_metadata/v3/header_to_metadata.ts";
import { JwtAuthentication, PerRouteConfig } from "./gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts";
import { LocalRateLimit } from "./gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit.ts";
import { RBAC as HttpRbac, RBACPerRoute } from "./gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { Router } from "./gen/envoy/extensions/filters/http/router/v3/router.ts";
import { Config as SetFilterState } from "./gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.ts";
import { HttpInspector } from "./gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector.ts";
import { OriginalDst } from "./gen/envoy/extensions/filters/listener/original_dst/v3/original_dst.ts";
import { TlsInspector } from "./gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts";
import { ConnectionLimit } from "./gen/envoy/extensions/filters/network/connection_limit/v3/connection_limit.ts";
import { Config as DirectResponse } from "./gen/envoy/extensions/filters/network/direct_response/v3/config.ts";
import { Echo } from "./gen/envoy/extensions/filters/network/echo/v3/echo.ts";
import { HttpConnectionManager } from "./gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { RBAC as NetworkRbac } from "./gen/envoy/extensions/filters/network/rbac/v3/rbac.ts";
import { TcpProxy } from "./gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { Metadata as MetadataFormatter } from "./gen/envoy/extensions/formatter/metadata/v3/metadata.ts";
import { ReqWithoutQuery } from "./gen/envoy/extensions/formatter/req_without_query/v3/req_without_query.ts";
import { HeaderMutation as EarlyHeaderMutation } from "./gen/envoy/extensions/http/early_header_mutation/header_mutation/v3/header_mutation.ts";
import { PreserveCaseFormatterConfig } from "./gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case.ts";
import { CustomHeaderConfig } from "./gen/envoy/extensions/http/original_ip_detection/custom_header/v3/custom_header.ts";
import { XffConfig } from "./gen/envoy/extensions/http/original_ip_detection/xff/v3/xff.ts";
import { AllowListedRoutesConfig } from "./gen/envoy/extensions/internal_redirect/allow_listed_routes/v3/allow_listed_routes_config.ts";
import { PreviousRoutesConfig } from "./gen/envoy/extensions/internal_redirect/previous_routes/v3/previous_routes_config.ts";
import { SafeCrossSchemeConfig } from "./gen/envoy/extensions/internal_redirect/safe_cross_scheme/v3/safe_cross_scheme_config.ts";
import { UriTemplateMatchConfig } from "./gen/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts";
import { UriTemplateRewriteConfig } from "./gen/envoy/extensions/path/rewrite/uri_template/v3/uri_template_rewrite.ts";
import { UuidRequestIdConfig } from "./gen/envoy/extensions/request_id/uuid/v3/uuid.ts";
import { CgroupMemoryConfig } from "./gen/envoy/extensions/resource_monitors/cgroup_memory/v3/cgroup_memory.ts";
import { FixedHeapConfig } from "./gen/envoy/extensions/resource_monitors/fixed_heap/v3/fixed_heap.ts";
import { OmitCanaryHostsPredicate } from "./gen/envoy/extensions/retry/host/omit_canary_hosts/v3/omit_canary_hosts.ts";
import { OmitHostMetadataConfig } from "./gen/envoy/extensions/retry/host/omit_host_metadata/v3/omit_host_metadata_config.ts";
import { PreviousHostsPredicate } from "./gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.ts";
import { PreviousPrioritiesConfig } from "./gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config.ts";
import { ProxyProtocolUpstreamTransport } from "./gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts";
import { RawBuffer } from "./gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.ts";
import { Secret } from "./gen/envoy/extensions/transport_sockets/tls/v3/secret.ts";
import { DownstreamTlsContext, UpstreamTlsContext } from "./gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { HttpProtocolOptions } from "./gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import { Struct } from "./gen/google/protobuf/struct.ts";
import { BoolValue, StringValue, UInt32Value } from "./gen/google/protobuf/wrappers.ts";
import { JaegerAgentConfig } from "./gen/weft/trace.ts";

/** A message's codecs with its type forgotten. */
export interface MessageCodec {
  jsonOf(bytes: Uint8Array): unknown;
  bytesOf(json: unknown): Buffer;
}

interface Generated<T> {
  decode(bytes: Uint8Array): T;
  encode(message: T): { finish(): Uint8Array };
  toJSON(message: T): unknown;
  fromJSON(json: unknown): T;
}

const PREFIX = "type.googleapis.com/";

export function messageCodec(typeUrl: string): MessageCodec | undefined {
  if (!typeUrl.startsWith(PREFIX)) return undefined;
  const name = typeUrl.slice(PREFIX.length);
  return Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
}

const EXT = "envoy.extensions";

const TYPES: Readonly<Record<string, MessageCodec>> = {
  "envoy.config.cluster.v3.Cluster": codec(Cluster),
  "envoy.config.endpoint.v3.ClusterLoadAssignment": codec(ClusterLoadAssignment),
  "envoy.config.listener.v3.Listener": codec(Listener),
  "envoy.config.route.v3.RouteConfiguration": codec(RouteConfiguration),
  "envoy.config.route.v3.FilterConfig": codec(FilterConfig),
  "envoy.config.trace.v3.OpenTelemetryConfig": codec(OpenTelemetryConfig),
  "envoy.config.trace.v3.ZipkinConfig": codec(ZipkinConfig),
  [`${EXT}.access_loggers.file.v3.FileAccessLog`]: codec(FileAccessLog),
  [`${EXT}.access_loggers.filters.cel.v3.ExpressionFilter`]: codec(ExpressionFilter),
  [`${EXT}.access_loggers.grpc.v3.HttpGrpcAccessLogConfig`]: codec(HttpGrpcAccessLogConfig),
  [`${EXT}.access_loggers.grpc.v3.TcpGrpcAccessLogConfig`]: codec(TcpGrpcAccessLogConfig),
  [`${EXT}.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig`]: codec(OpenTelemetryAccessLogConfig),
  [`${EXT}.access_loggers.stream.v3.StderrAccessLog`]: codec(StderrAccessLog),
  [`${EXT}.access_loggers.stream.v3.StdoutAccessLog`]: codec(StdoutAccessLog),
  [`${EXT}.clusters.dynamic_forward_proxy.v3.ClusterConfig`]: codec(DynamicForwardProxyCluster),
  [`${EXT}.filters.http.cors.v3.Cors`]: codec(Cors),
  [`${EXT}.filters.http.cors.v3.CorsPolicy`]: codec(CorsPolicy),
  [`${EXT}.filters.http.dynamic_forward_proxy.v3.FilterConfig`]: codec(DynamicForwardProxy),
  [`${EXT}.filters.http.fault.v3.HTTPFault`]: codec(HTTPFault),
  [`${EXT}.filters.http.header_mutation.v3.HeaderMutation`]: codec(HeaderMutation),
  [`${EXT}.filters.http.header_mutation.v3.HeaderMutationPerRoute`]: codec(HeaderMutationPerRoute),
  [`${EXT}.filters.http.ext_authz.v3.ExtAuthz`]: codec(ExtAuthz),
  [`${EXT}.filters.http.ext_authz.v3.ExtAuthzPerRoute`]: codec(ExtAuthzPerRoute),
  [`${EXT}.filters.http.jwt_authn.v3.JwtAuthentication`]: codec(JwtAuthentication),
  [`${EXT}.filters.http.jwt_authn.v3.PerRouteConfig`]: codec(PerRouteConfig),
  [`${EXT}.filters.http.local_ratelimit.v3.LocalRateLimit`]: codec(LocalRateLimit),
  [`${EXT}.filters.http.rbac.v3.RBAC`]: codec(HttpRbac),
  [`${EXT}.filters.http.rbac.v3.RBACPerRoute`]: codec(RBACPerRoute),
  [`${EXT}.filters.http.router.v3.Router`]: codec(Router),
  [`${EXT}.filters.http.set_filter_state.v3.Config`]: codec(SetFilterState),
  [`${EXT}.filters.listener.http_inspector.v3.HttpInspector`]: codec(HttpInspector),
  [`${EXT}.filters.listener.original_dst.v3.OriginalDst`]: codec(OriginalDst),
  [`${EXT}.filters.listener.tls_inspector.v3.TlsInspector`]: codec(TlsInspector),
  [`${EXT}.filters.network.http_connection_manager.v3.HttpConnectionManager`]: codec(HttpConnectionManager),
  [`${EXT}.filters.network.rbac.v3.RBAC`]: codec(NetworkRbac),
  [`${EXT}.filters.network.tcp_proxy.v3.TcpProxy`]: codec(TcpProxy),
  [`${EXT}.filters.network.connection_limit.v3.ConnectionLimit`]: codec(ConnectionLimit),
  [`${EXT}.filters.network.direct_response.v3.Config`]: codec(DirectResponse),
  [`${EXT}.filters.network.echo.v3.Echo`]: codec(Echo),
  [`${EXT}.formatter.metadata.v3.Metadata`]: codec(MetadataFormatter),
  [`${EXT}.formatter.req_without_query.v3.ReqWithoutQuery`]: codec(ReqWithoutQuery),
  [`${EXT}.http.early_header_mutation.header_mutation.v3.HeaderMutation`]: codec(EarlyHeaderMutation),
  [`${EXT}.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig`]: codec(PreserveCaseFormatterConfig),
  [`${EXT}.http.original_ip_detection.custom_header.v3.CustomHeaderConfig`]: codec(CustomHeaderConfig),
  [`${EXT}.http.original_ip_detection.xff.v3.XffConfig`]: codec(XffConfig),
  [`${EXT}.internal_redirect.allow_listed_routes.v3.AllowListedRoutesConfig`]: codec(AllowListedRoutesConfig),
  [`${EXT}.internal_redirect.previous_routes.v3.PreviousRoutesConfig`]: codec(PreviousRoutesConfig),
  [`${EXT}.internal_redirect.safe_cross_scheme.v3.SafeCrossSchemeConfig`]: codec(SafeCrossSchemeConfig),
  [`${EXT}.path.match.uri_template.v3.UriTemplateMatchConfig`]: codec(UriTemplateMatchConfig),
  [`${EXT}.filters.http.header_to_metadata.v3.Config`]: codec(HeaderToMetadata),
  [`${EXT}.path.rewrite.uri_template.v3.UriTemplateRewriteConfig`]: codec(UriTemplateRewriteConfig),
  [`${EXT}.request_id.uuid.v3.UuidRequestIdConfig`]: codec(UuidRequestIdConfig),
  [`${EXT}.resource_monitors.cgroup_memory.v3.CgroupMemoryConfig`]: codec(CgroupMemoryConfig),
  [`${EXT}.resource_monitors.fixed_heap.v3.FixedHeapConfig`]: codec(FixedHeapConfig),
  [`${EXT}.retry.host.omit_canary_hosts.v3.OmitCanaryHostsPredicate`]: codec(OmitCanaryHostsPredicate),
  [`${EXT}.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig`]: codec(OmitHostMetadataConfig),
  [`${EXT}.retry.host.previous_hosts.v3.PreviousHostsPredicate`]: codec(PreviousHostsPredicate),
  [`${EXT}.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig`]: codec(PreviousPrioritiesConfig),
  [`${EXT}.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport`]: codec(ProxyProtocolUpstreamTransport),
  [`${EXT}.transport_sockets.raw_buffer.v3.RawBuffer`]: codec(RawBuffer),
  [`${EXT}.transport_sockets.tls.v3.DownstreamTlsContext`]: codec(DownstreamTlsContext),
  [`${EXT}.transport_sockets.tls.v3.Secret`]: codec(Secret),
  [`${EXT}.transport_sockets.tls.v3.UpstreamTlsContext`]: codec(UpstreamTlsContext),
  [`${EXT}.upstreams.http.v3.HttpProtocolOptions`]: codec(HttpProtocolOptions),
  "google.protobuf.BoolValue": codec(BoolValue),
  "google.protobuf.StringValue": codec(StringValue),
  "google.protobuf.Struct": {
    jsonOf: (bytes) => Struct.unwrap(Struct.decode(bytes)),
    bytesOf: (json) => Buffer.from(Struct.encode(Struct.wrap(isRecord(json) ? { ...json } : {})).finish()),
  },
  "google.protobuf.UInt32Value": codec(UInt32Value),
  "weft.trace.v1.JaegerAgentConfig": codec(JaegerAgentConfig),
};

function codec<T>(generated: Generated<T>): MessageCodec {
  return {
    jsonOf: (bytes) => generated.toJSON(generated.decode(bytes)),
    bytesOf: (json) => Buffer.from(generated.encode(generated.fromJSON(json)).finish()),
  };
}
