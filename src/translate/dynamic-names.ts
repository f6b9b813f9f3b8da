// Clusters whose hosts are the names that requests bring: the dynamic forward proxy.

import {
  type Cluster,
  Cluster_DnsLookupFamily,
  Cluster_LbPolicy,
} from "../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterConfig } from "../proto/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts";
import { DnsCacheConfig } from "../proto/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts";
import { FilterConfig } from "../proto/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.ts";
import { HttpFilter } from "../proto/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts";
import { knowsCalled } from "./service-entry.ts";
import type { ClientView } from "./view.ts";
import { any, durationOf } from "./wire.ts";

const CLUSTER = "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";
const FILTER = "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig";

/** Of a cluster made for discovery. */
export function callNamed(cluster: Cluster, view: ClientView): void {
  const config = ClusterConfig.fromPartial({
    clusterImplementationSpecifier: { $case: "dnsCacheConfig", value: cacheOf(view) },
    // Names are checked where the rule asks for TLS, as with any other cluster.
    allowInsecureClusterOptions: true,
  });
  cluster.clusterDiscoveryType = {
    $case: "clusterType",
    value: { name: "envoy.clusters.dynamic_forward_proxy", typedConfig: any(CLUSTER, ClusterConfig, config) },
  };
  cluster.edsClusterConfig = undefined;
  cluster.lbPolicy = Cluster_LbPolicy.CLUSTER_PROVIDED;
  cluster.lbConfig = undefined;
  cluster.transportSocketMatches = [];
}

/** Before the router, where any route may lead to such a cluster: it waits for the name. */
export function nameFilters(view: ClientView): readonly HttpFilter[] {
  const known = made.get(view);
  if (known !== undefined) return known;
  const filters = makeNameFilters(view);
  made.set(view, filters);
  return filters;
}

/** Every listener of a view asks for the same. */
const made = new WeakMap<ClientView, readonly HttpFilter[]>();

function makeNameFilters(view: ClientView): readonly HttpFilter[] {
  const called = knowsCalled(view);
  const named = view.services.some(
    ({ resolution }) => resolution === "DYNAMIC_DNS" || (resolution === "NONE" && !called),
  );
  if (!named && view.outboundTrafficPolicy !== "ALLOW_ANY_DYNAMIC_DNS") return [];
  const config = FilterConfig.fromPartial({
    implementationSpecifier: { $case: "dnsCacheConfig", value: cacheOf(view) },
  });
  const configType = { $case: "typedConfig", value: any(FILTER, FilterConfig, config) } as const;
  return [HttpFilter.fromPartial({ name: "envoy.filters.http.dynamic_forward_proxy", configType })];
}

/** One cache for all of them: its settings have to be the same wherever it is named. */
function cacheOf({ snapshot }: ClientView): DnsCacheConfig {
  return DnsCacheConfig.fromPartial({
    name: "mesh",
    dnsLookupFamily: Cluster_DnsLookupFamily.ALL,
    dnsRefreshRate: durationOf(snapshot.mesh.dnsRefreshRateMs),
  });
}
