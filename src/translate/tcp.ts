// TCP: the proxy filter, and the listener filters that look before a chain is chosen.

import { Filter, ListenerFilter } from "../proto/gen/envoy/config/listener/v3/listener_components.ts";
import { HttpInspector } from "../proto/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector.ts";
import { OriginalDst } from "../proto/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst.ts";
import { TlsInspector } from "../proto/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.ts";
import { TcpProxy } from "../proto/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.ts";
import type { Any } from "../proto/gen/google/protobuf/any.ts";
import { any } from "./wire.ts";

export function tcpProxy(cluster: string, statPrefix = cluster): Filter {
  return proxyFilter(TcpProxy.fromPartial({ statPrefix, clusterSpecifier: { $case: "cluster", value: cluster } }));
}

/** Each connection goes to one of them. */
export function weightedTcpProxy(
  clusters: readonly { readonly name: string; readonly weight: number }[],
  statPrefix: string,
): Filter {
  const value = { clusters: clusters.map((each) => ({ ...each })) };
  return proxyFilter(TcpProxy.fromPartial({ statPrefix, clusterSpecifier: { $case: "weightedClusters", value } }));
}

function proxyFilter(config: TcpProxy): Filter {
  return Filter.fromPartial({
    name: "envoy.filters.network.tcp_proxy",
    configType: {
      $case: "typedConfig",
      value: any("envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", TcpProxy, config),
    },
  });
}

export function originalDst(): ListenerFilter {
  const typeName = "envoy.extensions.filters.listener.original_dst.v3.OriginalDst";
  return listenerFilter("envoy.filters.listener.original_dst", any(typeName, OriginalDst, OriginalDst.fromPartial({})));
}

export function tlsInspector(): ListenerFilter {
  const typeName = "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector";
  return listenerFilter(
    "envoy.filters.listener.tls_inspector",
    any(typeName, TlsInspector, TlsInspector.fromPartial({})),
  );
}

export function httpInspector(): ListenerFilter {
  const typeName = "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector";
  return listenerFilter("envoy.filters.listener.http_inspector", any(typeName, HttpInspector, {}));
}

function listenerFilter(name: string, typedConfig: Any): ListenerFilter {
  return ListenerFilter.fromPartial({ name, configType: { $case: "typedConfig", value: typedConfig } });
}
