// Clusters whose hosts are the names that requests bring (dynamic forward proxy), and the filter that goes with them.
// A name is looked up by the system for each new connection, so that there is no cache of answers to configure.

import { Cluster_DnsLookupFamily } from "../../proto/gen/envoy/config/cluster/v3/cluster.ts";
import { ClusterConfig } from "../../proto/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster.ts";
import type { DnsCacheConfig } from "../../proto/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts";
import { FilterConfig } from "../../proto/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy.ts";
import type { Any } from "../../proto/gen/google/protobuf/any.ts";
import { type Field, fields } from "./field.ts";
import { durationMs } from "./value.ts";

const CLUSTER = "type.googleapis.com/envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";
const HOSTS_MAX = 1024;
const HOST_TTL_MS = 300_000;

export interface DynamicNames {
  readonly hostsMax: number;
  /** A host that is not used goes after this long. */
  readonly hostTtlMs: number;
}

/** Undefined: another kind of cluster. */
export function compileDynamicNames(any: Any | undefined, at: Field): DynamicNames | undefined {
  if (any?.typeUrl !== CLUSTER) return undefined;
  const config = ClusterConfig.decode(any.value);
  const field = at.as(any.typeUrl);
  field.only(config, fields("clusterImplementationSpecifier allowInsecureClusterOptions"));
  const specifier = config.clusterImplementationSpecifier;
  if (specifier?.$case !== "dnsCacheConfig") {
    field.at("subClustersConfig").refuse("a cluster for each name is not built in; use dns_cache_config");
    return { hostsMax: HOSTS_MAX, hostTtlMs: HOST_TTL_MS };
  }
  return compileCache(specifier.value, field.at("dnsCacheConfig"));
}

/** The filter only makes the names known, which here is the cluster's own work. */
export function checkDynamicNamesFilter(any: Any, at: Field): void {
  const config = FilterConfig.decode(any.value);
  at.only(config, fields("implementationSpecifier"));
  const specifier = config.implementationSpecifier;
  if (specifier?.$case === "dnsCacheConfig") compileCache(specifier.value, at.at("dnsCacheConfig"));
  else at.at("subClusterConfig").refuse("a cluster for each name is not built in; use dns_cache_config");
}

function compileCache(cache: DnsCacheConfig, at: Field): DynamicNames {
  at.only(cache, fields("name dnsLookupFamily dnsRefreshRate dnsMinRefreshRate hostTtl maxHosts"));
  const { V4_ONLY, V6_ONLY } = Cluster_DnsLookupFamily;
  if (cache.dnsLookupFamily === V4_ONLY || cache.dnsLookupFamily === V6_ONLY) {
    at.at("dnsLookupFamily").refuse("names that requests bring are looked up in both families; use ALL");
  }
  return { hostsMax: cache.maxHosts ?? HOSTS_MAX, hostTtlMs: durationMs(cache.hostTtl) ?? HOST_TTL_MS };
}
