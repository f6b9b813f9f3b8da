// Generated messages as plain data that a person can review: extensions decoded, defaults left out.

import { isRecord } from "../../../src/base/json.ts";
import { OpenTelemetryConfig } from "../../../src/proto/gen/envoy/config/trace/v3/opentelemetry.ts";
import { ZipkinConfig } from "../../../src/proto/gen/envoy/config/trace/v3/zipkin.ts";
import { FileAccessLog } from "../../../src/proto/gen/envoy/extensions/access_loggers/file/v3/file.ts";
import { ExpressionFilter } from "../../../src/proto/gen/envoy/extensions/access_loggers/filters/cel/v3/cel.ts";
import {
  HttpGrpcAccessLogConfig,
  TcpGrpcAccessLogConfig,
} from "../../../src/proto/gen/envoy/extensions/access_loggers/grpc/v3/als.ts";
import { OpenTelemetryAccessLogConfig } from "../../../src/proto/gen/envoy/extensions/access_loggers/open_telemetry/v3/logs_service.ts";
import { StdoutAccessLog } from "../../../src/proto/gen/envoy/extensions/access_loggers/stream/v3/stream.ts";
import { ClusterConfig } from "../../../src/proto/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts";
import { Cors, CorsPolicy } from "../../../src/proto/gen/envoy/extensions/filters/http/cors/v3/cors.ts";
import { FilterConfig } from "../../../src/proto/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.ts";
import { ExtAuthz } from "../../../src/proto/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts";
import { HTTPFault } from "../../../src/proto/gen/envoy/extensions/filters/http/fault/v3/fault.ts";
import { HeaderMutation } from "../../../src/proto/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation.ts";
import { Config as HeaderToMetadata } from "../../../src/proto/gen/envoy/extensions/filters/http/header_to_metadata/v3/header_to_metadata.ts";
import { JwtAuthentication } from "../../../src/proto/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts";
import { RBAC as HttpRbac } from "../../../src/proto/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts";
import { Router } from "../../../src/proto/gen/envoy/extensions/filters/http/router/v3/router.ts";
import { Config as SetFilterState } from "../../../src/proto/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state.ts";
import { HttpInspector } from "../../../src/proto/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector.ts";
import { OriginalDst } from "../../../src/proto/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst.ts";
import { TlsInspector } from "../../../src/proto/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts";
import { HttpConnectionManager } from "../../../src/proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { RBAC as TcpRbac } from "../../../src/proto/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts";
import { TcpProxy } from "../../../src/proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import { UuidRequestIdConfig } from "../../../src/proto/gen/envoy/extensions/request_id/uuid/v3/uuid.ts";
import { PreviousHostsPredicate } from "../../../src/proto/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.ts";
import { ProxyProtocolUpstreamTransport } from "../../../src/proto/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol.ts";
import { RawBuffer } from "../../../src/proto/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer.ts";
import {
  DownstreamTlsContext,
  UpstreamTlsContext,
} from "../../../src/proto/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts";
import { HttpProtocolOptions } from "../../../src/proto/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts";
import { JaegerAgentConfig } from "../../../src/proto/gen/weft/trace.ts";

interface Codec<T> {
  decode(bytes: Uint8Array): T;
  toJSON(message: T): unknown;
}

function reader<T>(codec: Codec<T>): (bytes: Uint8Array) => unknown {
  return (bytes) => codec.toJSON(codec.decode(bytes));
}

const READERS: Readonly<Record<string, (bytes: Uint8Array) => unknown>> = {
  "envoy.config.trace.v3.OpenTelemetryConfig": reader(OpenTelemetryConfig),
  "envoy.config.trace.v3.ZipkinConfig": reader(ZipkinConfig),
  "envoy.extensions.access_loggers.file.v3.FileAccessLog": reader(FileAccessLog),
  "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig": reader(HttpGrpcAccessLogConfig),
  "envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig": reader(TcpGrpcAccessLogConfig),
  "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog": reader(StdoutAccessLog),
  "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation": reader(HeaderMutation),
  "envoy.extensions.filters.http.header_to_metadata.v3.Config": reader(HeaderToMetadata),
  "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig":
    reader(OpenTelemetryAccessLogConfig),
  "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter": reader(ExpressionFilter),
  "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig": reader(ClusterConfig),
  "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig": reader(FilterConfig),
  "envoy.extensions.filters.http.cors.v3.Cors": reader(Cors),
  "envoy.extensions.filters.http.cors.v3.CorsPolicy": reader(CorsPolicy),
  "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz": reader(ExtAuthz),
  "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication": reader(JwtAuthentication),
  "envoy.extensions.filters.http.fault.v3.HTTPFault": reader(HTTPFault),
  "envoy.extensions.filters.http.rbac.v3.RBAC": reader(HttpRbac),
  "envoy.extensions.filters.http.router.v3.Router": reader(Router),
  "envoy.extensions.filters.http.set_filter_state.v3.Config": reader(SetFilterState),
  "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector": reader(HttpInspector),
  "envoy.extensions.filters.listener.original_dst.v3.OriginalDst": reader(OriginalDst),
  "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector": reader(TlsInspector),
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager": reader(HttpConnectionManager),
  "envoy.extensions.filters.network.rbac.v3.RBAC": reader(TcpRbac),
  "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy": reader(TcpProxy),
  "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig": reader(UuidRequestIdConfig),
  "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate": reader(PreviousHostsPredicate),
  "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport":
    reader(ProxyProtocolUpstreamTransport),
  "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer": reader(RawBuffer),
  "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext": reader(DownstreamTlsContext),
  "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext": reader(UpstreamTlsContext),
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": reader(HttpProtocolOptions),
  "weft.trace.v1.JaegerAgentConfig": reader(JaegerAgentConfig),
};

export function readable(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(readable);
  if (!isRecord(json)) return json;
  const typeUrl = json["typeUrl"];
  if (typeof typeUrl === "string" && (json["value"] === undefined || typeof json["value"] === "string")) {
    const name = typeUrl.replace(/^.*\//, "");
    const read = READERS[name];
    const body = read?.(Buffer.from(String(json["value"] ?? ""), "base64")) ?? { value: json["value"] };
    const inner = readable(body);
    return { "@type": name, ...(isRecord(inner) ? inner : {}) };
  }
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, readable(value)]));
}
